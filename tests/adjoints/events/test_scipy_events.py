"""Events on SciPy's solvers: located, crossed and differentiated as closed forms say."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import stopping_cases as cases
import torch

import adjointbench as ab
from adjointbench.adjoints.methods import METHODS, get_method
from adjointbench.adjoints.scipy.flat import flat_system, pack
from adjointbench.adjoints.scipy.integrate import Options
from adjointbench.adjoints.scipy.primal import solve_primal
from adjointbench.adjoints.scipy.segments import schedule

METHODS_WITH_EVENTS = [
    method.name
    for method in METHODS
    if "events" in method.models and "dop853" in method.solvers and "rk45" in method.solvers
]

MAKE = {
    "ball": cases.bouncing_ball,
    "dose": cases.threshold_dose,
    "stone": cases.falling_stone,
    "relay": cases.relay,
}
case_of = functools.cache(lambda name: MAKE[name]())


def allowed(method: str) -> float:
    """At rtol 1e-10.

    Differences of solves have a relative step of 5e-5, and so an error of third derivatives of the
    loss by 1e-9, and a noise of a thousandth of rtol divided by that step.
    """
    return 1e-6 if method == "finite-difference" else 1e-8


def rows():
    """Problems and methods; those that compile for seconds see one problem in the short run."""
    for name in MAKE:
        for method in METHODS_WITH_EVENTS:
            compiles = method == "scipy-forward" or method.endswith("blackbox")
            marks = [pytest.mark.long] if compiles and name != "ball" else []
            yield pytest.param(name, method, marks=marks)


@pytest.mark.parametrize(("name", "method"), list(rows()))
def test_every_method_agrees_with_the_closed_form(name, method):
    found = ab.gradient(case_of(name).problem, method, rtol=1e-10, atol=1e-12)
    assert case_of(name).largest_error(found) < allowed(method)


@pytest.mark.parametrize(
    ("solver", "method"),
    [
        pytest.param(solver, method, marks=() if method == "complex-step" else (pytest.mark.long,))
        for method in ("complex-step", "scipy-forward", "scipy-adjoint", "finite-difference")
        for solver in get_method(method).solvers
    ],
)
def test_every_solver_stops_at_events(solver, method):
    found = ab.gradient(case_of("dose").problem, method, solver=solver, rtol=1e-8, atol=1e-10)
    # The error of multistep methods is some hundred times their tolerance.
    assert case_of("dose").largest_error(found) < 3e-6


@pytest.mark.parametrize("solver", ["radau", "lsoda"])
def test_implicit_solvers_stop_at_events(solver):
    problem = case_of("dose").problem
    found = ab.prepare(problem, "finite-difference", solver=solver, rtol=1e-8).primal()
    assert found == pytest.approx(case_of("dose").exact()[0], rel=1e-6)


def test_one_run_at_other_parameters_finds_other_events():
    case = cases.bouncing_ball(bounces=2)
    run = ab.prepare(case.problem, "scipy-adjoint", rtol=1e-10, atol=1e-12)
    for restitution in (0.9, 0.8):
        changed = {"e": restitution}
        assert case.largest_error(run(changed), changed) < 1e-8
        exact = case.exact(changed)[0]
        assert run.primal(changed) == pytest.approx(exact, rel=1e-9)


def test_twenty_bounces():
    case = cases.bouncing_ball(bounces=20, t1=7.9, max_events=40)
    found = ab.gradient(case.problem, "scipy-adjoint", rtol=1e-10, atol=1e-12)
    assert case.largest_error(found) < 1e-8


def test_the_order_of_the_gradient_is_that_of_the_solver():
    """The time of an event is as accurate as the state: RK45's error falls as its tolerance."""
    case = case_of("dose")
    errors = [
        case.largest_error(
            ab.gradient(case.problem, "scipy-adjoint", solver="rk45", rtol=rtol, atol=rtol)
        )
        for rtol in (1e-4, 1e-8)
    ]
    assert errors[1] < 1e-3 * errors[0]


def trajectory(problem, rtol=1e-10):
    functions = flat_system(problem).at(pack(problem.params))
    options = Options("dop853", rtol, 1e-12, 10_000)
    return solve_primal(functions, np.ravel(problem.y0), schedule(problem), options, jacobian=None)


def oscillator(*events, save_at=(3.0,), t1=3.0, **changes):
    """y = (sin t, cos t), and events on it."""
    return ab.Problem(
        name="oscillator",
        rhs=lambda t, y, p: cases.components(y[1], -y[0]) * p["speed"],
        y0=[0.0, 1.0],
        params={"speed": 1.0},
        t_span=(0.0, t1),
        save_at=save_at,
        loss=lambda ys, p: (ys**2).sum() + p["event_times"][0],
        events=events,
        **changes,
    )


def crossing(level=0.0, component=0, **options):
    return ab.Event(when=lambda t, y, p: y[component] - level, **options)


def test_directions_and_the_start():
    """sin t from zero: the start is no event; falling at pi, rising at 2 pi."""
    times = {
        direction: [
            event.time
            for event in trajectory(
                oscillator(crossing(direction=direction), save_at=(8.0,), t1=8.0)
            ).events
        ]
        for direction in (-1, 0, 1)
    }
    for direction, found in {-1: [1], 0: [1, 2], 1: [2]}.items():
        np.testing.assert_allclose(times[direction], np.pi * np.array(found), rtol=1e-9)


def test_two_crossings_on_one_step_are_both_found():
    level = np.sin(np.pi / 2 - 0.05)
    found = trajectory(oscillator(crossing(level)), rtol=1e-5)
    steps = found.counts.steps
    assert [event.number for event in found.events] == [0, 0]
    np.testing.assert_allclose(
        [event.time for event in found.events], np.pi / 2 + np.array([-0.05, 0.05]), atol=1e-4
    )
    assert steps < 20


def test_a_terminal_event_holds_the_state_for_later_saves():
    found = trajectory(
        oscillator(crossing(0.5, terminal=True), save_at=(0.2, 1.0, 3.0)), rtol=1e-10
    )
    end = [0.5, np.sqrt(0.75)]
    np.testing.assert_allclose(found.ys, [[np.sin(0.2), np.cos(0.2)], end, end], rtol=1e-8)
    assert found.events[0].time == pytest.approx(np.pi / 6)


UNDEFINED = {
    "touches": (crossing(1.0),),
    "nearly touches": (crossing(1 - 1e-13),),
    "together": (crossing(0.5), ab.Event(when=lambda t, y, p: 2 * y[0] - 1)),
    "at a save": (ab.Event(when=lambda t, y, p: t - 1.5, jump=lambda t, y, p: -y),),
    "ends at a save": (ab.Event(when=lambda t, y, p: t - 1.5, terminal=True),),
    "at a jump": (ab.Event(when=lambda t, y, p: t - 2.0),),
    "at the end": (ab.Event(when=lambda t, y, p: t - 3.0),),
}


@pytest.mark.parametrize("method", ["finite-difference", "complex-step"])
@pytest.mark.parametrize("kind", UNDEFINED)
def test_what_is_not_defined_is_told(kind, method):
    problem = oscillator(
        *UNDEFINED[kind],
        save_at=(1.5, 3.0),
        jump_times=(2.0,),
        jump=lambda i, t, y, p: 1.0 * y,
    )
    found = ab.gradient(problem, method, rtol=1e-10, atol=1e-12)
    assert found.status == "event"
    assert np.isnan(found.loss)


def test_what_changes_nothing_may_happen_at_a_save():
    unseen = ab.Event(when=lambda t, y, p: t - 1.5)
    found = trajectory(oscillator(unseen, save_at=(1.5, 3.0)))
    assert found.status == "ok"
    np.testing.assert_allclose(found.ys[:, 0], np.sin([1.5, 3.0]), rtol=1e-8)
    assert found.events[0].time == pytest.approx(1.5, rel=1e-14)
    problem = oscillator(unseen, save_at=(1.5, 3.0))
    assert ab.gradient(problem, "scipy-adjoint").status == "ok"


def test_clear_of_the_tolerance_nothing_is_undefined():
    missed, crossed = (oscillator(crossing(1 + apart)) for apart in (1e-6, -1e-6))
    assert [len(trajectory(problem).events) for problem in (missed, crossed)] == [0, 2]


def test_more_events_than_there_is_room_for():
    case = case_of("ball")
    for room, status in ((4, "ok"), (3, "max_events")):
        problem = dataclasses.replace(case.problem, max_events=room)
        assert trajectory(problem).status == status
        found = ab.gradient(problem, "complex-step")
        assert found.status == status
        assert np.isnan(found.dy0).all() == (status != "ok")


def test_a_jump_that_carries_another_value_through_zero_is_no_event():
    kick = crossing(0.5, jump=lambda t, y, p: -y, direction=1)
    found = trajectory(oscillator(kick, crossing(0.0, component=0), t1=1.5, save_at=(1.5,)))
    # -(0.5, 0.87) goes down from there: no zero of the state before t = 1.5.
    assert [event.number for event in found.events] == [0]


def test_equations_of_one_framework():
    """PyTorch alone, and NumPy alone: analytic, and not."""
    when = {
        "torch": lambda t, y, p: torch.log(y[0]) - torch.log(p["low"]),
        "numpy": lambda t, y, p: np.log(y[0]) - np.log(p["low"]),
        "not analytic": lambda t, y, p: np.abs(y[0]) - p["low"],
    }
    case = case_of("dose")
    for kind, function in when.items():
        event = dataclasses.replace(case.problem.events[0], when=function)
        problem = dataclasses.replace(case.problem, events=(event,))
        found = ab.gradient(problem, "scipy-adjoint", rtol=1e-8, atol=1e-10)
        assert case.largest_error(found) < 1e-6, (kind, found.stats.derivatives)


def test_what_is_not_analytic_is_refused_by_the_complex_step():
    event = ab.Event(when=lambda t, y, p: abs(y[0]) - 0.5)
    with pytest.raises(ValueError, match="when of an event"):
        ab.gradient(oscillator(event), "complex-step")


def test_an_event_that_enters_or_leaves_within_a_difference_is_told():
    """The last bounce is a hair before the end: half of the solves do not see it."""
    case = cases.bouncing_ball()
    g, (height, speed) = 9.81, case.problem.y0
    fall = np.sqrt(speed**2 + 2 * g * height)
    end = (speed + fall) / g + 2 * 0.9 * fall / g + 1e-7
    problem = dataclasses.replace(
        case.problem,
        t_span=(0.0, end),
        save_at=[0.3, end],
        loss=lambda ys, p: (ys**2).sum() + p["event_times"][0],
    )
    assert ab.gradient(problem, "finite-difference").status == "event"
    assert ab.gradient(problem, "scipy-adjoint").status == "ok"


def test_peers_and_methods_without_support_refuse_events():
    for method in ("native-discrete", "cvodes-adjoint"):
        with pytest.raises(ValueError, match="events"):
            ab.prepare(case_of("ball").problem, method)
