"""The claim that a status ``ok`` means a right gradient, without error bars and with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ... import problems
from ..measuring.error_bars import honesty, is_false_alarm, said_so, shares
from ..measuring.ladder import is_wrong
from ..measuring.measure import gradient_is_small
from ..measuring.row import Row
from ..measuring.timing import Silence
from .claim import Claim, Figures, Limit
from .judges import all_of
from .zoo_gradients import problem_of, shown, zoo_rows

#: Of methods that compile nothing, and of problems on which they take seconds.
QUICK_METHODS = ("torch-discrete", "torch-interpolating")
QUICK_PROBLEMS = ("lotka_volterra", "adaptive_ad_trap", "van_der_pol")
METHODS = ("jax-discrete", "jax-interpolating", "jax-backsolve")

QUICK_RTOLS, RTOLS = (1e-3, 1e-5), (1e-3, 1e-5, 1e-7, 1e-9)


def ok_and_wrong(quick: bool, silence: Silence) -> Figures:
    """Gradients that end ``ok`` and are wrong, and how many of them say so with an error bar."""
    rows = list(_rows(quick))
    found, hits = honesty(rows), shares(rows)
    return {
        "gradients": found.gradients,
        "before": len(found.before),
        "after": len(found.after),
        "alarms": len(found.alarms),
        "problems": len({row.problem for row in rows}),
        "methods": len({row.method for row in rows}),
        "close": None if hits is None else hits.close,
        "near": None if hits is None else hits.near,
        "lines": [_line(row) for row in rows if is_wrong(row) or said_so(row)],
    }


def _rows(quick: bool) -> Iterator[Row]:
    """Gradients with their error bars, on problems that are certified."""
    for name in QUICK_PROBLEMS if quick else problems.names():
        problem = problem_of(name)
        if problem.reference is None or not gradient_is_small(problem):
            continue
        for method in QUICK_METHODS if quick else METHODS:
            for row in zoo_rows(name, method, QUICK_RTOLS if quick else RTOLS, error_bar=True):
                yield dataclasses.replace(row, referenced=True)


def _line(row: Row) -> dict[str, Any]:
    names = ("problem", "method", "rtol", "error", "estimated_error", "error_bar_status")
    return shown(row, *names) | {"false_alarm": is_false_alarm(row)}


TRUST_IN_OK = (
    Claim(
        key="28",
        sentence="A status ok means that the gradient is right.",
        source="what a solver's success is taken for: SciPy's `success`, diffrax's "
        "`RESULTS.successful`, CVODES' `CV_SUCCESS`",
        measured="gradients with their error bars by our discrete and continuous adjoints, on "
        "certified problems over a ladder of tolerances: how many end ok and are off by more than "
        "10 %, how many of these are not called inaccurate by their error bar, and how many are "
        "called so and are off by less than 3 %",
        measure=ok_and_wrong,
        leading="before",
        unit="gradients that end ok and are wrong, without error bars",
        limits={
            "wrong": Limit(0.0, "gradients that may be wrong and say ok"),
            "alarms": Limit(0.01, "share of false alarms up to which an error bar can be used"),
        },
        decide=all_of(
            "Of {gradients} gradients of {methods} methods on {problems} problems that end ok "
            "{before} are off by more than 10 %; with an error bar {after} of them still say ok, "
            "and {alarms} that are right to 3 % are called inaccurate.",
            without_error_bars=lambda f, t: f["before"] <= t["wrong"].value,
            with_error_bars=lambda f, t: (
                f["after"] <= t["wrong"].value and f["alarms"] <= t["alarms"].value * f["gradients"]
            ),
        ),
    ),
)
