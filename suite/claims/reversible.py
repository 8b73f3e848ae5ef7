"""A claim about solvers whose steps can be taken back: time against that of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..measuring.errors import relative_error
from ..measuring.timing import Silence, in_turn, timed
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Claim, Figures, Limits, Verdict
from .equal_error import FASTER
from .median_and_range import quartiles

#: A network as in the authors' experiments: 2-10-2, 1000 steps of one size, all of them saved.
WIDTH, STEPS, SPAN = 10, 1000, 20.0
QUICK_CHECKPOINTS, CHECKPOINTS = (8, 44), (2, 4, 8, 16, 32, 44)

OURS, REVERSIBLE = "jax-discrete", "reversible"


def against_checkpoints(quick: bool, silence: Silence) -> Figures:
    """Time of one gradient by recursive checkpoints over that of the reversible form."""
    import jax

    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        y0, params = _network()
        numbers = QUICK_CHECKPOINTS if quick else CHECKPOINTS
        ways = {
            REVERSIBLE: _reversible,
            OURS: _open,
            **{f"diffrax, {n} checkpoints": _diffrax(n) for n in numbers},
        }
        gradients = {name: jax.jit(jax.grad(_loss(way, y0))) for name, way in ways.items()}
        plain = jax.grad(_loss(_reversible_plain, y0))(params)
        exactness = relative_error(_flat(gradients[REVERSIBLE](params)), _flat(plain))
        inputs = [(jax.tree.map(lambda x, k=k: x * (1 + 1e-9 * k), params),) for k in range(2)]
        calls = [timed(f, inputs, jax.block_until_ready) for f in gradients.values()]
        with silence():
            seconds = dict(zip(gradients, in_turn(calls, 1.0), strict=True))
    own = seconds[REVERSIBLE]
    lines = [{"way": name, "seconds": float(np.median(mine))} for name, mine in seconds.items()]
    ratios = [np.median(mine / own) for name, mine in seconds.items() if "checkpoints" in name]
    return {
        **quartiles("over_most", seconds[f"diffrax, {numbers[-1]} checkpoints"] / own),
        "over_fewest": float(ratios[0]),
        "least": float(min(ratios)),
        "most": float(max(ratios)),
        "over_open": float(np.median(seconds[OURS] / own)),
        "exactness": exactness,
        "lines": lines,
    }


def _network() -> Any:
    """The start value, and the weights of a network, the same each time."""
    draw = np.random.default_rng(0)
    weights = {
        "w1": draw.normal(size=(WIDTH, 2)) / np.sqrt(2),
        "b1": 0.1 * draw.normal(size=WIDTH),
        "w2": draw.normal(size=(2, WIDTH)) / np.sqrt(WIDTH),
        "b2": 0.1 * draw.normal(size=2),
    }
    return np.array([1.0, 0.5]), weights


def _rhs(t: Any, y: Any, p: Any) -> Any:
    import jax.numpy as jnp

    return p["w2"] @ jnp.tanh(p["w1"] @ y + p["b1"]) + p["b2"] - y


def _loss(way: Callable[..., Any], y0: Any) -> Callable[[Any], Any]:
    import jax.numpy as jnp

    start = jnp.asarray(y0)
    return lambda params: jnp.mean((way(start, params) - 0.5) ** 2)


def _flat(tree: Any) -> np.ndarray:
    import jax

    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def _reversible(y0: Any, params: Any) -> Any:
    from .reversible_solve import solve_back

    return solve_back(_rhs, SPAN / STEPS, STEPS, y0, params)


def _reversible_plain(y0: Any, params: Any) -> Any:
    from .reversible_solve import solve

    return solve(_rhs, y0, params, SPAN / STEPS, STEPS)


def _times() -> Any:
    return np.linspace(0.0, SPAN, STEPS + 1)


def _open(y0: Any, params: Any) -> Any:
    from ...adjoints.jax import solve

    times = _times()
    steps = (times[:-1], np.diff(times))
    return solve(_rhs, y0, times[1:], params, steps=steps, max_steps=STEPS).ys


def _diffrax(checkpoints: int) -> Callable[..., Any]:
    import diffrax

    def ys(y0: Any, params: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(_rhs),
            diffrax.Tsit5(),
            0.0,
            SPAN,
            SPAN / STEPS,
            y0,
            params,
            saveat=diffrax.SaveAt(ts=_times()[1:]),
            adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=checkpoints),
            max_steps=STEPS + 1,
        ).ys

    return ys


def _judge(figures: Figures, limits: Limits) -> Verdict:
    noise = limits["faster"].value
    word = HOLDS if figures["least"] > noise else IN_PART
    if figures["most"] <= noise:
        word = DOES_NOT_HOLD
    return Verdict(
        word,
        f"Checkpoints take {figures['over_fewest']:.2g} times as long with the fewest of them, "
        f"{figures['over_most']:.2g} times with the most; the discrete adjoint of the open solver "
        f"takes {figures['over_open']:.2g} times as long. The reversible gradient is "
        f"{figures['exactness']:.0e} from the derivative of its own steps.",
    )


REVERSIBLE_CLAIMS = (
    Claim(
        key="24",
        sentence="Gradients by reversible solvers are faster than by checkpointing.",
        source="McCallum, Foster, arXiv:2410.11648",
        measured=f"a network of 2, {WIDTH} and 2 units, {STEPS} steps of Tsit5 of one size, all "
        "saved: time of one gradient by diffrax's RecursiveCheckpointAdjoint with few and many "
        "checkpoints over that by the reversible form of the same method",
        measure=against_checkpoints,
        leading="over_most",
        unit="times as long as the reversible solver, with the most checkpoints",
        limits={"faster": FASTER},
        decide=_judge,
        published="the authors' logs: on a pendulum 1.27 times as long with 32 checkpoints, 41 "
        "times with 2; on FitzHugh-Nagumo 0.86 times with 44",
    ),
)
