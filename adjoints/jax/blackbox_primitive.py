"""A solve by SciPy as one operation of JAX, with the continuous adjoint as its derivative.

The forward solve is a single :func:`jax.pure_callback` on plain NumPy. The derivative solves
forward again, keeping the dense output, and then the adjoint backwards
(:mod:`...scipy.continuous`); nothing but parameters and start value is kept between the two. The
derivatives of ``rhs`` that the adjoint solve asks for are computed by the JAX program itself, in
a loop around callbacks (:mod:`.callback_thread` tells why). How arrays travel is told in
:mod:`.callback_arrays`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import sequential_vmap

from ..result import STATUSES
from ..scipy import derivative_formulas
from ..scipy.continuous import Adjoint, AdjointSolve, solve_adjoint
from ..scipy.counted import Counts
from ..scipy.derivatives import Key, Point
from ..scipy.flat import FlatSystem
from ..scipy.integrate import Options
from ..scipy.jax_derivatives import FRAMEWORK
from ..scipy.primal import solve_primal
from ..scipy.trajectory import Trajectory
from .callback_arrays import INTEGER, Parcel, call
from .callback_thread import DONE, Ask, Dialogues

#: Counts that a solve reports, in this order; -1 where SciPy does not tell.
COUNTS: tuple[str, ...] = (
    "status",
    "steps",
    "rejected",
    "rhs_evals",
    "jacobian_evals",
    "linear_solves",
)

_COUNTS_TYPE = jax.ShapeDtypeStruct((len(COUNTS),), jnp.int32)

#: Every reverse solve that is running in this process.
_DIALOGUES = Dialogues()


@dataclass(frozen=True, eq=False)
class Blackbox:
    """One way of solving. Static in JAX programs."""

    how: AdjointSolve

    @property
    def keys(self) -> list[Key]:
        """The derivatives that the reverse solve asks for, by number."""
        return self.how.keys(self.how.reverse.solver)

    def forward(self, theta: np.ndarray, y0: np.ndarray) -> tuple[np.ndarray, ...]:
        """Saved states, times of events and counts, on NumPy."""
        trajectory = self._solve(theta, y0, keep=False)
        times = trajectory.event_times(self.how.system.times_seen)
        return trajectory.ys, times, _report(trajectory.status, trajectory.counts)

    def backward(
        self,
        theta: np.ndarray,
        y0: np.ndarray,
        dys: np.ndarray,
        dtimes: np.ndarray,
        ask: Ask,
        dtype: Any,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cotangents of parameters and start value, and counts, on NumPy.

        What is asked for comes in `dtype`, the program's own.
        """
        trajectory = self._solve(theta, y0, keep=True)
        adjoint = Adjoint(trajectory.status, np.zeros(0), np.zeros(0), trajectory.counts)
        if adjoint.status == "ok":
            asking = {key: _asking(ask, number) for number, key in enumerate(self.keys)}
            point = Point(self.how.system, asking, theta, None)
            reverse = _above_rounding(self.how.reverse, dtype)
            plan = self.how.plan.at(theta)
            adjoint = solve_adjoint(point, plan, trajectory, dys, reverse, dtimes)
        report = _report(adjoint.status, adjoint.counts)
        if adjoint.status != "ok":
            return np.full(theta.shape, np.nan), np.full(y0.shape, np.nan), report
        return adjoint.dtheta, adjoint.dy0, report

    def _solve(self, theta: np.ndarray, y0: np.ndarray, *, keep: bool) -> Trajectory:
        own = self.how.system.jacobian_function is not None
        return solve_primal(
            self.how.system.at(theta),
            y0,
            self.how.plan.at(theta),
            self.how.options,
            jacobian=(lambda t, y: self.how.system.jacobian(t, y, theta)) if own else None,
            keep=keep,
        )


def _above_rounding(options: Options, dtype: Any) -> Options:
    """`options` with no tolerance below what the rounding of the derivatives allows."""
    return replace(options, rtol=np.maximum(options.rtol, 10 * np.finfo(dtype).eps))


def _asking(ask: Ask, number: int) -> Any:
    return lambda z, handle: ask(number, z)


def _report(status: str, counts: Counts) -> np.ndarray:
    rejected = -1 if counts.rejected is None else counts.rejected
    work = (counts.steps, rejected, counts.rhs_evals, counts.jacobian_evals, counts.linear_solves)
    return np.array([STATUSES.index(status), *work], dtype=np.int32)


def solve_blackbox(
    box: Blackbox,
    theta: jax.Array,
    y0: jax.Array,
    probe: jax.Array,
    constants: Mapping[str, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Saved states, shape ``(saves, n)``, times of events, and :data:`COUNTS` of the solve.

    ``probe`` holds zeros; its cotangent carries :data:`COUNTS` of the reverse pass, which has no
    other way out of a derivative. ``constants`` are those of the equations, for the derivatives.
    """
    return _solve(box, theta, y0, probe, constants)  # type: ignore[return-value]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _solve(
    box: Blackbox,
    theta: jax.Array,
    y0: jax.Array,
    probe: jax.Array,
    constants: Mapping[str, jax.Array],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    del probe, constants
    system = box.how.system
    ys = jax.ShapeDtypeStruct((box.how.plan.saves, system.n), y0.dtype)
    times = jax.ShapeDtypeStruct((system.times_seen,), y0.dtype)
    takes, gives = Parcel(_type(theta), _type(y0)), Parcel(ys, times, _COUNTS_TYPE)
    found, times, report = call(box.forward, takes, gives, theta, y0)
    return found, times, report


def _forward_rule(
    box: Blackbox,
    theta: jax.Array,
    y0: jax.Array,
    probe: jax.Array,
    constants: Mapping[str, jax.Array],
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[Any, ...]]:
    return solve_blackbox(box, theta, y0, probe, constants), (theta, y0, constants)


def _reverse_rule(
    box: Blackbox, kept: tuple[Any, ...], cotangents: tuple[jax.Array, jax.Array, Any]
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    # One lane after the other: a batched loop would go on until the last lane is done.
    reverse = sequential_vmap(functools.partial(_reverse, box))
    dtheta, dy0, report = reverse(*kept, *cotangents[:2])
    return dtheta, dy0, report.astype(dy0.dtype), None


_solve.defvjp(_forward_rule, _reverse_rule)


def _reverse(
    box: Blackbox,
    theta: jax.Array,
    y0: jax.Array,
    constants: Mapping[str, jax.Array],
    dys: jax.Array,
    dtimes: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The reverse solve: a loop that answers what the adjoint in its thread asks for."""
    catalogue = Catalogue(box.how.system, box.keys)
    z = jax.ShapeDtypeStruct((catalogue.longest_question,), y0.dtype)
    answer = jax.ShapeDtypeStruct((catalogue.longest_answer,), y0.dtype)

    def begin(
        theta: np.ndarray, y0: np.ndarray, dys: np.ndarray, dtimes: np.ndarray
    ) -> tuple[Any, ...]:
        dialogue = _DIALOGUES.begin(lambda ask: box.backward(theta, y0, dys, dtimes, ask, z.dtype))
        return dialogue, *catalogue.padded(*_DIALOGUES.question(dialogue, 0))

    def go_on(dialogue: Any, turn: Any, number: Any, answer: np.ndarray) -> tuple[Any, ...]:
        found = catalogue.shaped(int(number), answer)
        return catalogue.padded(*_DIALOGUES.question(int(dialogue), int(turn), found))

    def end(dialogue: Any, turn: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _DIALOGUES.result(int(dialogue), int(turn))

    takes = Parcel(_type(theta), _type(y0), _type(dys), _type(dtimes))
    gives = Parcel(INTEGER, INTEGER, z)
    dialogue, number, question = call(begin, takes, gives, theta, y0, dys, dtimes)

    def unfinished(carry: Any) -> jax.Array:
        return carry[1] != DONE

    def reply(carry: Any) -> Any:
        turn, number, question = carry
        found = catalogue.answer(number, question, theta, constants)
        takes, gives = Parcel(INTEGER, INTEGER, INTEGER, answer), Parcel(INTEGER, z)
        return turn + 1, *call(go_on, takes, gives, dialogue, turn, number, found)

    turn, _, _ = lax.while_loop(unfinished, reply, (jnp.int32(1), number, question))
    takes, gives = Parcel(INTEGER, INTEGER), Parcel(_type(theta), _type(y0), _COUNTS_TYPE)
    dtheta, dy0, report = call(end, takes, gives, dialogue, turn - 1)
    return dtheta, dy0, report


def _type(array: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


class Catalogue:
    """The derivatives that can be asked for, by number, as vectors of one length.

    Parameters
    ----------
    system : FlatSystem
    keys : list of tuple
        The names of the formulas, in the order of their numbers.
    """

    def __init__(self, system: FlatSystem, keys: list[Key]) -> None:
        self._formulas = [
            getattr(derivative_formulas, k[0])(system, FRAMEWORK, *k[1:]) for k in keys
        ]
        self._sizes = [derivative_formulas.input_size(k[0], system) for k in keys]
        self._shapes = [derivative_formulas.output_shape(k[0], system) for k in keys]
        #: Numbers in the longest argument, and in the longest result.
        self.longest_question = max(self._sizes)
        self.longest_answer = max(int(np.prod(shape)) for shape in self._shapes)

    def answer(self, number: jax.Array, z: jax.Array, theta: jax.Array, constants: Any) -> Any:
        """In the program: formula `number` at `z`, padded to the length of the longest."""
        branches = [self._branch(i) for i in range(len(self._formulas))]
        return lax.switch(number, branches, z, theta, constants)

    def padded(self, number: int, z: Any) -> tuple[int, np.ndarray]:
        """In the callback: a question for the program, its argument as long as the longest."""
        padded = np.zeros(self.longest_question)
        if number != DONE:
            padded[: z.size] = z
        return number, padded

    def shaped(self, number: int, answer: np.ndarray) -> np.ndarray:
        """In the callback: the answer to a question, without the padding."""
        shape = self._shapes[number]
        return answer[: int(np.prod(shape))].reshape(shape)

    def _branch(self, i: int) -> Any:
        def branch(z: jax.Array, theta: jax.Array, constants: Any) -> jax.Array:
            found = self._formulas[i](z[: self._sizes[i]], theta, constants).reshape(-1)
            return jnp.pad(found, (0, self.longest_answer - found.size))

        return branch
