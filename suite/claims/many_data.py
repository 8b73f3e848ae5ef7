"""A claim about adjoints where data are many: what it costs to stop at each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ...problems import Problem
from ..measuring.timing import Silence
from .claim import REASON, Claim, Figures, Plot
from .equal_error import FASTER, ladders, lines_of, ratio, seconds_of, truth_of
from .judges import all_of
from .zoo_gradients import problem_of

#: Kinetics of eight species and ten rates, until its last fast stage.
KINETICS, T_END = "hires", 300.0

FEW, MANY = 30, 3000
QUICK_RTOLS, RTOLS = (1e-3, 1e-6), (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
ERROR, TIGHT = 1e-3, 1e-9

RESTARTED, SENSITIVITIES = "cvodes-adjoint", "cvodes-forward"
DISCRETE, FORWARD = "jax-discrete", "jax-forward"


def with_data(points: int) -> Problem:
    """The kinetics, with so many measurements of each species to fit."""
    kinetics = problem_of(KINETICS)
    return replace(
        kinetics,
        name=f"{KINETICS}_with_{points}_data",
        t_span=(0.0, T_END),
        save_at=np.linspace(0.0, T_END, points + 1)[1:],
        loss=_misfit,
        constants={"scale": np.array(_SIZES)},
        settings={},
    )


#: Of the species, so that each counts alike.
_SIZES = (1e-2, 1e-3, 1e-3, 1e-2, 0.2, 0.5, 5e-3, 5e-3)


def _misfit(ys: Any, p: Mapping[str, Any]) -> Any:
    """The mean square of the states in units of their sizes, away from one."""
    xp = array_namespace(ys)
    return xp.mean((ys / p["scale"] - 1.0) ** 2)


def by_data(quick: bool, silence: Silence) -> Figures:
    """Adjoints over forward sensitivities, with few data and with many, at equal error."""
    rtols = QUICK_RTOLS if quick else RTOLS
    figures: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    for word, points in (("few", FEW), ("many", MANY)):
        problem = with_data(points)
        # What is compiled for each number of data anew takes long.
        compiled = () if quick and points == FEW else (DISCRETE, FORWARD)
        other = DISCRETE if compiled else RESTARTED
        truth = truth_of(problem, (SENSITIVITIES, other), TIGHT)
        if truth.agreement > ERROR / 10:
            return {REASON: f"The two truths differ by {truth.agreement:.0e} with {points} data."}
        methods = (RESTARTED, SENSITIVITIES, *compiled)
        found = ladders(problem, methods, rtols, truth, silence)
        seconds = seconds_of(found, ERROR)
        lines += lines_of(found, data=points)
        figures[f"agreement_{word}"] = truth.agreement
        figures[f"restarted_{word}"] = ratio(seconds, RESTARTED, SENSITIVITIES)
        figures[f"discrete_{word}"] = ratio(seconds, DISCRETE, FORWARD)
    return figures | {"lines": lines}


MANY_DATA = (
    Claim(
        key="25",
        sentence="Where data are many, an adjoint that is restarted at each of them loses to "
        "forward sensitivities, and a discrete adjoint does not.",
        source="the ceilings that AMICI's tests set to its own times on published models, 2026: "
        "forward and adjoint sensitivities",
        measured=f"HIRES to t = {T_END:g} with {FEW} and {MANY} data of all species: time of one "
        f"gradient at an error of {ERROR:g}, {RESTARTED} (which CasADi restarts at each datum) "
        f"over {SENSITIVITIES}, and {DISCRETE} over {FORWARD}",
        measure=by_data,
        leading="restarted_many",
        unit=f"of the time of forward sensitivities, the restarted adjoint with {MANY} data",
        limits={"slower": FASTER},
        decide=all_of(
            f"The restarted adjoint takes {{restarted_few:.2g}} of the time of forward "
            f"sensitivities with {FEW} data and {{restarted_many:.2g}} with {MANY}, where the "
            "discrete one takes {discrete_many:.2g} of that of forward mode.",
            the_restarted_adjoint_loses=lambda f, t: f["restarted_many"] > t["slower"].value,
            the_discrete_one_does_not=lambda f, t: f["discrete_many"] <= t["slower"].value,
        ),
        published="forward / adjoint in seconds: Beer (27132 data) 0.5 / 8.5, Sneyd 0.1 / 0.5, "
        "Bachmann 3.5 / 5, Smith (133 states) 50 / 5",
        plot=Plot("error", "seconds", "method", "gradient error", "seconds a gradient"),
    ),
)
