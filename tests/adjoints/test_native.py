"""The native loop: its orders, what it takes and refuses, and what it keeps on disk."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tiny_problems as tiny
from array_api_compat import array_namespace
from equations import riccati, riccati_exact

import adjointbench as ab
from adjointbench.adjoints.native import compiled_loop, compiler
from adjointbench.adjoints.native.compiled_loop import CompiledLoop
from adjointbench.adjoints.steps.tableaus import tableau

#: How many steps show the order of each solver.
COUNTS = {
    "tsit5": (16, 24, 36),
    "dopri5": (16, 24, 36),
    "dop853": (10, 14, 20),
    "rk4": (48, 72, 108),
    "euler": (64, 128, 256),
    "rodas5p": (16, 24, 36),
    "rodas4p": (16, 24, 36),
}

K, START, SAVES = 0.8, 1.3, np.array([0.4, 1.0, 2.0])


@pytest.mark.parametrize("solver", COUNTS)
def test_value_and_gradient_converge_with_the_order_of_the_solver(solver):
    """Of one step in ever more pieces; two of the saves lie between steps."""
    problem = ab.Problem(
        name="riccati",
        rhs=riccati,
        y0=np.array([START]),
        t_span=(0.0, 2.0),
        save_at=SAVES,
        params={"k": np.array(K)},
        loss=lambda ys, p: ys.sum(),
    )
    y, dk, dy0 = riccati_exact(SAVES, K, START)
    exact = np.array([y.sum(), dk.sum(), dy0.sum()])
    loop = CompiledLoop(problem, tableau(solver), 1e6, 1e6, first_step=2.0)
    errors = []
    for count in COUNTS[solver]:
        found = loop(np.array([K]), np.array([START]), pieces=count)
        assert (found.status, found.steps, found.swept) == ("ok", 1, count)
        errors.append(np.abs([found.loss, *found.dtheta, *found.dy0] - exact))
    slopes = -np.polyfit(np.log(COUNTS[solver]), np.log(errors), 1)[0]
    # Free interpolants of one order less may cost the saves inside a step one order.
    assert slopes.min() >= tableau(solver).order - (0.3 if solver in ("rk4", "euler") else 1.1)


def test_new_values_need_no_new_program_and_are_those_of_the_problem_itself():
    run = ab.prepare(tiny.doses(), "native-discrete", rtol=1e-10, atol=1e-12)
    problem = run.problem
    changed = {name: 1.1 * value for name, value in problem.params.items()}
    again = ab.gradient(tiny.doses(params=changed), "native-discrete", rtol=1e-10, atol=1e-12)
    found = run(params=changed)
    assert found.loss == again.loss
    for name, gradient in again.dparams.items():
        np.testing.assert_array_equal(found.dparams[name], gradient)


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (tiny.blow_up, "step_too_small"),
        (tiny.turns_nan, "nonfinite"),
        (tiny.always_nan, "nonfinite"),
    ],
)
def test_a_breakdown_has_the_status_that_jax_gives_it(problem, status):
    found = ab.gradient(problem(), "native-discrete")
    theirs = ab.gradient(problem(), "jax-discrete")
    assert (found.status, found.stats.steps) == (theirs.status, theirs.stats.steps)
    assert np.isnan(found.dy0).all()


def test_a_step_on_its_own_two_pieces_tells_the_error():
    problem = ab.problems.get("lotka_volterra")
    found = ab.gradient(problem, "native-discrete", rtol=1e-5, error_bar=True)
    reference = ab.gradient(problem, "native-discrete", rtol=1e-12, atol=1e-13)
    scale = np.linalg.norm(problem.params["p"] * reference.dparams["p"])
    off = np.linalg.norm(problem.params["p"] * (found.dparams["p"] - reference.dparams["p"]))
    assert 0.5 < found.gradient_error.dparams / (off / scale) < 2.0
    assert found.gradient_error.how == "halved steps"


def test_what_cannot_be_written_in_c_is_refused_in_one_sentence():
    def branches(t, y, p):
        return y if y[0] > 1.0 else -y

    def foreign(t, y, p):
        return -y * array_namespace(y).nextafter(y[0], 2.0 * y[0])

    for rhs, told in (
        (branches, "xp.where"),
        (foreign, "its rhs cannot be written in C: xp.nextafter"),
    ):
        with pytest.raises(ValueError, match=told) as refused:
            ab.prepare(tiny.decay(rhs=rhs), "native-discrete")
        assert "jax-discrete" in str(refused.value)
    with pytest.raises(ValueError, match="more than 200000 operations"):
        ab.prepare(ab.problems.get("digits"), "native-discrete")


def test_without_a_compiler_it_says_what_would_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    compiler.compiler.cache_clear()
    try:
        with pytest.raises(ValueError, match="no C compiler was found; install one"):
            ab.prepare(tiny.decay(), "native-discrete")
    finally:
        monkeypatch.undo()
        compiler.compiler.cache_clear()


def test_a_compiler_that_fails_is_told_with_its_first_words(monkeypatch):
    with pytest.raises(compiler.NoCompilerError, match=r"failed: .*error"):
        compiler.loaded("this is no C")


PROGRAM = """
import time, adjointbench as ab
problem = ab.problems.get("lotka_volterra")
print(ab.gradient(problem, "native-discrete").stats.compile_s)
"""


def test_programs_are_kept_in_a_cache_with_a_space_in_its_path_and_do_without_one(tmp_path):
    caches = tmp_path / "my caches"
    environment = {**os.environ, "XDG_CACHE_HOME": str(caches)}

    def seconds():
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return float(run.stdout)

    first = seconds()
    assert len(list((caches / "adjointbench" / "native").glob("*.so"))) == 1
    assert seconds() < first
    blocked = tmp_path / "a file"
    blocked.touch()
    environment["XDG_CACHE_HOME"] = str(blocked)
    assert seconds() > 0.0


@pytest.mark.parametrize("solver", ["tsit5", "dop853", "rodas5p"])
def test_windows_of_steps_are_taken_again_to_the_bit(solver, monkeypatch):
    """Saves between steps, doses and a break in time."""
    problem = tiny.doses(save_at=np.linspace(0.1, 3.0, 7))
    kept = ab.gradient(problem, "native-discrete", solver=solver, rtol=1e-9)
    monkeypatch.setattr(compiled_loop, "WINDOW_BYTES", 0)
    again = ab.gradient(problem, "native-discrete", solver=solver, rtol=1e-9)
    assert kept.stats.steps > 8
    assert (again.loss, again.status) == (kept.loss, "ok")
    np.testing.assert_array_equal(again.dy0, kept.dy0)
    for name, gradient in kept.dparams.items():
        np.testing.assert_array_equal(again.dparams[name], gradient)
