"""A claim about a stiff solver from outside of JAX: its forward solve, and its gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...adjoints.methods import find_method
from ..measuring.errors import errors_against
from ..measuring.measure import ATOL_SCALE
from ..measuring.row import Row
from ..measuring.timing import Silence, in_turn, timed_gradient, timed_primal
from .claim import (
    DOES_NOT_HOLD,
    HOLDS,
    IN_PART,
    REASON,
    Claim,
    Figures,
    Limit,
    Limits,
    Plot,
    Verdict,
)
from .equal_error import BUDGET_S, FASTER, lines_of, ratio, seconds_of
from .zoo_gradients import problem_of

STIFF = "van_der_pol(mu=1000.0)"

RIVAL, DIFFRAX, OURS = "diffsol-forward", "diffrax-recursive-checkpoint", "jax-discrete"

#: What is compiled for each tolerance anew has one of them in a quick run, the others more, so
#: that they are met at the same error.
RTOLS, FEW_RTOLS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9), (1e-5, 1e-7)
QUICK_RTOL = 1e-6


def forward_and_gradient(quick: bool, silence: Silence) -> Figures:
    """Times of diffrax over those of the rival, of a solve and of a gradient, at equal errors."""
    if find_method(RIVAL) is None:
        return {REASON: f"There is no method {RIVAL} in this version."}
    others = (QUICK_RTOL,) if quick else FEW_RTOLS
    solves: dict[str, list[Row]] = {}
    gradients: dict[str, list[Row]] = {}
    for method, rtols in ((DIFFRAX, others), (OURS, RTOLS), (RIVAL, RTOLS)):
        pairs = [_rows(method, rtol, silence) for rtol in rtols]
        solves[method], gradients[method] = ([pair[i] for pair in pairs] for i in (0, 1))
    figures: dict[str, Any] = {}
    for name, found in (("solve", solves), ("gradient", gradients)):
        # The errors that diffrax reached: its own times are measured ones there.
        errors = [row.error for row in found[DIFFRAX] if row.error is not None]
        seconds = seconds_of(found, max(errors)) if errors else {}
        figures[name] = ratio(seconds, DIFFRAX, RIVAL)
        figures[f"{name}_of_ours"] = ratio(seconds, DIFFRAX, OURS)
    lines = lines_of(solves, what="solve") + lines_of(gradients, what="gradient")
    return figures | {"lines": lines}


def _rows(method: str, rtol: float, silence: Silence) -> tuple[Row, Row]:
    """Of the solve, with the error of the loss, and of the gradient."""
    problem = problem_of(STIFF)
    reference = problem.reference
    assert reference is not None
    run = prepare(problem, method, rtol=rtol, atol=rtol * ATOL_SCALE)
    result = run()
    row = Row(problem=STIFF, method=method, rtol=rtol, status=result.status)
    if result.status != "ok":
        return row, row
    errors = errors_against(reference, result, problem.params)
    primal = timed_primal(run)
    assert primal is not None
    with silence():
        solve, gradient = np.median(in_turn([primal, timed_gradient(run)], BUDGET_S), axis=1)
    return (
        replace(row, error=errors["loss_error"], seconds=float(solve)),
        replace(row, error=errors["error"], seconds=float(gradient)),
    )


def _judge(figures: Figures, limits: Limits) -> Verdict:
    said, faster = limits["said"].value, limits["faster"].value
    word = HOLDS if figures["solve"] >= said else DOES_NOT_HOLD
    if word != HOLDS and figures["solve"] > faster:
        word = IN_PART
    return Verdict(
        word,
        f"At the error of diffrax its solve takes {figures['solve']:.3g} times as long and its "
        f"gradient {figures['gradient']:.3g} times; {figures['solve_of_ours']:.3g} and "
        f"{figures['gradient_of_ours']:.3g} times as long as the open solver's.",
    )


STIFF_RIVAL = (
    Claim(
        key="27",
        sentence="On stiff Van der Pol diffsol is 110 times as fast as diffrax.",
        source="diffsol-jax 0.0.2, its benchmarks: forward solves, mu = 1000",
        measured=f"{STIFF} to t = 500, one core: time of a forward solve at equal error of the "
        f"loss, and of a gradient at equal gradient error, of {DIFFRAX} (kvaerno5) over that of "
        f"{RIVAL}",
        measure=forward_and_gradient,
        leading="solve",
        unit="times as long, diffrax's forward solve",
        limits={
            "said": Limit(109.0, "times as long, the least that is said"),
            "faster": FASTER,
        },
        decide=_judge,
        published="109 to 120 times in forward solves",
        plot=Plot("error", "seconds", "method", "error", "seconds"),
    ),
)
