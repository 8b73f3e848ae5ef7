"""Claims about what JAX and PyTorch can do with loops, branches and compilers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..measuring.timing import Silence, in_turn, timed
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Claim, Figures, Limit, Limits, Verdict
from .judges import all_of
from .median_and_range import quartiles


def while_loop_gradient(quick: bool, silence: Silence) -> Figures:
    """Whether a ``lax.while_loop`` can be differentiated in reverse, forward, and by hand."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def decay(k: Any) -> Any:
        """Explicit Euler on y' = -k y up to t = 1, as long as it takes."""

        def step(carry: Any) -> Any:
            t, y = carry
            return t + 0.125, y - 0.125 * k * y

        return lax.while_loop(lambda carry: carry[0] < 1.0, step, (0.0 * k, 1.0 + 0.0 * k))[1]

    exact = -((1.0 - 0.125 * 0.5) ** 7)
    with jax.enable_x64(True):
        k = jnp.asarray(0.5)
        message = _error_of(lambda: jax.grad(decay)(k))
        forward = float(jax.jvp(decay, (k,), (jnp.ones_like(k),))[1])
        by_hand = float(jax.grad(_by_open_solver)(k))
    return {
        "reverse_raises": float(message is not None),
        **_told(message),
        "forward_error": abs(forward / exact - 1),
        "open_solver_error": abs(by_hand / exact - 1),
    }


def _by_open_solver(k: Any) -> Any:
    """The same Euler steps by the open solver: two while loops behind a derivative by hand."""
    import jax.numpy as jnp

    from ...adjoints.jax import solve

    solution = solve(_decay_rhs, jnp.ones_like(k), [1.0], k, solver="euler", first_step=0.125)
    return solution.ys[-1]


def _decay_rhs(t: Any, y: Any, k: Any) -> Any:
    return -k * y


def untaken_branches(quick: bool, silence: Silence) -> Figures:
    """How often the branches of a ``lax.cond`` run, the untaken one above all."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    calls = {"taken": 0, "untaken": 0}

    def count(name: str, x: Any) -> Any:
        def note(lane: Any) -> None:
            calls[name] += 1

        jax.debug.callback(note, x)
        return x

    def choose(predicate: Any, x: Any) -> Any:
        taken, untaken = functools.partial(count, "taken"), functools.partial(count, "untaken")
        return lax.cond(predicate, taken, untaken, x)

    def counted(call: Callable[[], Any]) -> dict[str, int]:
        calls.update(taken=0, untaken=0)
        jax.block_until_ready(call())
        jax.effects_barrier()
        return dict(calls)

    lanes = 4
    ones, yes = jnp.ones(lanes), jnp.ones(lanes, bool)
    found = {
        "jit": counted(lambda: jax.jit(choose)(True, 1.0)),
        "vmap, one predicate for all": counted(
            lambda: jax.jit(jax.vmap(choose, in_axes=(None, 0)))(True, ones)
        ),
        "vmap, a predicate for each lane": counted(lambda: jax.jit(jax.vmap(choose))(yes, ones)),
    }
    return {
        "lanes": lanes,
        "untaken_jit": found["jit"]["untaken"],
        "untaken_vmap_shared": found["vmap, one predicate for all"]["untaken"],
        "untaken_vmap": found["vmap, a predicate for each lane"]["untaken"],
        "lines": [{"how": how, **numbers} for how, numbers in found.items()],
    }


def value_dependent_if(quick: bool, silence: Silence) -> Figures:
    """What ``if x > 0`` does without ``jit``, under it, and under it with a static argument."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def absolute(x: Any) -> Any:
        if x > 0:
            return x
        return -x

    def with_cond(x: Any) -> Any:
        return lax.cond(x > 0, lambda x: x, lambda x: -x, x)

    x = jnp.asarray(-2.0)
    message = _error_of(lambda: jax.jit(absolute)(x))
    return {
        "jit_raises": float(message is not None),
        **_told(message),
        "eager_value": float(absolute(x)),
        "static_value": float(jax.jit(absolute, static_argnums=0)(-2.0)),
        "cond_value": float(jax.jit(with_cond)(x)),
    }


def compiled_by_torch(quick: bool, silence: Silence) -> Figures:
    """An adaptive loop in PyTorch: whole, in parts, and as torch's own ``while_loop``."""
    import torch

    y, k = torch.ones(2, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    message = _error_of(lambda: torch.compile(_adaptive_loop, fullgraph=True)(y, k))
    ways: dict[str, Callable[..., Any]] = {
        "eager": _adaptive_loop,
        "compiled, not as a whole": torch.compile(_adaptive_loop),
    }
    if not quick:
        ways["while_loop, compiled as a whole"] = torch.compile(_torch_while_loop, fullgraph=True)
    exact = float(_adaptive_loop(y, k)[0])
    errors = {way: abs(float(call(y, k)[0]) / exact - 1) for way, call in ways.items()}
    inputs = [(y, k * (1 + 1e-6 * number)) for number in range(8)]
    calls = [timed(call, inputs) for call in ways.values()]
    with silence():
        seconds = in_turn(calls, 0.3)
    lines = [
        {"way": way, "seconds": float(np.median(mine)), "error": errors[way]}
        for way, mine in zip(ways, seconds, strict=True)
    ]
    return {
        "fullgraph_raises": float(message is not None),
        **_told(message),
        **quartiles("speedup", seconds[0] / seconds[1]),
        "worst_error": max(errors.values()),
        **_while_loop_errors(y, k),
        "lines": lines,
    }


def _heun_step(t: Any, y: Any, h: Any, k: Any) -> Any:
    """One attempt of an adaptive step of y' = -k y up to t = 1."""
    import torch

    h = torch.minimum(h, 1.0 - t)
    first = -k * y
    second = -k * (y + h * first)
    error = (0.5 * h * (second - first)).abs().max()
    accepted = error < 1e-4
    factor = torch.clamp(0.9 * (1e-4 / (error + 1e-30)) ** 0.5, 0.2, 5.0)
    moved = y + 0.5 * h * (first + second)
    return torch.where(accepted, t + h, t), torch.where(accepted, moved, y), h * factor


def _adaptive_loop(y: Any, k: Any) -> Any:
    """As anybody writes it: a Python loop until the end is reached."""
    t, h = y.new_zeros(()), y.new_full((), 0.1)
    while t < 1.0:
        t, y, h = _heun_step(t, y, h, k)
    return y


def _torch_while_loop(y: Any, k: Any) -> Any:
    """The same by the loop that ``torch.compile`` can see into."""
    from torch._higher_order_ops.while_loop import while_loop

    t, h = y.new_zeros(()), y.new_full((), 0.1)
    carried = (t, y, h)
    return while_loop(lambda t, y, h: t < 1.0, lambda t, y, h: _heun_step(t, y, h, k), carried)[1]


def _while_loop_errors(y: Any, k: Any) -> Figures:
    """How far value and gradient by torch's ``while_loop`` are from those of the eager loop."""
    import torch

    def value_and_gradient(function: Callable[..., Any]) -> tuple[float, float]:
        rate = k.clone().requires_grad_()
        value = function(y, rate).sum()
        value.backward()
        return value.item(), float("nan") if rate.grad is None else rate.grad.item()

    # Captured as a whole and differentiated as ever, but run by PyTorch's own kernels.
    loop = torch.compile(_torch_while_loop, fullgraph=True, backend="aot_eager")
    value, gradient = value_and_gradient(loop)
    exact, exact_gradient = value_and_gradient(_adaptive_loop)
    return {
        "while_loop_error": abs(value / exact - 1),
        "while_loop_gradient_error": abs(gradient / exact_gradient - 1),
    }


def _judge_compiled(figures: Figures, limits: Limits) -> Verdict:
    raises = figures["fullgraph_raises"] == 1.0
    faster = figures["speedup"] >= limits["faster"].value
    word = DOES_NOT_HOLD if not raises else IN_PART if faster else HOLDS
    return Verdict(
        word,
        f"As a whole it {'is refused' if raises else 'compiles'}; without fullgraph=True, where "
        f"the steps are compiled and the loop is not, it is {figures['speedup']:.2g} times as "
        f"fast as eager. As torch's while_loop it compiles as a whole: its value is "
        f"{figures['while_loop_error']:.1e} off and its gradient "
        f"{figures['while_loop_gradient_error']:.1e}.",
    )


def _judge_while_loop(figures: Figures, limits: Limits) -> Verdict:
    raises = figures["reverse_raises"] == 1.0
    by_hand = figures["open_solver_error"] <= limits["right"].value
    forward = figures["forward_error"] <= limits["right"].value
    said = "ends with an error" if raises else "works"
    return Verdict(
        HOLDS if raises else DOES_NOT_HOLD,
        f"Reverse mode {said}; forward mode {'is right' if forward else 'is wrong'}, and a "
        f"derivative by hand around two while loops {'is right' if by_hand else 'is wrong'}.",
    )


def _judge_if(figures: Figures, limits: Limits) -> Verdict:
    raises = figures["jit_raises"] >= limits["raises"].value
    ways = {"with a static argument": "static_value", "with lax.cond": "cond_value"}
    right = [way for way, name in ways.items() if figures[name] == figures["eager_value"]]
    return Verdict(
        HOLDS if raises else DOES_NOT_HOLD,
        f"Under jit it {'ends with an error' if raises else 'works'}; "
        f"it works {' and '.join(right) or 'in no other way'}.",
    )


def _told(message: str | None) -> Figures:
    """An error by its type and as a whole."""
    if message is None:
        return {"error": "no error"}
    return {"error": message.partition(":")[0], "message": message}


def _error_of(call: Callable[[], Any]) -> str | None:
    """The error that a call ends with, whole; ``None`` where it ends well."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


_ANY = Limit(0.0, "a branch that is not taken runs at all")

LANGUAGE = (
    Claim(
        key="4",
        sentence="lax.while_loop has no reverse mode.",
        source="JAX's documentation of lax.while_loop",
        measured="the gradient of an Euler loop as lax.while_loop: in reverse, in forward mode, "
        "and by the open solver, which puts a derivative by hand around two such loops",
        measure=while_loop_gradient,
        leading="error",
        unit="error",
        tracked="reverse_raises",
        limits={
            "right": Limit(1e-12, "a relative error of a derivative up to which it is right"),
        },
        decide=_judge_while_loop,
    ),
    Claim(
        key="5",
        sentence="lax.cond always computes both sides.",
        source="said of lax.cond where jnp.where and vmap are meant",
        measured="how often the branch that is not taken runs in one call of lax.cond: alone, and "
        "for four lanes under vmap, with one predicate for all and with one for each",
        measure=untaken_branches,
        leading="untaken_vmap",
        unit="runs of the untaken branch in 4 lanes",
        limits={"any": _ANY},
        decide=all_of(
            "The branch that is not taken ran {untaken_jit} times under jit, "
            "{untaken_vmap_shared} under vmap with one predicate, and {untaken_vmap} with a "
            "predicate for each of {lanes} lanes.",
            both_sides_without_vmap=lambda f, t: f["untaken_jit"] > t["any"].value,
            both_sides_under_vmap=lambda f, t: f["untaken_vmap"] > t["any"].value,
        ),
    ),
    Claim(
        key="6",
        sentence="A value-dependent if fails under jit.",
        source="JAX's documentation, on control flow",
        measured="|x| with a Python if: as it is, under jit, under jit with x static, and with "
        "lax.cond in its place",
        measure=value_dependent_if,
        leading="error",
        unit="error",
        tracked="jit_raises",
        limits={"raises": Limit(1.0, "the call under jit ends with an error")},
        decide=_judge_if,
    ),
    Claim(
        key="15",
        sentence="TorchScript (today torch.compile) cannot optimise it.",
        source="Pal et al., ICML 2021, arXiv:2105.03918",
        measured="an adaptive loop of Heun steps under torch.compile: with fullgraph=True, and "
        "its time over that of the eager loop without; and value and gradient of the same loop as "
        "torch's while_loop, with all sizes its time too",
        measure=compiled_by_torch,
        leading="speedup",
        unit="times as fast as eager, compiled in parts",
        limits={"faster": Limit(1.2, "times as fast, from which it is optimised")},
        decide=_judge_compiled,
    ),
)
