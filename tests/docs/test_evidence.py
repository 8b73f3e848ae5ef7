"""Figures of docs/which-method.md that do not depend on the machine, measured again."""

import re

import pytest
from documents import blocks, prose

import adjointbench as ab
from adjointbench.suite.measuring.errors import gradient_errors

#: Those that need no compiler; the others cost a minute.
CHEAP = ("complex-step", "finite-difference", "cvodes-adjoint", "cvodes-forward", "scipy-forward")
CHEAP_PEERS = ("torch-discrete", "torch-tape", "torch-backsolve", "torchode-autodiff")
BYTES = {"B": 1, "kB": 1e3, "MB": 1e6}


def told(heading: str) -> dict[str, list[str]]:
    """The cells of each method in the table whose first heading this is."""
    table = prose("docs/which-method.md").partition(f"\n| {heading} ")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        first, *cells = (cell.strip(" *") for cell in line.strip("|").split("|"))
        for method in re.findall(r"`(.*?)`", first):
            found[method] = cells
    return found


def measured(name: str, method: str, rtol: float) -> float:
    problem = ab.problems.get(name)
    result = ab.gradient(problem, method, rtol=rtol, atol=1e-3 * rtol)
    assert result.status == "ok"
    assert problem.reference is not None
    return gradient_errors(result.dparams, problem.reference.dparams, problem.params)["error"]


@pytest.mark.parametrize("method", CHEAP)
def test_errors_on_the_trap(method: str) -> None:
    steps, error = told("method")[method]
    assert int(steps.split(",")[0]) > 0
    assert measured("adaptive_ad_trap", method, 1e-8) == pytest.approx(float(error), rel=0.5)


@pytest.mark.parametrize(("column", "rtol"), [(0, 1e-4), (1, 1e-6), (2, 1e-8)])
def test_errors_on_robertson(column: int, rtol: float) -> None:
    error = float(told("Robertson to t = 1e4, rtol")["cvodes-adjoint"][column])
    assert measured("robertson", "cvodes-adjoint", rtol) == pytest.approx(error, rel=0.5)


@pytest.mark.parametrize("method", CHEAP_PEERS)
def test_bytes_that_are_kept(method: str) -> None:
    number, unit = told("rtol 1e-6, atol 1e-9")[method][0].split()
    problem = ab.problems.get("lotka_volterra")
    kept = ab.gradient(problem, method, rtol=1e-6, atol=1e-9).stats.saved_bytes
    assert kept == pytest.approx(float(number) * BYTES[unit], rel=0.1)


def test_the_program_that_is_shown_is_the_one_that_is_made() -> None:
    (call,) = (b.code for b in blocks("docs/native-loop.md", "python") if "source_of" in b.code)
    shown, *_ = blocks("docs/native-loop.md", "text")
    names: dict = {}
    exec(call.replace("print(", "text = ("), names)
    assert shown.code in names["text"]
    told = re.search(r"Of the (\d+) lines", prose("docs/native-loop.md"))
    assert told is not None
    assert int(told[1]) == len(names["text"].splitlines())
