"""Claims about a solver as a primitive with its error estimate as a differentiable output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...adjoints.methods import METHODS
from ...adjoints.regularizers.regularizer import Regularizer
from ...adjoints.steps.tableaus import tableau
from ..measuring.errors import relative_error
from ..measuring.frozen_steps import regularized_step_error
from ..measuring.timing import Silence, in_turn, timed_gradient
from .claim import Claim, Figures, Limit
from .judges import all_of, at_most
from .median_and_range import quartiles
from .zoo_gradients import problem_of

PROBLEM, COEFFICIENT = "lotka_volterra", 10.0


def hand_written_gradient(quick: bool, silence: Silence) -> Figures:
    """The gradient of loss and error estimate against two independent derivatives."""
    lines = []
    for rtol in (1e-3,) if quick else (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        by_hand, by_autodiff, steps = _both_gradients(rtol)
        distance = relative_error(by_hand, by_autodiff)
        lines.append({"rtol": rtol, "steps": steps, "distance": distance})
    distances = [line["distance"] for line in lines]
    frozen = regularized_step_error(
        problem_of(PROBLEM), "jax-discrete", "error", COEFFICIENT, rtol=1e-4, atol=1e-7
    )
    return {
        "distance": max(distances),
        "distance_low": min(distances),
        "distance_high": max(distances),
        "frozen_distance": frozen,
        "lines": lines,
    }


def _both_gradients(rtol: float) -> tuple[np.ndarray, np.ndarray, int]:
    """By the primitive and by JAX's own autodiff, of last state and estimate; and the steps."""
    import jax
    import jax.numpy as jnp

    from ...adjoints.jax import solve

    problem = problem_of(PROBLEM)
    end = problem.save_at[-1:]
    with jax.enable_x64(True):
        p, y0 = jnp.asarray(problem.params["p"]), jnp.asarray(problem.y0)

        def solution(p: Any) -> Any:
            tolerances: dict[str, Any] = {"rtol": rtol, "atol": 1e-3 * rtol}
            return solve(problem.rhs, y0, end, {"p": p}, error_norm="absolute", **tolerances)

        def loss(p: Any) -> Any:
            found = solution(p)
            return (found.ys**2).sum() + COEFFICIENT * found.error_estimate

        steps = [np.asarray(part) for part in solution(p).steps]
        by_hand = jax.grad(loss)(p)
        by_autodiff = jax.grad(_unrolled_loss(problem.rhs, y0, *steps))(p)
    return np.asarray(by_hand), np.asarray(by_autodiff), len(steps[0])


def _unrolled_loss(
    rhs: Callable[..., Any], y0: Any, times: np.ndarray, sizes: np.ndarray
) -> Callable[[Any], Any]:
    """The same loss by plain steps of Tsit5, one written after the other."""
    import jax.numpy as jnp

    tab: Any = tableau("tsit5")

    def loss(p: Any) -> Any:
        y, estimate = y0, 0.0
        for t, h in zip(times, sizes, strict=True):
            stages = [rhs(t, y, {"p": p})]
            for row in tab.a[1 : tab.steps]:
                moved = y + h * sum(a * k for a, k in zip(row, stages, strict=False))
                stages.append(rhs(t, moved, {"p": p}))
            y = y + h * sum(b * k for b, k in zip(tab.b, stages, strict=False))
            stages.append(rhs(t + h, y, {"p": p}))
            error = h * sum(e * k for e, k in zip(tab.error, stages, strict=True))
            estimate = estimate + jnp.sqrt((error**2).sum()) * abs(h)
        return (y**2).sum() + COEFFICIENT * estimate

    return loss


def cost_of_the_estimate(quick: bool, silence: Silence) -> Figures:
    """Time of a gradient with the error estimate in the loss over that of one without."""
    names = ("two_spirals(batch=64)", *(() if quick else (PROBLEM, "two_spirals")))
    lines, ratios = [], []
    for name in names:
        problem = problem_of(name)
        tolerances: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
        penalty: dict[str, Any] = {"regularizer": "error", "coefficient": 1e-3}
        plain = prepare(problem, "jax-discrete", **tolerances)
        penalized = prepare(problem, "jax-discrete", **tolerances, **penalty)
        calls = [timed_gradient(plain), timed_gradient(penalized)]
        with silence():
            without, with_it = in_turn(calls, 0.3 if quick else 1.0)
        ratios.append(with_it / without)
        lines.append(
            {
                "problem": name,
                "seconds_without": float(np.median(without)),
                "seconds_with": float(np.median(with_it)),
                "ratio": float(np.median(with_it / without)),
            }
        )
    dearest = max(ratios, key=lambda found: float(np.median(found)))
    return {**quartiles("ratio", dearest), "lines": lines}


def who_needs_the_solver(quick: bool, silence: Silence) -> Figures:
    """Who takes the error estimate, what others miss of it, and local regularisation outside."""
    problem, penalty = problem_of(PROBLEM), Regularizer("error")
    tolerances: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-7}
    families = ("discrete", "continuous", "blackbox")
    lines = [
        {
            "family": family,
            "methods": len(mine := [m for m in METHODS if m.family == family]),
            "take_error": sum(m.regularizes(penalty) for m in mine),
            "take_local": sum(m.regularizes(Regularizer("local")) for m in mine),
        }
        for family in families
    ]
    errors = {
        method: regularized_step_error(problem, method, penalty, COEFFICIENT, **tolerances)
        for method in ("jax-discrete", "jax-backsolve")
    }
    local = _local_gradients()
    return {
        "missed": errors["jax-backsolve"],
        "seen_error": errors["jax-discrete"],
        "outside_that_take_it": sum(x["take_error"] for x in lines if x["family"] != "discrete"),
        "local_difference": relative_error(local["jax-blackbox"], local["jax-discrete"]),
        "local_effect": relative_error(local["jax-discrete"], local["none"]),
        "lines": lines,
    }


def _local_gradients() -> dict[str, np.ndarray]:
    """Gradients with local regularisation, by a discrete adjoint and by a black box."""
    problem = problem_of(PROBLEM)
    tight: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
    penalty: dict[str, Any] = {"regularizer": Regularizer("local", seed=1), "coefficient": 1.0}
    # The local step is one of the solver, where that can be; with SciPy's rk45 it is Tsit5's.
    found = {
        method: prepare(problem, method, solver=solver, **tight, **penalty)().dparams["p"]
        for method, solver in (("jax-discrete", "tsit5"), ("jax-blackbox", "rk45"))
    }
    return found | {"none": prepare(problem, "jax-backsolve", **tight)().dparams["p"]}


_PAL = "Pal et al., Opening the black box, ICML 2021, arXiv:2105.03918"

PRIMITIVE = (
    Claim(
        key="7",
        sentence="A solver written as a primitive can return its error estimate with a "
        "hand-written gradient, and that gradient is discrete sensitivity analysis.",
        source=_PAL,
        measured="Lotka-Volterra: the gradient of loss + 10 x error estimate by the open solver (a "
        "custom_vjp) against JAX's own autodiff of the same steps unrolled in plain jnp, and "
        "against extrapolated finite differences at frozen steps",
        measure=hand_written_gradient,
        leading="distance",
        unit="relative distance at most",
        limits={
            "rounding": Limit(1e-10, "a distance up to which derivatives agree to rounding"),
            "differences": Limit(1e-7, "up to which extrapolated differences agree"),
        },
        decide=all_of(
            "The gradient of loss and error estimate is off JAX's own derivative of the same "
            "steps written out by a relative distance {distance_low..distance:.1e}, and off finite "
            "differences at frozen steps by {frozen_distance:.1e}.",
            agrees_with_autodiff_of_the_steps=lambda f, t: f["distance"] <= t["rounding"].value,
            agrees_with_differences=lambda f, t: f["frozen_distance"] <= t["differences"].value,
        ),
    ),
    Claim(
        key="18",
        sentence="The error estimate is free.",
        source=_PAL,
        measured="time of one gradient by jax-discrete with the error estimate in the loss over "
        "that of one without, in turn; the dearest problem",
        measure=cost_of_the_estimate,
        leading="ratio",
        unit="of the time without",
        limits={
            "holds": Limit(1.05, "of the time without, up to which it is free"),
            "part": Limit(1.25, "up to which it is cheap"),
        },
        decide=at_most("ratio", "A gradient takes {ratio:.3f} of the time of one without."),
    ),
    Claim(
        key="19",
        sentence="The regulariser requires differentiating the solver; local regularisation does "
        "not.",
        source="Pal et al., Locally regularized neural differential equations, arXiv:2303.02262",
        measured="who takes the error estimate in its loss; what a continuous adjoint misses of "
        "the derivative of the frozen steps; and local regularisation by a black box against the "
        "same by a discrete adjoint at tolerance 1e-9",
        measure=who_needs_the_solver,
        leading="missed",
        unit="of the gradient missed by a continuous adjoint",
        limits={
            "missed": Limit(0.01, "share of the gradient from which something is missed"),
            "rounding": Limit(1e-8, "distance up to which the discrete adjoint misses nothing"),
            "local": Limit(1e-4, "distance up to which local regularisation is right"),
            "effect": Limit(1e-3, "share from which it makes a difference at all"),
        },
        decide=all_of(
            "{outside_that_take_it} methods of other families take it; a continuous adjoint "
            "misses {missed:.1%} of the gradient, a discrete one {seen_error:.1e}. Local "
            "regularisation changes the gradient by {local_effect:.1%}, and a black box gets it "
            "to {local_difference:.1e}.",
            only_discrete_adjoints_see_it=lambda f, t: (
                f["outside_that_take_it"] == 0
                and f["missed"] >= t["missed"].value
                and f["seen_error"] <= t["rounding"].value
            ),
            local_regularisation_needs_no_open_solver=lambda f, t: (
                f["local_difference"] <= t["local"].value and f["local_effect"] >= t["effect"].value
            ),
        ),
    ),
)
