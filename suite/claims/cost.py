"""Claims about what a gradient costs by size and by the order of a regulariser."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...adjoints.regularizers.regularizer import Regularizer
from ..measuring.measure import iterate_ladder
from ..measuring.row import Row
from ..measuring.studies import scaling
from ..measuring.timing import Silence, in_turn, timed_gradient
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
from .judges import all_of
from .median_and_range import quartiles
from .zoo_gradients import problem_of

QUICK_SIZES, SIZES = (2, 3), (2, 3, 5, 10)
QUICK_METHODS = (scaling.FORWARD, "jax-discrete", "jax-interpolating")

#: Orders of Taylor's regulariser, on so many samples, with fixed steps: the same evaluations.
ORDERS, SAMPLES, STEP = (2, 3, 4), "two_spirals(batch=32)", 1 / 32


def by_size(quick: bool, silence: Silence) -> Figures:
    """Times of the scaling study, of fewer methods and sizes."""
    rows = []
    for n in QUICK_SIZES if quick else SIZES:
        for method in QUICK_METHODS if quick else (scaling.FORWARD, *scaling.ADJOINTS):
            problem = problem_of(scaling.problem_of(n))
            atol_scale = scaling.ATOL / scaling.RTOL
            rows += iterate_ladder(
                problem, method, (scaling.RTOL,), atol_scale=atol_scale, silence=silence
            )
    return figures_of_scaling(rows)


def figures_of_scaling(rows: Iterable[Row]) -> Figures:
    """The figures of the claim, from rows of the scaling study."""
    times = scaling.times(rows)
    forward, reverse = times.get(scaling.FORWARD, {}), times.get("jax-discrete", {})
    best: dict[float, float] = {}
    for method in scaling.CONTINUOUS:
        for size, seconds in times.get(method, {}).items():
            best[size] = min(seconds, best.get(size, math.inf))
    gains = {
        size: (forward[size] / best[size], reverse[size] / best[size])
        for size in sorted(forward.keys() & reverse.keys() & best.keys())
    }
    if not gains:
        return {REASON: "No size has times of forward mode, the discrete and a continuous adjoint."}
    crossing = scaling.own_crossover(times, scaling.CONTINUOUS)
    by_size_of = {size: gain[0] for size, gain in gains.items()}
    return {
        "gain_on_forward": max(by_size_of.values()),
        "gain_on_forward_low": min(by_size_of.values()),
        "gain_on_forward_high": max(by_size_of.values()),
        "gain_on_discrete": max(gain[1] for gain in gains.values()),
        "largest": max(gains),
        "crossover": None if crossing is None else crossing.at,
        "crossover_low": None if crossing is None else crossing.low,
        "crossover_high": (
            None if crossing is None or math.isinf(crossing.high) else crossing.high
        ),
        "lines": [
            {"method": method, "unknowns": size, "seconds": seconds}
            for method, measured in times.items()
            for size, seconds in measured.items()
        ],
    }


def taylor_by_order(quick: bool, silence: Silence) -> Figures:
    """Time of one gradient with Taylor's regulariser of several orders over one without."""
    problem = problem_of(SAMPLES)
    fixed: dict[str, Any] = {"solver": "euler", "first_step": STEP}
    runs = [prepare(problem, "jax-discrete", **fixed)]
    orders = ORDERS if quick else (*ORDERS, 5)
    for order in orders:
        penalty = Regularizer("taylor", order=order)
        penalized: dict[str, Any] = {"regularizer": penalty, "coefficient": 1e-3} | fixed
        runs.append(prepare(problem, "jax-discrete", **penalized))
    calls = [timed_gradient(run) for run in runs]
    with silence():
        seconds = in_turn(calls, 0.5)
    ratios = seconds[1:] / seconds[0]
    lines = [
        {"order": order, "way": "taylor", "over_none": float(np.median(mine))}
        for order, mine in zip(orders, ratios, strict=True)
    ]
    middle = [line["over_none"] for line in lines]
    return {
        **quartiles("growth", ratios[ORDERS.index(4)] / ratios[ORDERS.index(2)]),
        "second": middle[0],
        "fourth": middle[ORDERS.index(4)],
        "rises": float(all(low < high for low, high in itertools.pairwise(middle))),
        "lines": lines,
    }


def _judge_orders(figures: Figures, limits: Limits) -> Verdict:
    word = HOLDS if figures["growth"] >= limits["growth"].value else DOES_NOT_HOLD
    if word != HOLDS and figures["rises"]:
        word = IN_PART
    return Verdict(
        word,
        f"A gradient costs {figures['second']:.2g} times one without at order 2 and "
        f"{figures['fourth']:.2g} times at order 4: {figures['growth']:.2g} times as much.",
    )


def _crossing(figures: Figures) -> str:
    if figures.get("crossover") is not None:
        return f"Forward mode is overtaken at {figures['crossover']:.0f} states and parameters"
    if figures.get("crossover_high") is None:
        return f"Forward mode is overtaken by none up to {figures['largest']:.0f} unknowns"
    return f"Forward mode is overtaken before {figures['crossover_high']:.0f} unknowns"


def _judge_size(figures: Figures, limits: Limits) -> Verdict:
    words = (
        "The best continuous adjoint is up to {gain_on_forward:.2g} times as fast as forward mode "
        "and up to {gain_on_discrete:.2g} times as fast as the discrete adjoint. "
    )
    return all_of(
        words + _crossing(figures) + ".",
        faster_than_forward_mode=lambda f, t: f["gain_on_forward"] >= t["faster"].value,
        faster_than_the_discrete_adjoint=lambda f, t: f["gain_on_discrete"] >= t["faster"].value,
    )(figures, limits)


COST = (
    Claim(
        key="3",
        sentence="Continuous adjoints can be faster than AD of the solver.",
        source="Ma et al., HPEC 2021, arXiv:1812.01892",
        measured="the Brusselator of n x n points to t = 1, tolerances 1e-7 and 1e-5: time of one "
        "gradient in forward mode and by the discrete adjoint over that of the best continuous "
        "one, all with rodas5p",
        measure=by_size,
        leading="gain_on_forward",
        unit="times as fast as forward mode, at best [by size]",
        limits={"faster": Limit(1.1, "times as fast, from which it is faster")},
        decide=_judge_size,
        published="forward mode is overtaken between 24 and 54 states and parameters; at 1350, "
        "interpolating takes 7.6 s and forward mode 2342 s",
        plot=Plot("unknowns", "seconds", "method", "states and parameters", "seconds a gradient"),
    ),
    Claim(
        key="20",
        sentence="Taylor regularisation gets costly with its order.",
        source="Kelly et al., NeurIPS 2020, arXiv:2007.04504; Pal et al., arXiv:2105.03918",
        measured="two spirals, 32 samples, fixed Euler steps: time of one gradient with Taylor's "
        "regulariser of order K over one without; the growth from order 2 to 4",
        measure=taylor_by_order,
        leading="growth",
        unit="times as much at order 4 as at order 2",
        limits={"growth": Limit(1.5, "growth from which it gets costly")},
        decide=_judge_orders,
        plot=Plot("order", "over_none", "way", "order", "time over that without"),
    ),
)
