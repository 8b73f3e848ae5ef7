"""Claims about loops in XLA: what is fused, what runs in lanes, and what memory they keep."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import relative_error
from ..timing import Silence, TimedCall, in_turn
from .answers import problem_of
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
from .spread import quartiles
from .timed import timed

#: Steps of the loop that is also written out, and the numbers of its two kinds of state.
STEPS, SMALL, LARGE = 32, 2, 2048

#: Instructions of XLA that compute nothing, or hand over to those that are counted by themselves.
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional"}

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) [^=]*\{$")
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
        computes is a kernel; what a fusion or a call is made of runs in it and is not counted.
    """
    opcodes: dict[str, list[str]] = {}
    bodies = set(re.findall(r"body=%?([\w.-]+)", text))
    entry = name = ""
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            name = found[1]
            opcodes[name] = []
            entry = name if line.startswith("ENTRY") else entry
        elif name and (instruction := _INSTRUCTION.match(line)):
            opcodes[name].append(instruction[1])
    inside = [code for body in bodies for code in opcodes.get(body, ()) if code not in _FREE]
    outside = [code for code in opcodes.get(entry, ()) if code not in _FREE]
    return {
        "inside": len(inside),
        "fusions_inside": inside.count("fusion"),
        "outside": len(outside),
        "fusions_outside": outside.count("fusion"),
    }


def lanes(quick: bool, silence: Silence) -> Figures:
    """Gradients of many lanes under ``vmap``, of the open primitive and of a black box."""
    import jax

    lines: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    ladder = (1, 8) if quick else (1, 4, 16, 64)
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        for way, loss in (("open", _open_loss()), ("blackbox", _blackbox_loss())):
            gradient = jax.jit(jax.vmap(jax.grad(loss)))
            params = {count: _lanes_of(count) for count in ladder}
            alone = np.stack([np.asarray(gradient(p[None])[0]) for p in params[ladder[-1]][:2]])
            together = np.asarray(gradient(params[ladder[-1]]))[:2]
            calls = [
                timed(gradient, [(p * (1 + 1e-9 * k),) for k in range(2)], jax.block_until_ready)
                for p in params.values()
            ]
            with silence():
                seconds = in_turn(calls, 0.3)
            for count, mine in zip(ladder, seconds, strict=True):
                a_lane = float(np.median(mine)) / count
                lines.append({"way": way, "lanes": count, "seconds_a_lane": a_lane})
            figures |= quartiles(f"{way}_lane", seconds[-1] / seconds[0] / ladder[-1])
            figures[f"{way}_error"] = relative_error(together, alone)
    return figures | {"lanes": ladder[-1], "lines": lines}


def _lanes_of(count: int) -> Any:
    import jax.numpy as jnp

    base = jnp.asarray(problem_of("lotka_volterra").params["p"])
    return base * (1 + 0.02 * jnp.linspace(-1, 1, count))[:, None]


def _open_loss(**settings: Any) -> Callable[[Any], Any]:
    import jax.numpy as jnp

    from ...adjoints.jax import solve

    problem = problem_of("lotka_volterra")
    y0, save_at = jnp.asarray(problem.y0), jnp.asarray(problem.save_at)

    def loss(p: Any) -> Any:
        ys = solve(problem.rhs, y0, save_at, {"p": p}, rtol=1e-4, atol=1e-7, **settings).ys
        return problem.loss(ys, {"p": p})

    return loss


def _blackbox_loss() -> Callable[[Any], Any]:
    import jax.numpy as jnp

    from ...adjoints.jax.blackbox import blackbox_solve

    problem = problem_of("lotka_volterra")
    y0 = jnp.asarray(problem.y0)

    def loss(p: Any) -> Any:
        found = blackbox_solve(problem.rhs, y0, problem.save_at, {"p": p}, rtol=1e-4, atol=1e-7)
        return problem.loss(found.ys, {"p": p})

    return loss


def memory_by_most_steps(quick: bool, silence: Silence) -> Figures:
    """Bytes that a compiled gradient reserves, by the number of steps that it must allow for."""
    import jax

    ladder = (256, 16384) if quick else (256, 1024, 4096, 16384, 65536)
    ways: dict[str, Callable[[int], Callable[[Any], Any]]] = {
        "open, by default": lambda most: _open_loss(max_steps=most),
        "diffrax, by default": lambda most: _diffrax_loss(max_steps=most),
    }
    if not quick:
        ways["open, 16 checkpoints"] = lambda most: _open_loss(max_steps=most, checkpoints=16)
        ways["diffrax, 16 checkpoints"] = lambda most: _diffrax_loss(most, checkpoints=16)
    lines = []
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        params = problem_of("lotka_volterra").params["p"]
        for way, most in itertools.product(ways, ladder):
            compiled = jax.jit(jax.grad(ways[way](most))).lower(params).compile()
            found: Any = compiled.memory_analysis()
            lines.append({"way": way, "max_steps": most, "bytes": found.temp_size_in_bytes})
    growth = {
        way: lines[(k + 1) * len(ladder) - 1]["bytes"] / lines[k * len(ladder)]["bytes"]
        for k, way in enumerate(ways)
    }
    return {
        "growth": growth["open, by default"],
        "growth_generated": growth["diffrax, by default"],
        "more_steps": ladder[-1] // ladder[0],
        "lines": lines,
    }


def _diffrax_loss(max_steps: int, checkpoints: int | None = None) -> Callable[[Any], Any]:
    import diffrax
    import jax.numpy as jnp

    problem = problem_of("lotka_volterra")
    y0, saves = jnp.asarray(problem.y0), diffrax.SaveAt(ts=jnp.asarray(problem.save_at))
    term = diffrax.ODETerm(lambda t, y, p: problem.rhs(t, y, {"p": p}))

    def loss(p: Any) -> Any:
        ys = diffrax.diffeqsolve(
            term,
            diffrax.Tsit5(),
            *problem.t_span,
            None,
            y0,
            p,
            saveat=saves,
            stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-7),
            adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=checkpoints),
            max_steps=max_steps,
        ).ys
        return problem.loss(ys, {"p": p})

    return loss


def _judge_memory(figures: Figures, limits: Limits) -> Verdict:
    bounded = limits["bounded"].value
    word = HOLDS if figures["growth"] <= bounded else DOES_NOT_HOLD
    if word != HOLDS and figures["growth"] <= limits["less"].value * figures["growth_generated"]:
        word = IN_PART
    return Verdict(
        word,
        f"With {figures['more_steps']} times as many steps allowed the bytes reserved grow "
        f"{figures['growth']:.3g} times for the two loops by hand and "
        f"{figures['growth_generated']:.3g} times for the generated pass of diffrax.",
    )


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
        key="9",
        sentence="Such a primitive does not play well with vmap.",
        source="said of solvers as custom primitives and callbacks",
        measured="gradients of Lotka-Volterra in lanes under vmap, by the open solver and by a "
        "black box behind pure_callback: right beside lane by lane, and time a lane over that of "
        "one alone",
        measure=lanes,
        leading="open_lane",
        unit="of the time of one alone, a lane of the open solver",
        limits={
            "right": Limit(1e-6, "a relative difference up to which lanes are right"),
            "gain": Limit(0.5, "of the time alone, from which vmap gains little"),
        },
        decide=all_of(
            "In {lanes} lanes the open solver takes {open_lane:.2f} of its time alone a lane and "
            "is {open_error:.1e} off, the black box {blackbox_lane:.2f} and {blackbox_error:.1e}.",
            the_open_solver_fails_or_gains_little=lambda f, t: (
                f["open_error"] > t["right"].value or f["open_lane"] >= t["gain"].value
            ),
            the_black_box_fails_or_gains_little=lambda f, t: (
                f["blackbox_error"] > t["right"].value or f["blackbox_lane"] >= t["gain"].value
            ),
        ),
    ),
    Claim(
        key="22",
        sentence="A pair of hand-written while-loops avoids the static memory bound of a generated "
        "reverse pass.",
        source="said of custom derivatives around loops; XLA's fixed shapes say otherwise",
        measured="bytes that the compiled gradient of Lotka-Volterra reserves "
        "(memory_analysis) by max_steps, of the open solver and of diffrax's "
        "RecursiveCheckpointAdjoint",
        measure=memory_by_most_steps,
        leading="growth",
        unit="times the bytes, of two loops by hand",
        limits={
            "bounded": Limit(1.1, "growth up to which memory does not depend on max_steps"),
            "less": Limit(0.5, "of the growth of the generated pass, up to which it helps"),
        },
        decide=_judge_memory,
        plot=Plot("max_steps", "bytes", "way", "steps allowed", "bytes reserved"),
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
