"""The key of measured rows: what numbers depend on changes it, and what is only said does not."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from adjointbench.suite.measuring import code_key
from adjointbench.suite.measuring.code_key import code_hash, hash_of, modules_of

ROOT = Path(code_key.__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for part in (*code_key.WHOLE, "suite", "reports"):
        skipped = shutil.ignore_patterns("__pycache__", "templates")
        shutil.copytree(ROOT / part, folder / part, ignore=skipped)
    return folder


@pytest.fixture(scope="module")
def unchanged(copy):
    return hash_of(copy)


@contextlib.contextmanager
def changed(path, text):
    before = path.read_text(encoding="utf-8")
    assert text != before
    path.write_text(text, encoding="utf-8")
    yield
    path.write_text(before, encoding="utf-8")


def replaced(path, old, new):
    return changed(path, path.read_text(encoding="utf-8").replace(old, new, 1))


def test_the_same_code_has_the_same_hash(unchanged):
    assert unchanged == code_hash()


COUNTS = [
    ("training/jax_trainer.py", "jnp.isfinite(g)", "jnp.isnan(g)"),
    ("suite/measuring/frozen_steps.py", "relative_error(", "2 * relative_error("),
    ("suite/measuring/studies/scaling.py", "RTOL, ATOL = 1e-7, 1e-5", "RTOL, ATOL = 1e-6, 1e-5"),
    (
        "suite/measuring/names.py",
        "def bare_name(text: str)",
        "def bare_name(text: str, sign: int = 1)",
    ),
    ("suite/measuring/timing.py", "budget_s: float = 0.2", "budget_s: float = 0.3"),
    ("suite/measuring/child.py", '"OMP_NUM_THREADS", "1"', '"OMP_NUM_THREADS", "2"'),
    ("suite/claims/cost.py", "QUICK_SIZES, SIZES = (2, 3)", "QUICK_SIZES, SIZES = (2, 4)"),
    ("suite/own_problem/certification.py", "(1e5, 1.0)", "(1e6, 1.0)"),
    ("adjoints/scipy/continuous.py", "DENSE_LIMIT = 200", "DENSE_LIMIT = 100"),
    ("adjoints/methods/on_jax.py", 'stiff_solver="rodas5p"', 'stiff_solver="kvaerno5"'),
    ("adjoints/peers/torchdiffeq.py", '"underflow in dt"', '"overflow in dt"'),
    ("adjoints/native/sweep.c", "i--", "--i"),
    ("problems/zoo/lorenz.py", '"rho": 28.0', '"rho": 28.1'),
    ("problems/data/robertson.json", "1", "2"),
]


@pytest.mark.parametrize(("name", "old", "new"), COUNTS, ids=[case[0] for case in COUNTS])
def test_what_a_number_depends_on_counts(copy, unchanged, name, old, new):
    with replaced(copy / name, old, new):
        assert hash_of(copy) != unchanged


def test_numbers_of_a_reference_count_and_its_date_does_not(copy, unchanged):
    path = copy / "problems" / "references" / "lorenz.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored[0]["date"], stored[0]["agreement"] = "2000-01-01", 1e-3
    with changed(path, json.dumps(stored)):
        assert hash_of(copy) == unchanged
    stored[0]["dparams"]["rho"] *= 1.0 + 1e-9
    with changed(path, json.dumps(stored)):
        assert hash_of(copy) != unchanged


SAID = [
    # A claim's sentence, the verdict on its figures, and a threshold.
    ("suite/claims/cost.py", "Taylor regularisation gets costly", "Taylor's gets costlier"),
    ("suite/claims/judges.py", "operator.le", "operator.lt"),
    ("suite/claims/cost.py", "Limit(", "Limit(0.5 * "),
    # What is drawn and written.
    ("reports/sections/claims.py", "def ", "def and_another():\n    return 1\n\n\ndef "),
    ("reports/figures/labels.py", "import", "import json\nimport"),
    ("reports/sections/findings.py", "def ", "def and_another():\n    return 1\n\n\ndef "),
    # Docstrings, comments, and sentences of refusals and of the table of methods.
    ("adjoints/scipy/continuous.py", '"""The continuous adjoint:', '"""The adjoint:'),
    ("adjoints/scipy/continuous.py", "#: Adjoint systems", "#: Systems"),
    ("adjoints/options.py", "leave it out, or use one of", "leave it, or use any of"),
    ("adjoints/result.py", "the solver took max_steps steps", "the solver has taken max_steps"),
    (
        "adjoints/methods/on_scipy.py",
        "Central differences of the whole",
        "Differences of the whole",
    ),
    ("problems/zoo/lorenz.py", '"""', '"""An old friend. '),
]


@pytest.mark.parametrize(("name", "old", "new"), SAID, ids=[f"{c[0]}: {c[1]}" for c in SAID])
def test_what_is_only_said_does_not(copy, unchanged, name, old, new):
    with replaced(copy / name, old, new):
        assert hash_of(copy) == unchanged


def test_a_layout_does_not_count(copy, unchanged):
    path = copy / "adjoints" / "gradient.py"
    with changed(path, f"# A comment.\n{path.read_text(encoding='utf-8')}\n\n# Another.\n"):
        assert hash_of(copy) == unchanged


def test_every_claim_counts():
    counted = {path.name for path in modules_of(ROOT)}
    text = (ROOT / "suite" / "claims" / "table.py").read_text(encoding="utf-8")
    subjects = [line.split()[1] for line in text.splitlines() if line.startswith("from .")]
    assert len(subjects) > 5
    assert {f"{subject[1:]}.py" for subject in subjects} <= counted
