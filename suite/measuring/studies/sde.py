"""Stochastic equations: pathwise gradients against step size and tolerance, on one given path.

A hundred paths are one state. For the errors each path has parameters of its own, so that there
are a hundred gradients, and every way reads the same Brownian motion, that of the open solver. For
the times the paths share their parameters, as in a training, and every way has Brownian motion of
its own: another key, or seed, and other parameters from call to call.
"""

from __future__ import annotations

from ..names import bare_name, join_name, split_name

#: What rows of this study are marked with.
STUDY = "sde"

PATHS = 100

#: With saves on multiples of every step; that of the spiral at the start counts as one.
PROBLEMS = (
    f"geometric_brownian_motion(paths={PATHS})",
    f"ornstein_uhlenbeck(paths={PATHS})",
    f"stochastic_linear(paths={PATHS})",
    f"stochastic_spiral(paths={PATHS}, saves=5)",
)
QUICK_PROBLEMS = PROBLEMS[:1]

#: Ways that take constant steps and ways that choose them; those for additive noise apart.
WAYS = (
    "jax-discrete(solver=sriw1)",
    "jax-discrete(solver=sosri2)",
    "jax-forward(solver=sriw1)",
    "diffrax-recursive-checkpoint(solver=slowrk)",
    "diffrax-recursive-checkpoint(solver=spark)",
    "diffrax-recursive-checkpoint(solver=ito-milstein)",
    "diffrax-recursive-checkpoint(solver=heun)",
    "diffrax-backsolve(solver=heun)",
    "torchsde-backprop(solver=srk)",
    "torchsde-adjoint(solver=srk)",
    "torchsde-adjoint(solver=reversible-heun)",
)
ADDITIVE_WAYS = ("jax-discrete(solver=sra1)", "diffrax-recursive-checkpoint(solver=shark)")
QUICK_WAYS = (
    "jax-discrete(solver=sriw1)",
    "diffrax-recursive-checkpoint(solver=spark)",
    "diffrax-backsolve(solver=heun)",
)

#: Those that may choose their steps, with an error estimate.
ADAPTIVE = ("sriw1", "sosri2", "sra1", "spark", "heun", "srk")

STEPS, QUICK_STEPS = tuple(2.0**-k for k in range(3, 9)), (2.0**-4, 2.0**-6)
TOLERANCES, QUICK_TOLERANCES = (1e-1, 1e-2, 1e-3), (1e-2,)

#: Attempts allowed where a way chooses its steps.
MAX_STEPS = 4096

#: Seconds allowed for one way on one problem.
TIMEOUT_S = 600.0


def selected(*, quick: bool) -> tuple[tuple[str, str], ...]:
    """Problems and ways, pair by pair."""
    if quick:
        return tuple((problem, way) for problem in QUICK_PROBLEMS for way in QUICK_WAYS)
    pairs = [(problem, way) for problem in PROBLEMS for way in WAYS]
    return (*pairs, *((PROBLEMS[1], way) for way in ADDITIVE_WAYS))


def sizes_of(way: str, *, quick: bool) -> tuple[dict[str, float], ...]:
    """The constant steps of a way, then its tolerances."""
    steps = [{"step": step} for step in (QUICK_STEPS if quick else STEPS)]
    if split_name(way)[1]["solver"] not in ADAPTIVE:
        return tuple(steps)
    return (*steps, *({"tol": tol} for tol in (QUICK_TOLERANCES if quick else TOLERANCES)))


def method_of(way: str, size: dict[str, float]) -> str:
    """The way with the size of its steps or its tolerance, as a name with settings."""
    name, settings = split_name(way)
    return join_name(name, settings | size)


def way_of(method: str) -> str:
    """The way alone: the inverse of :func:`method_of`."""
    return join_name(bare_name(method), {"solver": split_name(method)[1]["solver"]})
