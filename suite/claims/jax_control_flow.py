"""Claims about loops and branches in JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..measuring.timing import Silence
from .claim import DOES_NOT_HOLD, HOLDS, Claim, Figures, Limit, Limits, Verdict
from .judges import all_of
from .refusals import error_of, told


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
        message = error_of(lambda: jax.grad(decay)(k))
        forward = float(jax.jvp(decay, (k,), (jnp.ones_like(k),))[1])
        by_hand = float(jax.grad(_by_open_solver)(k))
    return {
        "reverse_raises": float(message is not None),
        **told(message),
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
    message = error_of(lambda: jax.jit(absolute)(x))
    return {
        "jit_raises": float(message is not None),
        **told(message),
        "eager_value": float(absolute(x)),
        "static_value": float(jax.jit(absolute, static_argnums=0)(-2.0)),
        "cond_value": float(jax.jit(with_cond)(x)),
    }


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


_ANY = Limit(0.0, "a branch that is not taken runs at all")

JAX_CONTROL_FLOW = (
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
)
