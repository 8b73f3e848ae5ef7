"""Claims about the values of discrete and continuous adjoints, and how stable they are."""

from __future__ import annotations

import functools
from typing import Any

from ...adjoints.gradient import prepare
from ..measuring.errors import relative_error
from ..measuring.frozen_steps import frozen_step_errors
from ..measuring.ladder import is_right, share_right
from ..measuring.measure import ATOL_SCALE
from ..measuring.row import Row
from ..measuring.timing import Silence
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Claim, Figures, Limit, Limits, Plot, Verdict
from .judges import all_of, at_least
from .zoo_gradients import problem_of, shown, zoo_rows

DISCRETE, BACKSOLVE, INTERPOLATING = "jax-discrete", "jax-backsolve", "jax-interpolating"
QUICK_RTOLS, RTOLS = (1e-3, 1e-6, 1e-9), (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10)

NON_STIFF = ("lotka_volterra",)
QUICK_STIFF = ("van_der_pol(mu=1000.0)",)
STIFF = (*QUICK_STIFF, "robertson", "brusselator(n=3)")

#: The first step of the trap is given, as where it was published.
TRAP = "adaptive_ad_trap"
TRAP_STEP = 0.1


def difference(quick: bool, silence: Silence) -> Figures:
    """Both kinds of adjoints against the derivative of the accepted steps, by tolerance."""
    problem = problem_of("lotka_volterra")
    lines = []
    for rtol in QUICK_RTOLS if quick else RTOLS:
        tolerances: dict[str, Any] = {"rtol": rtol, "atol": rtol * ATOL_SCALE}
        methods = (DISCRETE, INTERPOLATING, BACKSOLVE)
        errors = frozen_step_errors(problem, methods, **tolerances)
        lines += [{"method": m, "rtol": rtol, "distance": e} for m, e in errors.items()]
    discrete = [line["distance"] for line in lines if line["method"] == DISCRETE]
    continuous = [line["distance"] for line in lines if line["method"] != DISCRETE]
    loose, tight = prepare_both(problem, 1e-3), prepare_both(problem, 1e-9)
    return {
        "continuous_least": min(continuous),
        "continuous_least_low": min(continuous),
        "continuous_least_high": max(continuous),
        "discrete_most": max(discrete),
        "difference_loose": loose,
        "difference_tight": tight,
        "lines": lines,
    }


def prepare_both(problem: Any, rtol: float) -> float:
    """Relative difference of a discrete and a continuous gradient at the same tolerance."""
    tolerances: dict[str, Any] = {"rtol": rtol, "atol": rtol * ATOL_SCALE}
    results = [prepare(problem, m, **tolerances)() for m in (DISCRETE, INTERPOLATING)]
    discrete, continuous = (next(iter(result.dparams.values())) for result in results)
    return relative_error(continuous, discrete)


@functools.cache
def _stability(quick: bool) -> tuple[Row, ...]:
    """Gradients by each kind of adjoint on non-stiff and stiff problems."""
    methods = [DISCRETE, INTERPOLATING, BACKSOLVE]
    methods += [] if quick else ["jax-quadrature", "jax-gauss", "jax-backsolve-seminorm"]
    rtols = QUICK_RTOLS if quick else RTOLS
    return tuple(
        row
        for problem in (*NON_STIFF, *(QUICK_STIFF if quick else STIFF))
        for method in methods
        for row in zoo_rows(problem, method, rtols)
    )


def stability(quick: bool, silence: Silence) -> Figures:
    """The share of the tolerances at which each kind of adjoint is right."""
    found = _stability(quick)
    shares = {
        method: share_right([each for each in found if each.method == method])
        for method in dict.fromkeys(each.method for each in found)
    }
    others = [share for method, share in shares.items() if method not in (DISCRETE, BACKSOLVE)]
    backsolve = [each for each in found if each.method == BACKSOLVE]
    return {
        "backsolve_share": shares[BACKSOLVE],
        "discrete_share": shares[DISCRETE],
        "other_continuous_share": max(others),
        "other_continuous_least": min(others),
        "backsolve_stiff_share": share_right([x for x in backsolve if x.problem not in NON_STIFF]),
        "backsolve_easy_share": share_right([x for x in backsolve if x.problem in NON_STIFF]),
        "lines": [shown(each) for each in found],
    }


def continuous_is_better(quick: bool, silence: Silence) -> Figures:
    """Problems on which a continuous adjoint is right where the discrete one is not."""
    rtols = QUICK_RTOLS if quick else RTOLS
    trap = [
        row
        for method in (DISCRETE, INTERPOLATING, BACKSOLVE)
        for row in zoo_rows(TRAP, method, rtols, first_step=TRAP_STEP)
    ]
    every = [*_stability(quick), *trap]
    better: dict[str, list[float]] = {}
    for problem in dict.fromkeys(each.problem for each in every):
        mine = [each for each in every if each.problem == problem]
        wrong = {x.rtol for x in mine if x.method == DISCRETE and not is_right(x)}
        right = {x.rtol for x in mine if x.method != DISCRETE and is_right(x)}
        better[problem] = sorted(wrong & right)
    everywhere = [name for name, found in better.items() if len(found) == len(rtols)]
    return {
        "problems": len([name for name, found in better.items() if found]),
        "problems_at_every_tolerance": len(everywhere),
        "names": ", ".join(everywhere) or "none",
        "looked_at": len(better),
        "lines": [shown(each) for each in trap],
    }


def discretisation(quick: bool, silence: Silence) -> Figures:
    """The same adjoint of the same forward solve, its own equations solved by several solvers."""
    shares = []
    for problem in QUICK_STIFF if quick else STIFF:
        for method in (INTERPOLATING,) if quick else (INTERPOLATING, BACKSOLVE):
            for solver in ("rodas5p", "tsit5") if quick else ("rodas5p", "kvaerno5", "tsit5"):
                found = zoo_rows(problem, method, QUICK_RTOLS, adjoint_solver=solver)
                shares.append(
                    {
                        "problem": problem,
                        "method": method,
                        "reverse_solver": solver,
                        "share_right": share_right(found),
                        "statuses": ", ".join(dict.fromkeys(each.status for each in found)),
                    }
                )
    alike: dict[tuple[str, str], list[float]] = {}
    for x in shares:
        alike.setdefault((x["method"], x["problem"]), []).append(x["share_right"])
    spreads = [max(by_solver) - min(by_solver) for by_solver in alike.values()]
    return {
        "spread": max(spreads),
        "spread_low": min(spreads),
        "spread_high": max(spreads),
        "told": "; ".join(
            f"{x['method']} by {x['reverse_solver']} on {x['problem']}: "
            f"{x['share_right']:.0%} ({x['statuses']})"
            for x in shares
        ),
        "lines": shares,
    }


def _judge_better(figures: Figures, limits: Limits) -> Verdict:
    enough = limits["problems"].value
    word = HOLDS if figures["problems_at_every_tolerance"] >= enough else DOES_NOT_HOLD
    if word != HOLDS and figures["problems"] >= enough:
        word = IN_PART
    return Verdict(
        word,
        f"Of {figures['looked_at']} problems a continuous adjoint is right and the discrete one "
        f"is not at every tolerance on {figures['problems_at_every_tolerance']} "
        f"({figures['names']}), at some tolerance on {figures['problems']}. Spurious oscillations "
        "were not looked for.",
    )


_SAPIENZA = (
    "Sapienza et al., Differentiable programming for differential equations, arXiv:2406.09699"
)

SENSITIVITIES = (
    Claim(
        key="1",
        sentence="Discrete and continuous adjoints compute different values.",
        source=_SAPIENZA,
        measured="Lotka-Volterra: how far the gradients of jax-discrete, jax-interpolating and "
        "jax-backsolve are from the derivative of the accepted steps, which finite differences of "
        "the frozen steps give, at several tolerances",
        measure=difference,
        leading="continuous_least",
        unit="relative distance of continuous adjoints from the frozen steps",
        limits={
            "rounding": Limit(1e-8, "a distance up to which a gradient is that of the steps"),
            "factor": Limit(10.0, "times further than the discrete one, and it is another value"),
        },
        decide=all_of(
            "At its largest the discrete adjoint is {discrete_most:.1e} from the derivative of "
            "the steps, the continuous ones at their smallest {continuous_least:.1e}; the two "
            "kinds differ by {difference_loose:.1e} at tolerance 1e-3 and by "
            "{difference_tight:.1e} at 1e-9.",
            the_discrete_is_that_of_the_steps=lambda f, t: (
                f["discrete_most"] <= t["rounding"].value
            ),
            the_continuous_is_not=lambda f, t: (
                f["continuous_least"] >= t["factor"].value * f["discrete_most"]
            ),
        ),
        group="adjoints",
        plot=Plot("rtol", "distance", "method", "relative tolerance", "distance from the steps"),
    ),
    Claim(
        key="2",
        sentence="Continuous adjoints are less stable, backsolve worst; stiff problems break it.",
        source=f"{_SAPIENZA}; Ma et al., HPEC 2021, arXiv:1812.01892",
        measured="share of (problem, tolerance) at which each kind ends ok and less than 10 % off "
        "the certified gradient, on non-stiff and stiff problems",
        measure=stability,
        leading="backsolve_share",
        unit="of the tolerances right with backsolve",
        limits={
            "margin": Limit(0.05, "a share that is smaller by this is smaller"),
            "broken": Limit(0.5, "share right up to which a method is broken"),
        },
        decide=all_of(
            "Right: discrete {discrete_share:.0%}, other continuous ones "
            "{other_continuous_least..other_continuous_share:.0%}, backsolve "
            "{backsolve_share:.0%} ({backsolve_easy_share:.0%} where not stiff, "
            "{backsolve_stiff_share:.0%} where stiff).",
            all_continuous_ones_are_less_stable=lambda f, t: (
                max(f["other_continuous_share"], f["backsolve_share"])
                <= f["discrete_share"] - t["margin"].value
            ),
            backsolve_is_worst=lambda f, t: (
                f["backsolve_share"]
                <= min(f["other_continuous_least"], f["discrete_share"]) - t["margin"].value
            ),
            stiffness_breaks_backsolve=lambda f, t: (
                f["backsolve_stiff_share"] <= t["broken"].value < f["backsolve_easy_share"]
            ),
        ),
        published="backsolve unstable on the Brusselator and POLLU (Ma et al.)",
        group="adjoints",
    ),
    Claim(
        key="16",
        sentence="In some problems continuous adjoints are the more stable ones, or have fewer "
        "spurious oscillations.",
        source=_SAPIENZA,
        measured="on the problems of claim 2 and the adaptive-AD trap, at how many tolerances a "
        "continuous adjoint is less than 10 % off where the discrete one is not",
        measure=continuous_is_better,
        leading="problems_at_every_tolerance",
        unit="problems where only a continuous adjoint is right, at every tolerance",
        limits={"problems": Limit(1, "problems that are some")},
        decide=_judge_better,
        group="adjoints",
    ),
    Claim(
        key="17",
        sentence="The stability of an adjoint depends on the discretisation it is used with.",
        source=_SAPIENZA,
        measured="the same continuous adjoint of the same forward solve (rodas5p) of stiff "
        "problems, its own equations solved by rodas5p and tsit5, with all sizes by kvaerno5 "
        "too: share of the tolerances right",
        measure=discretisation,
        leading="spread",
        unit="between the shares right of the best and the worst solver",
        limits={
            "holds": Limit(0.3, "difference of shares from which it depends"),
            "part": Limit(0.1, "from which it depends in part"),
        },
        decide=at_least(
            "spread",
            "Between the best and the worst solver of the adjoint's equations the difference of "
            "the shares right is {spread_low..spread_high:.0%} of the tolerances: {told}.",
        ),
        group="adjoints",
    ),
)
