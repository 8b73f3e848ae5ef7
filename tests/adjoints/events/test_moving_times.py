"""Times that the parameters decide, on every method that takes them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import stopping_cases as cases
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench.adjoints.events.held_program import KEPT, HeldProgram
from adjointbench.adjoints.events.held_times import held_problem, held_times
from adjointbench.adjoints.gradient import _program
from adjointbench.adjoints.methods import METHODS, get_method
from adjointbench.problems.moving_times import moves

MAKE = {
    "switch": cases.switch,
    "lag": cases.lag_time,
    "both": cases.dose_and_switch,
}
case_of = functools.cache(lambda name: MAKE[name]())

TIGHT = {"rtol": 1e-10, "atol": 1e-12}

#: Comparisons of complex times are refused.
NOT_ANALYTIC = {"switch", "both"}

#: Problems and kinds of adjoints that compile for seconds, and are in the short run all the same.
SHORT = {("both", "discrete"), ("both", "blackbox")}

MOVING = [method for method in METHODS if "moving times" in method.models]


def allowed(method) -> float:
    """At rtol 1e-10.

    Differences of solves have a relative step of 5e-5, and so an error of third derivatives of the
    loss by 1e-9, and a noise of a thousandth of rtol divided by that step. CVODES' multistep
    methods are off by some thousand times their tolerance.
    """
    if method.name == "finite-difference":
        return 1e-6
    return 3e-7 if method.library == "casadi" else 1e-8


def rows():
    """Problems and methods; open solvers, which compile for seconds, in the long run."""
    for name in MAKE:
        for method in MOVING:
            if method.name == "complex-step" and name in NOT_ANALYTIC:
                continue
            compiles = method.backend in ("jax", "torch")
            long = compiles and (name, method.adjoint) not in SHORT
            marks = [pytest.mark.long] if long else []
            yield pytest.param(name, method, marks=marks, id=f"{name}-{method.name}")


@pytest.mark.parametrize(("name", "method"), list(rows()))
def test_every_method_agrees_with_the_closed_form(name, method):
    found = ab.gradient(case_of(name).problem, method.name, **TIGHT)
    assert case_of(name).largest_error(found) < allowed(method)


@pytest.mark.parametrize("name", ["scipy-adjoint", "native-discrete", "cvodes-forward"])
def test_one_run_at_other_parameters(name):
    """The times follow a call's parameters; other orders, and outside the span, too."""
    case = case_of("lag")
    run = ab.prepare(case.problem, name, **TIGHT)
    for changed in ({"lag": 0.5}, {"lag": 2.7, "interval": -1.1}, {"lag": 2.2, "interval": 3.0}):
        found = run(changed)
        assert found.status == "ok"
        loss, dparams, dy0 = case.exact(changed)
        assert run.primal(changed) == pytest.approx(loss, rel=1e-7)
        for one, exact in [(found.dy0, dy0), *((found.dparams[k], dparams[k]) for k in dparams)]:
            np.testing.assert_allclose(one, exact, rtol=1e-6, atol=1e-8)


def test_programs_are_kept_by_their_times():
    problem = case_of("switch").problem
    settings = ab.prepare(problem, "native-discrete").settings
    built = []

    def build(held, settings):
        built.append(held.jump_times)
        return _program(held, settings)

    program = HeldProgram(problem, settings, build)
    for tau in (0.8, 0.9, 0.8, 0.9):
        program.primal({**problem.params, "tau": np.asarray(tau)}, problem.y0)
    program.primal({**problem.params, "k": np.asarray(0.1)}, problem.y0)
    assert built == [(0.8,), (0.9,)]
    for tau in np.linspace(0.1, 0.7, KEPT):
        program.primal({**problem.params, "tau": np.asarray(tau)}, problem.y0)
    program.primal(problem.params, problem.y0)
    assert built[-1] == (0.8,)


def test_times_that_a_library_cannot_tell_apart_are_a_status():
    run = ab.prepare(case_of("lag").problem, "cvodes-forward")
    found = run({"lag": 0.9 + 4e-15})
    assert found.status == "failed"
    assert "takes times closer than" in found.message
    assert np.isnan(run.primal({"lag": 0.9 + 4e-15}))


def two_switches(discontinuities, **params):
    """y' = -y, y / 2 or y, as two times say."""

    def rhs(t, y, p):
        late = cases.chosen(t < p["sigma"], y, 0.5, 1.0)
        return y * array_namespace(y).where(t < p["tau"], -1.0 + 0 * y, late)

    return ab.Problem(
        name="two switches",
        rhs=rhs,
        y0=[1.0],
        params={"tau": 0.5, "sigma": 1.0, **params},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: ys.sum(),
        discontinuities=discontinuities,
    )


def test_times_that_coincide_by_chance_have_no_derivative():
    problems = {
        two_switches(("tau", "sigma")): "ok",
        two_switches(("tau", "sigma"), tau=1.0): "event",
        two_switches(("tau", "sigma", 1.5), tau=1.5): "event",
        two_switches(lambda p: [p["tau"], 2 * p["tau"] - p["tau"], p["sigma"]]): "ok",
    }
    for problem, status in problems.items():
        assert held_times(problem, problem.params).defined == (status == "ok")
        for method in ("finite-difference", "native-discrete"):
            if method == "native-discrete" or status == "event":
                assert ab.gradient(problem, method).status == status


def test_nothing_is_told_of_a_time_at_the_start():
    case = case_of("lag")
    for method in ("scipy-adjoint", "finite-difference", "native-discrete"):
        found = ab.gradient(case.problem, method, params={"lag": 0.0})
        assert found.status == "event"
        assert np.isnan(found.dparams["lag"])


@pytest.mark.parametrize("method", ["finite-difference", "scipy-adjoint", "native-discrete"])
def test_nothing_is_told_of_a_time_at_a_save(method):
    """A dose at the very time of a save: a solve with a later one does not save it."""
    found = ab.gradient(case_of("lag").problem, method, params={"lag": 0.9})
    assert found.status == "event"
    assert np.isnan(found.loss)


@pytest.mark.parametrize("name", MAKE)
def test_a_held_problem_is_the_same_problem(name):
    case = case_of(name)
    params = case.problem.params
    held = held_problem(case.problem, params, held_times(case.problem, params))
    assert not moves(held)
    found = ab.gradient(held, "complex-step" if name == "lag" else "native-discrete", **TIGHT)
    assert case.largest_error(found) < 1e-8


def test_single_precision():
    """Times are told apart in the precision of the solve, whatever that of the problem."""
    for case in [case_of("both")]:
        single = case.problem.with_dtype(np.float32)
        for method in ("scipy-adjoint", "native-discrete"):
            found = ab.gradient(single, method, rtol=1e-5, atol=1e-6)
            assert found.status == "ok"
            np.testing.assert_allclose(found.dparams["tau"], case.exact()[1]["tau"], rtol=2e-3)


def test_the_complex_step_refuses_comparisons_with_a_time():
    with pytest.raises(ValueError, match="needs analytic functions, and rhs"):
        ab.gradient(case_of("switch").problem, "complex-step")


def test_libraries_without_jumps_refuse_times_that_move():
    for name in ("diffrax-backsolve", "torchdiffeq-adjoint"):
        assert "moving times" not in get_method(name).models
        with pytest.raises(ValueError, match="move with the parameters"):
            ab.prepare(case_of("switch").problem, name)


def test_definitions_differ_by_their_times():
    problem = case_of("switch").problem
    other = dataclasses.replace(problem, discontinuities=())
    assert problem.definition_hash() != other.definition_hash()
