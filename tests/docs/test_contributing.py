"""What CONTRIBUTING shows how to add works, put where it says, and its commands run on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documents import ROOT, blocks

FOLDERS = ("problems", "adjoints", "training", "suite", "reports")

#: Tests of reports on all methods that there are.
OF_METHODS = (
    "reports/test_every_method.py",
    "reports/test_peers_section.py",
    "reports/test_stiff.py",
    "suite/own_problem/test_recommendation.py",
)

#: Entries of which the guide speaks and shows none: of a kind of its own, and of a peer.
OTHERS = """
from dataclasses import replace as _replace

ON_SCIPY += (_replace(ON_SCIPY[-1], name="scipy-guess", adjoint="guess"),)
ON_SCIPY += tuple(
    _replace(
        ON_SCIPY[0],
        name=f"newlib-{name}",
        family="peers",
        adjoint=name,
        library="newlib",
        requires=("scipy", "newlib"),
    )
    for name in ("sensitivities", "divination")
)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, laid out as it is installed, with the examples in it."""
    folder = tmp_path_factory.mktemp("site") / "adjointbench"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "adjointbench", folder, ignore=ignored)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for block in blocks("CONTRIBUTING.md", "python"):
        file = folder / block.title
        if not file.exists():
            file.write_text(block.code)
        else:
            assert block.title == "adjoints/methods/on_scipy.py"
            file.write_text(f"{file.read_text()}\nON_SCIPY += (\n{block.code.strip()},\n)\n")
            file.write_text(file.read_text().replace(",\n,\n)", ",\n)"))
    return folder


def python(package: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package.parent,
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def in_the_copy(package: Path, code: str) -> dict:
    """What `code` prints as JSON, run with the copied package."""
    done = python(package, "-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_example_of_a_problem(package: Path) -> None:
    found = in_the_copy(
        package,
        "import json, adjointbench as ab\n"
        "problem = ab.problems.get('logistic')\n"
        "result = ab.gradient(problem, 'scipy-adjoint', rtol=1e-10, atol=1e-12)\n"
        "print(json.dumps({'names': ab.problems.names(tag='closed-form'), 'file': ab.__file__,\n"
        "    'gradient': [result.loss, result.dparams['r'][0], result.dparams['capacity'][0],\n"
        "        result.dy0[0]]}))",
    )
    assert found["file"].startswith(str(package))
    assert "logistic" in found["names"]
    expected = closed_form(r=1.5, capacity=3.0, y0=0.5, t=2.0)
    np.testing.assert_allclose(found["gradient"], expected, rtol=1e-7)


def closed_form(r: float, capacity: float, y0: float, t: float) -> tuple[float, ...]:
    """Of y(t) = K / (1 + (K/y0 - 1) exp(-r t)): the value, and its derivatives to r, K and y0."""
    decay = np.exp(-r * t)
    below = 1 + (capacity / y0 - 1) * decay
    value = capacity / below
    dr = capacity / below**2 * (capacity / y0 - 1) * decay * t
    return value, dr, 1 / below - capacity / below**2 * decay / y0, (value / y0) ** 2 * decay


def test_example_of_a_method(package: Path) -> None:
    found = in_the_copy(
        package,
        "import json, adjointbench as ab\n"
        "problem = ab.problems.get('lotka_volterra')\n"
        "run = ab.prepare(problem, 'one-sided-difference', rtol=1e-10, atol=1e-12)\n"
        "result, (loss, dparams, dy0) = run(), run.compiled(problem.params, problem.y0)\n"
        "stopped = ab.gradient(problem, 'one-sided-difference', max_steps=3)\n"
        "print(json.dumps({'p': list(result.dparams['p']), 'y0': list(result.dy0),\n"
        "    'compiled': [loss, *dparams['p'], *dy0], 'loss': result.loss,\n"
        "    'stopped': stopped.status,\n"
        "    'listed': [m.name for m in ab.methods(family='blackbox', stiff=True)]}))",
    )
    # Truncation and noise balance at the square root of the tolerance, 1e-5, times a few.
    published = np.array([-4.09621299, -0.50940881, -1.14583489, -1.80432787])
    error = np.abs(np.array(found["p"]) - published) / np.abs(published)
    assert 1e-7 < error.max() < 1e-2
    assert found["compiled"] == [found["loss"], *found["p"], *found["y0"]]
    assert found["stopped"] == "failed"
    assert "one-sided-difference" in found["listed"]


def test_reports_know_what_to_do_with_the_example_and_with_others(package: Path) -> None:
    """Of a kind that there is, of a new one, and of a new library."""
    table = package / "adjoints" / "methods" / "on_scipy.py"
    as_shown = table.read_text()
    table.write_text(as_shown + OTHERS)
    tests = [str(ROOT / "tests" / name) for name in OF_METHODS]
    # Pages of other rows than these are not about methods.
    others = ("without_stiff", "study_of_another", "study_alone", "without_peers", "another_device")
    chosen = ("-k", "not " + " and not ".join(others))
    try:
        listed = in_the_copy(
            package,
            "import json, adjointbench as ab; print(json.dumps([m.name for m in ab.methods()]))",
        )
        done = python(
            package, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen, *tests
        )
    finally:
        table.write_text(as_shown)
    assert {"one-sided-difference", "scipy-guess", "newlib-divination"} <= set(listed)
    assert done.returncode == 0, done.stdout[-3000:]


def test_an_entry_that_reports_could_not_place_is_refused(package: Path) -> None:
    found = in_the_copy(
        package,
        "import json\n"
        "from dataclasses import replace\n"
        "from adjointbench.adjoints.methods import get_method\n"
        "said = []\n"
        "for change in ({'family': 'blackboxes'}, {'backend': 'numpy'}, {'family': 'peers'}):\n"
        "    try:\n        replace(get_method('one-sided-difference'), **change)\n"
        "    except ValueError as error:\n        said.append(str(error))\n"
        "print(json.dumps(said))",
    )
    family, backend, library = found
    assert "one-sided-difference: family='blackboxes' is not known" in family
    assert "backend='numpy'" in backend
    assert "must name the package of a peer" in library


def test_commands_on_the_examples_run(package: Path) -> None:
    """All of the command line's own, in one process: they end well, and one stores a reference."""
    shown = [
        line.partition("#")[0].split()[1:]
        for block in blocks("CONTRIBUTING.md", "console")
        for line in block.code.splitlines()
        if line.startswith("adjointbench ")
    ]
    assert ["certify", "logistic", "--write"] in shown
    done = python(
        package,
        "-c",
        "from adjointbench.command_line import app\n"
        f"for words in {shown!r}:\n"
        "    try:\n        app(words)\n"
        "    except SystemExit as end:\n        assert not end.code, (words, end.code)\n",
    )
    assert done.returncode == 0, done.stderr
    assert (package / "problems" / "references" / "logistic.json").exists()


def test_docs_that_lack_the_examples_say_so(package: Path) -> None:
    done = python(package, str(ROOT / "docs" / "generate.py"), "--check")
    assert done.returncode == 1
    assert "docs/methods.md must tell about one-sided-difference once" in done.stderr
    assert "docs/problems.md is not up to date: run make docs" in done.stderr
