"""What README and CONTRIBUTING show is run, word for word."""

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import adjointbench as ab
from adjointbench.adjoints import methods as table

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def blocks(document: str, language: str) -> list[tuple[str, str]]:
    """(what stands after the language, code) of the fenced blocks of a document."""
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}[ ]*(.*?)\n(.*?)^```$", text, re.M | re.S)


def example(path: str) -> str:
    (code,) = [code for name, code in blocks("CONTRIBUTING.md", "python") if name == path]
    return code


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every line of every console block, without its comment and its environment variables."""
    for document in DOCUMENTS:
        for _, block in blocks(document, "console"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                yield document, [word for word in words if not re.match(r"[A-Z_]+=", word)]


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_python_of_the_readme_runs(number: int) -> None:
    _, code = blocks("README.md", "python")[number]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_readme_tells_the_closed_form_of_its_own_problem() -> None:
    (code,) = [code for _, code in blocks("README.md", "python") if "ab.Problem(" in code]
    names: dict = {}
    exec(code.partition("for method in")[0], names)
    result = ab.gradient(names["decay"], "scipy-adjoint", rtol=1e-9, atol=1e-12)
    told = float(re.search(r"-4 exp\(-2\) = (-[\d.]+)\.\.\.", code)[1])
    np.testing.assert_allclose(result.dparams["k"], -4 * np.exp(-2), rtol=1e-7)
    assert told == pytest.approx(-4 * np.exp(-2), abs=1e-4)


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
            assert link.startswith("https://") or (ROOT / link).exists(), (document, link)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {words[1] for _, words in commands() if words[:1] == ["make"]}
    assert targets >= {"bench", "test"}
    for target in targets:
        assert re.search(rf"^{target}[ :].*:|^{target}:", makefile, re.M), target


def test_commands_exist() -> None:
    shown = {words[1] for _, words in commands() if words[:1] == ["adjointbench"]}
    assert shown >= {"problems", "methods", "gradient", "report", "certify"}
    for name in shown:
        subprocess.run([sys.executable, "-m", "adjointbench", name, "--help"], check=True)


@pytest.fixture
def logistic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ab.Problem]:
    """The example of a problem, in a file that the zoo discovers as one of its own."""
    registry = importlib.import_module("adjointbench.problems.registry")
    (tmp_path / "logistic.py").write_text(example("problems/logistic.py"))
    monkeypatch.setattr(ab.problems, "__path__", [*ab.problems.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    registry._discovered.cache_clear()
    monkeypatch.delitem(sys.modules, "adjointbench.problems.logistic", raising=False)
    yield ab.problems.get("logistic")
    sys.modules.pop("adjointbench.problems.logistic", None)
    registry._discovered.cache_clear()


def test_example_of_a_problem(logistic: ab.Problem) -> None:
    assert "logistic" in ab.problems.names(tag="closed-form")
    result = ab.gradient(logistic, "jax-discrete", rtol=1e-10, atol=1e-12)
    loss, dr, dcapacity, dy0 = closed_form(r=1.5, capacity=3.0, y0=0.5, t=2.0)
    assert result.loss == pytest.approx(loss, rel=1e-8)
    assert result.dparams["r"] == pytest.approx(dr, rel=1e-7)
    assert result.dparams["capacity"] == pytest.approx(dcapacity, rel=1e-7)
    assert result.dy0 == pytest.approx(dy0, rel=1e-7)


def closed_form(r: float, capacity: float, y0: float, t: float) -> tuple[float, ...]:
    """Of y(t) = K / (1 + (K/y0 - 1) exp(-r t)): the value, and its derivatives to r, K and y0."""
    decay = np.exp(-r * t)
    below = 1 + (capacity / y0 - 1) * decay
    value = capacity / below
    dr = capacity / below**2 * (capacity / y0 - 1) * decay * t
    return value, dr, 1 / below - capacity / below**2 * decay / y0, (value / y0) ** 2 * decay


def test_example_of_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy_methods = importlib.import_module("adjointbench.adjoints.scipy")
    (tmp_path / "one_sided.py").write_text(example("adjoints/scipy/one_sided.py"))
    monkeypatch.setattr(scipy_methods, "__path__", [*scipy_methods.__path__, str(tmp_path)])
    entry = eval(example("adjoints/methods.py"), vars(table).copy())
    monkeypatch.setattr(table, "METHODS", (*table.METHODS, entry))
    problem = ab.problems.get("lotka_volterra")

    run = ab.prepare(problem, "one-sided-difference", rtol=1e-10, atol=1e-12)
    exact = ab.gradient(problem, "scipy-adjoint", rtol=1e-10, atol=1e-12)
    one_sided = run()

    # Truncation and noise balance at the square root of the tolerance, 1e-5, times a few.
    assert entry in ab.methods(family="blackbox", stiff=True)
    assert one_sided.status == "ok"
    error = np.abs(one_sided.dparams["p"] - exact.dparams["p"]) / np.abs(exact.dparams["p"])
    assert 1e-7 < error.max() < 1e-2
    loss, dparams, dy0 = run.compiled(problem.params, problem.y0)
    assert loss == one_sided.loss
    np.testing.assert_array_equal(dparams["p"], one_sided.dparams["p"])
    np.testing.assert_array_equal(dy0, one_sided.dy0)
    assert ab.gradient(problem, "one-sided-difference", max_steps=3).status == "failed"
