"""The claim about gradients of stochastic equations: through the solver, or backsolved."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measuring.equal_times import NOISE
from ..measuring.errors import gradient_errors
from ..measuring.shared_programs import shared_programs
from ..measuring.studies.sde import PROBLEMS
from ..measuring.studies.sde_task import timed_call
from ..measuring.studies.sde_truth import NUMBER, get_sde, truth_of
from ..measuring.studies.sde_ways import Found, way
from ..measuring.timing import Silence, in_turn
from .claim import Claim, Figures, Limit, Plot
from .judges import all_of

#: Multiplicative noise with a closed form, and the spiral of the paper.
SPIRAL = PROBLEMS[3]
QUICK_CASES = ((PROBLEMS[0], 2.0**-6),)
CASES = tuple((problem, 2.0**-k) for problem in (PROBLEMS[0], SPIRAL) for k in (4, 6, 8))

OURS, FORWARD = "jax-discrete(solver=sriw1", "jax-forward(solver=sriw1"
#: The same solver and steps twice, so that the adjoint alone differs.
SAME_STEPS = "diffrax-recursive-checkpoint(solver=heun"
BACKSOLVE = "diffrax-backsolve(solver=heun"
WAYS = (OURS, FORWARD, SAME_STEPS, BACKSOLVE)

BUDGET_S = 0.2


def backsolved(quick: bool, silence: Silence) -> Figures:
    """Errors and times of pathwise gradients at equal steps, and of forward and reverse mode."""
    lines: list[dict[str, Any]] = []
    between = 0.0
    # Most of its programs are those of the study.
    with shared_programs():
        for problem, step in QUICK_CASES if quick else CASES:
            mine, difference = _case(problem, step, silence)
            lines += mine
            between = max(between, difference)
    backsolve = [line for line in lines if line["method"] == f"{BACKSOLVE})"]
    return {
        "between_modes": between,
        "cases": len(backsolve),
        "worse": sum(max(line["time_ratio"], line["error_ratio"]) > NOISE for line in backsolve),
        "time_ratio": float(np.median([line["time_ratio"] for line in backsolve])),
        "error_ratio": float(np.median([line["error_ratio"] for line in backsolve])),
        "adjoint_time_ratio": float(np.median([x["adjoint_time_ratio"] for x in backsolve])),
        "off": max(line["off"] for line in backsolve),
        "agreement": max(line["agreement"] for line in lines),
        "lines": lines,
    }


def _case(name: str, step: float, silence: Silence) -> tuple[list[dict[str, Any]], float]:
    """A line a way, and how far apart our two modes are."""
    problem, truth = get_sde(name), truth_of(name)
    ways = [way(problem, f"{text}, step={step})") for text in WAYS]
    found = [each.on_given_path(truth.params, problem.y0, NUMBER) for each in ways]
    errors = [gradient_errors(x.dparams, truth.dparams, truth.params)["error"] for x in found]
    calls = [timed_call(each, problem) for each in ways]
    with silence():
        times = np.median(in_turn(calls, BUDGET_S * len(calls)), axis=1)
    reverse, forward, same, back = found
    off = _distance(back, same, truth.params)
    lines = [
        {
            "problem": problem.name,
            "step": step,
            "method": f"{text})",
            "error": error,
            "seconds": float(seconds),
            "time_ratio": float(seconds / times[0]),
            "error_ratio": error / errors[0],
            "adjoint_time_ratio": float(seconds / times[2]),
            "off": off,
            "agreement": truth.agreement,
        }
        for text, error, seconds in zip(WAYS, errors, times, strict=True)
    ]
    return lines, _distance(forward, reverse, truth.params)


def _distance(found: Found, other: Found, params: dict[str, np.ndarray]) -> float:
    return gradient_errors(found.dparams, other.dparams, params)["error"]


STOCHASTIC = (
    Claim(
        key="29",
        sentence="Neural SDEs can be trained with forward and reverse mode through the solver; the "
        "continuous (backsolve) adjoint is slower or less accurate.",
        source="Pal et al., Opening the blackbox, ICML 2021, arXiv:2105.03918; the manual of "
        "SciMLSensitivity on stochastic equations",
        measured="a hundred paths of geometric Brownian motion and of the noisy spiral on a given "
        "Brownian motion, at equal steps of 1/16, 1/64 and 1/256: pathwise gradients of the open "
        "solver (sriw1) in reverse and forward mode, and of diffrax with Heun's method by "
        "BacksolveAdjoint and by RecursiveCheckpointAdjoint, which tells the adjoint from the "
        "solver",
        measure=backsolved,
        leading="error_ratio",
        unit="times the error of the open solver's gradient, backsolve at equal steps, the median",
        limits={
            "equal": Limit(1e-9, "a relative difference up to which two modes are one gradient"),
            "worse": Limit(NOISE, "times as long, or times the error, from which it is worse"),
        },
        decide=all_of(
            "Forward and reverse mode differ by {between_modes:.1e}. Backsolve is worse in time or "
            "error in {worse} of {cases} cases: in the median {time_ratio:.2g} times the time and "
            "{error_ratio:.2g} times the error of the open solver at equal steps. With the same "
            "solver it takes {adjoint_time_ratio:.2g} times as long as the discrete adjoint, and "
            "is up to {off:.1e} away from it.",
            forward_mode_equals_reverse=lambda f, at: f["between_modes"] <= at["equal"].value,
            backsolve_is_worse_everywhere=lambda f, at: f["worse"] == f["cases"],
        ),
        plot=Plot("error", "seconds", "method", "gradient error", "seconds, a hundred paths"),
    ),
)
