"""What is measured of events and switches that look right: gradients with the status ok."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ...adjoints.gradient import gradient, prepare
from ...adjoints.program import compiled_when_called
from ...adjoints.result import GradientResult
from ...problems import Event, Problem
from ...problems.closed_form import exact_of
from ..measuring.errors import gradient_errors
from ..measuring.timing import Silence
from .claim import Figures
from .zoo_gradients import problem_of

#: The peer, and the open method beside it; those that need no compilation.
PEER, OPEN, UNCOMPILED = "diffrax-recursive-checkpoint", "jax-discrete", "scipy-forward"

RTOL = 1e-8

Line = dict[str, Any]


def rounded_to_steps(quick: bool, silence: Silence) -> Figures:
    """Events that Diffrax rounds to the end of a step, and those that it finds."""
    names = ("falling_time",) if quick else ("falling_time", "threshold_dose", "integrate_and_fire")
    lines = []
    for name in names:
        problem = problem_of(name)
        lines.append(_line(problem, "found", PEER, _asked(problem, PEER)))
        lines.append(_line(problem, "rounded to the step", PEER, _rounded(problem)))
    return _two_ways(lines, "found", "rounded to the step")


def two_on_one_step(quick: bool, silence: Silence) -> Figures:
    """Two thresholds that are passed on one step, the later one first in the list or second."""
    problems = {
        "in order of time": _two_thresholds(_UPPER, _LOWER),
        "the later one first": _two_thresholds(_LOWER, _UPPER),
    }
    lines = []
    for method in (PEER, UNCOMPILED) if quick else (PEER, UNCOMPILED, OPEN):
        # One program for both: what stands where in the list is a matter of parameters.
        run = prepare(problems["in order of time"], method, rtol=RTOL, atol=1e-3 * RTOL)
        for listed, problem in problems.items():
            lines.append(_line(problem, listed, method, run(problem.params)))
    of_peer = [line for line in lines if line["method"] == PEER]
    ours = [line["error"] for line in lines if line["method"] != PEER]
    return _two_ways(of_peer, "in order of time", "the later one first") | {
        "ours": max(ours, default=None),
        "lines": lines,
    }


def undeclared_switch(quick: bool, silence: Silence) -> Figures:
    """A time at which the equations switch, declared or not."""
    declared = problem_of("switched_rates")
    silent = dataclasses.replace(declared, discontinuities=())
    methods = (UNCOMPILED, "scipy-adjoint", "torch-discrete")
    lines = []
    for method in methods if quick else (*methods, OPEN, PEER):
        for how, problem in (("declared", declared), ("not declared", silent)):
            result = _asked(problem, method)
            slope = {"dL/dtau": float(result.dparams["tau"])}
            lines.append(_line(problem, how, method, result) | slope)
    slopes = [abs(line["dL/dtau"]) for line in lines if line["how"] == "not declared"]
    truth = _truth(declared)["tau"]
    return _two_ways(lines, "declared", "not declared") | {
        "largest_slope": max(slopes),
        "truth": float(truth),
        "lines": lines,
    }


def kink_at_an_event(quick: bool, silence: Silence) -> Figures:
    """Equations that switch at an event: Diffrax steps over the switch before it goes back."""
    problem = _switched_off()
    lines = [_line(problem, "at an event", PEER, _asked(problem, PEER))]
    lines.append(_line(problem, "at an event", UNCOMPILED, _asked(problem, UNCOMPILED)))
    if not quick:
        lines.append(_line(problem, "at an event", OPEN, _asked(problem, OPEN)))
    declared = dataclasses.replace(problem, events=(), discontinuities=("tau",))
    lines.append(_line(declared, "declared", PEER, _asked(declared, PEER)))
    ours = [line["error"] for line in lines if line["method"] != PEER]
    of_peer = [line for line in lines if line["method"] == PEER]
    return _two_ways(of_peer, "declared", "at an event") | {
        "ours": max(ours, default=None),
        "loss_error": max(x["loss_error"] for x in of_peer),
        "lines": lines,
    }


def _two_ways(lines: list[Line], right: str, wrong: str) -> dict[str, Any]:
    """The largest error of one way, the smallest of the other, and whether all of it is ok."""
    errors = {how: [x["error"] for x in lines if x["how"] == how] for how in (right, wrong)}
    return {
        "right": max(errors[right]),
        "wrong": min(errors[wrong]),
        "ok": all(line["status"] == "ok" for line in lines),
        "lines": lines,
    }


def _line(problem: Problem, how: str, method: str, result: GradientResult) -> Line:
    """What the flag shows: method, problem, status, and how far loss and gradient are off."""
    assert problem.exact is not None
    loss, dparams, _ = problem.exact(problem.params, problem.y0)
    errors = gradient_errors(result.dparams, dparams, problem.params)
    return {
        "method": method,
        "problem": problem.name,
        "how": how,
        "status": result.status,
        "error": errors["error"],
        "loss_error": abs(result.loss - loss) / abs(loss),
    }


def _truth(problem: Problem) -> Mapping[str, np.ndarray]:
    assert problem.exact is not None
    return problem.exact(problem.params, problem.y0)[1]


def _asked(problem: Problem, method: str) -> GradientResult:
    return gradient(problem, method, rtol=RTOL, atol=1e-3 * RTOL)


def _rounded(problem: Problem) -> GradientResult:
    """By Diffrax with ``Event(cond_fn)`` as it is by default, without a root finder."""
    from ...adjoints.peers.diffrax import prepare_rounded

    with compiled_when_called():
        settings = prepare(problem, PEER, rtol=RTOL, atol=1e-3 * RTOL).settings
    return prepare_rounded(problem, settings).gradient(problem.params, problem.y0)


#: Levels of a tank at which it is filled, and by how much.
_UPPER, _LOWER = (3.0, 5.0), (2.0, 2.5)


def _two_thresholds(first: tuple[float, float], second: tuple[float, float]) -> Problem:
    """A tank that empties at a constant rate, and is filled at either of two levels, as listed."""
    by = "first_fill" if first > second else "second_fill"
    return Problem(
        name="two thresholds",
        rhs=lambda t, y, p: 0 * y - p["rate"],
        y0=np.array([10.0]),
        params={
            "rate": 2.0,
            "first_level": first[0],
            "first_fill": first[1],
            "second_level": second[0],
            "second_fill": second[1],
        },
        t_span=(0.0, 4.5),
        loss=_last,
        events=(_filled_at("first"), _filled_at("second")),
        exact=exact_of(
            # It comes to the upper level first, after 3.5, and then not again.
            lambda p, y0: (np.stack([y0 + p[by] - 4.5 * p["rate"]]), np.zeros(0)),
            _last,
        ),
    )


def _filled_at(which: str) -> Event:
    return Event(
        when=lambda t, y, p: y[0] - p[f"{which}_level"],
        jump=lambda t, y, p: y + p[f"{which}_fill"],
        direction=-1,
    )


def _switched_off() -> Problem:
    """An input that ends at an event, as in issue 729 of Diffrax."""

    def rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
        xp = array_namespace(y)
        return 0 * y + xp.where(t < p["tau"], p["rate"], 0 * p["rate"])

    return Problem(
        name="input that ends",
        rhs=rhs,
        y0=np.array([0.0]),
        params={"rate": 1.0, "tau": 0.98},
        t_span=(0.0, 2.0),
        loss=_last,
        events=(Event(when=lambda t, y, p: t - p["tau"]),),
        exact=exact_of(lambda p, y0: (np.stack([y0 + p["rate"] * p["tau"]]), np.zeros(0)), _last),
    )


def _last(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, 0]
