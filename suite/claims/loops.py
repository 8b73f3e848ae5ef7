"""Claims about loops in XLA: what is fused, and what it costs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..measuring.timing import Silence, TimedCall, in_turn, timed
from .claim import REASON, Claim, Figures, Limit
from .judges import all_of
from .median_and_range import quartiles

#: Steps of the loop that is also written out, and the numbers of its two kinds of state.
STEPS, SMALL, LARGE = 32, 2, 2048

#: Instructions of XLA that compute nothing, or hand over to those that are counted by themselves.
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional"}

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) [^=]*\{$")
#: On a GPU: kernels that are launched together, as they were recorded.
_GRAPH = re.compile(r" call\(.*to_apply=%?(command_buffer[\w.-]*)")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = .*? ([\w-]+)\(")


def loop_against_unrolled(quick: bool, silence: Silence) -> Figures:
    """Kernels and time a step of the same Runge-Kutta steps, in a loop and written out."""
    return _loops("cpu", silence)


def on_a_gpu(quick: bool, silence: Silence) -> Figures:
    """The same on a GPU, where there is one."""
    import jax

    try:
        device = jax.devices("gpu")[0].platform
    except RuntimeError:
        hint = _kernels_of(_looping, LARGE)
        return {
            REASON: "This machine has no GPU. As a hint only: compiled for the CPU, a Runge-Kutta "
            f"step in a while_loop is {hint['inside']} kernels, {hint['fusions_inside']} of them "
            "fusions."
        }
    return _loops(device, silence)


def _loops(platform: str, silence: Silence) -> Figures:
    import jax

    lines, calls = [], []
    with jax.default_device(jax.devices(platform)[0]):
        for size, (way, function) in itertools.product(
            (SMALL, LARGE), (("loop", _looping), ("unrolled", _unrolled))
        ):
            counted = _kernels_of(function, size)
            a_step = counted["inside"] if way == "loop" else counted["outside"] / STEPS
            lines.append({"numbers": size, "way": way, "kernels_a_step": a_step} | counted)
            calls.append(_timed(function, size))
        with silence():
            seconds = in_turn(calls, 0.2)
    for line, mine in zip(lines, seconds, strict=True):
        line["seconds_a_step"] = float(np.median(mine)) / STEPS
    small, large = (lines[k]["kernels_a_step"] / lines[k + 1]["kernels_a_step"] for k in (0, 2))
    return {
        **quartiles("slowdown", seconds[0] / seconds[1]),
        **quartiles("slowdown_large", seconds[2] / seconds[3]),
        "kernels_small": lines[0]["kernels_a_step"],
        "kernels_ratio": small,
        "kernels_ratio_large": large,
        "lines": lines,
    }


def _step(y: Any) -> Any:
    """One step of the classical Runge-Kutta method for pairs of predator and prey."""

    def slope(y: Any) -> Any:
        prey, hunters = y
        return prey * (1.5 - hunters), hunters * (prey - 3.0)

    def moved(h: float, k: Any) -> Any:
        return tuple(component + h * rate for component, rate in zip(y, k, strict=True))

    h = 0.01
    k1 = slope(y)
    k2 = slope(moved(h / 2, k1))
    k3 = slope(moved(h / 2, k2))
    k4 = slope(moved(h, k3))
    mean = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
    return moved(h, mean)


def _looping(y: Any, steps: Any) -> Any:
    """So many steps as a ``while_loop``: their number is known when it runs."""
    from jax import lax

    return lax.while_loop(
        lambda carry: carry[0] < steps, lambda carry: (carry[0] + 1, _step(carry[1])), (0, y)
    )[1]


def _unrolled(y: Any, steps: Any) -> Any:
    """The same written out, which only works where the number is known beforehand."""
    for _ in range(STEPS):
        y = _step(y)
    return y


def _start(size: int) -> Any:
    import jax.numpy as jnp

    return jnp.ones(size // 2), jnp.ones(size // 2)


def _kernels_of(function: Callable[..., Any], size: int) -> dict[str, int]:
    import jax

    compiled = jax.jit(function).lower(_start(size), np.int32(STEPS)).compile()
    return count_kernels(compiled.as_text() or "")


def _timed(function: Callable[..., Any], size: int) -> TimedCall:
    import jax

    inputs = [jax.tree.map(lambda y, k=k: y * (1 + 1e-6 * k), _start(size)) for k in range(4)]
    steps = np.int32(STEPS)
    return timed(jax.jit(function), [(y, steps) for y in inputs], jax.block_until_ready)


def count_kernels(text: str) -> dict[str, int]:
    """Kernels and fusions inside and outside of the bodies of loops of a compiled program.

    Parameters
    ----------
    text : str
        As ``compiled.as_text()`` prints it.

    Returns
    -------
    dict of str to int
        ``inside``, ``fusions_inside``, ``outside``, ``fusions_outside``: an instruction that
        computes is a kernel; what a fusion or a call is made of runs in it and is not counted, but
        for the kernels of a graph that a GPU launches at once.
    """
    opcodes: dict[str, list[str]] = {}
    recorded: dict[str, list[str]] = {}
    bodies = set(re.findall(r"body=%?([\w.-]+)", text))
    entry = name = ""
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            name = found[1]
            opcodes[name] = []
            entry = name if line.startswith("ENTRY") else entry
        elif name and (graph := _GRAPH.search(line)):
            recorded.setdefault(name, []).append(graph[1])
        elif name and (instruction := _INSTRUCTION.match(line)):
            opcodes[name].append(instruction[1])

    def kernels(name: str) -> list[str]:
        within = [code for graph in recorded.get(name, ()) for code in kernels(graph)]
        return [code for code in opcodes.get(name, ()) if code not in _FREE] + within

    inside = [code for body in bodies for code in kernels(body)]
    outside = kernels(entry)
    return {
        "inside": len(inside),
        "fusions_inside": inside.count("fusion"),
        "outside": len(outside),
        "fusions_outside": outside.count("fusion"),
    }


_LOOP_LIMITS = {
    "kernels": Limit(1.5, "times the kernels a step of straight code, from which the loop hinders"),
    "slow": Limit(1.5, "times its time a step, from which the loop is slow"),
}
_LOOP_WORDS = (
    "A step in the loop takes {kernels_ratio:.2g} times the kernels and {slowdown:.2g} times the "
    "time of one written out with 2 numbers of state, {kernels_ratio_large:.2g} and "
    "{slowdown_large:.2g} times with 2048."
)

LOOPS = (
    Claim(
        key="8",
        sentence="XLA will not fuse across the while_loop, so it is slow.",
        source="said of solvers in JAX",
        measured=f"{STEPS} Runge-Kutta steps as lax.while_loop and written out: kernels a step in "
        "the compiled program (0 where XLA makes one kernel of the whole loop), and time a step",
        measure=loop_against_unrolled,
        leading="slowdown",
        unit="times the time of a step written out",
        limits=_LOOP_LIMITS,
        decide=all_of(
            _LOOP_WORDS,
            more_kernels_in_the_loop=lambda f, t: (
                max(f["kernels_ratio"], f["kernels_ratio_large"]) >= t["kernels"].value
            ),
            slower_in_the_loop=lambda f, t: (
                max(f["slowdown"], f["slowdown_large"]) >= t["slow"].value
            ),
        ),
    ),
    Claim(
        key="23",
        sentence="It is slow on GPUs because kernels do not fuse.",
        source="said of solvers in JAX and PyTorch",
        measured="what claim 8 measures, on a GPU",
        measure=on_a_gpu,
        leading="slowdown",
        unit="times the time of a step written out",
        limits=_LOOP_LIMITS,
        decide=all_of(
            _LOOP_WORDS,
            more_kernels_in_the_loop=lambda f, t: f["kernels_ratio_large"] >= t["kernels"].value,
            slower_in_the_loop=lambda f, t: f["slowdown_large"] >= t["slow"].value,
        ),
    ),
)
