"""A problem on flat vectors: what SciPy's solvers and the derivative formulas work with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace

from ...problems import Event, Problem
from ..adjoint_units import size_of_parameters
from ..events.calculus import calculus_of
from ..events.crossing import Passed, pass_event
from ..events.held_times import beside, held_jump, seen_from
from .sparsity import Sparsity

#: An array of whatever framework runs the formulas: NumPy, JAX or PyTorch.
Array = Any
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class FlatSystem:
    """The equations as functions of a flat state ``y`` and a flat parameter vector ``theta``.

    The methods run in the namespace of what they are given; ``constants`` are handed over by the
    caller, in the same namespace. SciPy computes in float64 whatever it is given, so everything
    here is float64 too, and results are rounded to the user's dtype at the very end.

    Attributes
    ----------
    function : callable
        The user's ``rhs(t, y, p)``.
    arguments : callable
        ``arguments(theta, constants) -> p``.
    shape : tuple of int
        The shape of the user's state.
    n : int
        Number of states.
    sizes : tuple of int
        Numbers of parameters in the user's arrays, in the order in which they stand in ``theta``.
    constants : dict of str to ndarray
        Arrays that are not differentiated.
    loss_function, jump_function, jacobian_function : callable or None
        The user's ``loss(ys, p)``, ``jump(i, t, y, p)`` and ``jacobian(t, y, p)``.
    events : tuple of Event
        The user's.
    problem : Problem or None
        What it was made of; ``None`` for a solve without a problem.
    sparsity : Sparsity or None
        Where the Jacobians have entries, if implicit solvers are to get sparse ones.
    """

    function: Callable[[Array, Array, Any], Array]
    arguments: Callable[[Array, Mapping[str, Array]], Any]
    shape: tuple[int, ...]
    n: int
    sizes: tuple[int, ...]
    constants: dict[str, np.ndarray]
    loss_function: Callable[[Array, Any], Array] | None = None
    jump_function: Callable[[int, Array, Array, Any], Array] | None = None
    jacobian_function: Callable[[Array, Array, Any], Array] | None = None
    events: tuple[Event, ...] = ()
    problem: Problem | None = None
    sparsity: Sparsity | None = None

    @property
    def m(self) -> int:
        """Number of parameters."""
        return sum(self.sizes)

    def leaves(self, theta: np.ndarray) -> list[np.ndarray]:
        """The user's arrays of parameters, as flat vectors."""
        stops = np.cumsum(self.sizes, dtype=int)
        return [theta[stop - m : stop] for m, stop in zip(self.sizes, stops, strict=True)]

    def parameter_sizes(self, theta: np.ndarray, span: float) -> np.ndarray:
        """The size of every parameter: its own, or where it is zero that of its array."""
        one = np.ones(())
        of_arrays = (
            np.where(leaf == 0, size_of_parameters(leaf, one, span * one), np.abs(leaf))
            for leaf in self.leaves(theta)
        )
        return np.hstack([np.zeros(0), *of_arrays])

    def rhs(self, t: Array, y: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        """The right-hand side, shape ``(n,)``."""
        p = self.arguments(theta, constants)
        return self.function(t, y.reshape(self.shape), p).reshape((self.n,))

    @property
    def times_seen(self) -> int:
        """How many times of events the loss sees."""
        return self.problem.max_events if self.problem is not None and self.events else 0

    def loss(
        self,
        ys: Array,
        theta: Array,
        constants: Mapping[str, Array],
        times: Array | None = None,
    ) -> Array:
        """The loss of states of shape ``(saves, n)`` and the times of events, if there are any."""
        assert self.loss_function is not None
        p = self.arguments(theta, constants)
        if self.events:
            assert self.problem is not None
            p = {**p, **self.problem.events_seen_by_loss(times)}
        return self.loss_function(ys.reshape((ys.shape[0], *self.shape)), p)

    def jump(
        self, i: int, t: Array, y: Array, theta: Array, constants: Mapping[str, Array]
    ) -> Array:
        """The state just after jump number `i`, shape ``(n,)``."""
        assert self.jump_function is not None
        p = self.arguments(theta, constants)
        return self.jump_function(i, t, y.reshape(self.shape), p).reshape((self.n,))

    def passed(
        self, e: int, t: Array, y: Array, theta: Array, constants: Mapping[str, Array]
    ) -> Passed:
        """What event number `e`, located at `t`, does to the flat state `y`."""
        p, event = self.arguments(theta, constants), self.events[e]
        y, given = y.reshape(self.shape), event.jump
        jump = None if given is None else lambda t, y: given(t, y, p)
        sides = seen_from(lambda t, y: self.function(t, y, p), *beside(t, np.float64))
        calculus = calculus_of(sides.before, t, y)
        found = pass_event(lambda t, y: event.when(t, y, p), jump, sides, t, y, *calculus)
        return Passed(found.time, *(part.reshape((self.n,)) for part in found[1:]))

    def event(
        self, e: int, t: Array, y: Array, theta: Array, constants: Mapping[str, Array]
    ) -> Array:
        """The state behind event number `e`, located at `t`, and its time, shape ``(n + 1,)``.

        The solve goes on with this state at `t`, or ends with it where the event is terminal.
        """
        found = self.passed(e, t, y, theta, constants)
        state = found.after if self.events[e].terminal else found.held
        return array_namespace(state).concat([state, found.time.reshape((1,))])

    def jacobian(self, t: float, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """The user's own Jacobian on NumPy, shape ``(n, n)``."""
        assert self.jacobian_function is not None
        p = self.arguments(theta, self.constants)
        return np.asarray(self.jacobian_function(np.asarray(t), y.reshape(self.shape), p))

    def at(self, theta: np.ndarray) -> BoundSystem:
        """The functions at given parameters, on NumPy."""
        return BoundSystem(self, theta)


class BoundSystem:
    """The functions of a system on NumPy, at fixed parameters."""

    def __init__(self, system: FlatSystem, theta: np.ndarray) -> None:
        self.system = system
        self.theta: np.ndarray = theta

    @functools.cached_property
    def _p(self) -> Any:
        return self.system.arguments(self.theta, self.system.constants)

    def rhs(self, t: float, y: np.ndarray) -> np.ndarray:
        """The right-hand side, shape ``(n,)``."""
        return self.system.rhs(np.asarray(t), y, self.theta, self.system.constants)

    def jump(self, i: int, t: float, y: np.ndarray) -> np.ndarray:
        """The state after jump number `i`, shape ``(n,)``."""
        return self.system.jump(i, np.asarray(t), y, self.theta, self.system.constants)

    def loss(self, ys: np.ndarray, times: np.ndarray) -> complex:
        """The loss of states of shape ``(saves, n)`` and times: a real or complex number."""
        return self.system.loss(ys, self.theta, self.system.constants, times).item()

    def when(self, e: int, t: float, y: np.ndarray) -> complex:
        """The value of event number `e`: a real or complex number."""
        system = self.system
        return system.events[e].when(np.asarray(t), y.reshape(system.shape), self._p).item()

    def passed(self, e: int, t: float, y: np.ndarray) -> Passed:
        """What event number `e`, located at `t`, does."""
        return self.system.passed(e, np.asarray(t), y, self.theta, self.system.constants)


def flat_system(problem: Problem, dtype: Any = np.float64) -> FlatSystem:
    """The functions of `problem` on flat float64 vectors.

    Parameters
    ----------
    problem : Problem
    dtype : dtype
        In which the equations tell times apart.
    """
    shapes = {name: value.shape for name, value in problem.params.items()}

    def arguments(theta: Array, constants: Mapping[str, Array]) -> dict[str, Array]:
        return {**unpack(theta, shapes), **constants}

    return FlatSystem(
        function=problem.rhs,
        arguments=arguments,
        shape=problem.y0.shape,
        n=problem.n_states,
        sizes=tuple(value.size for value in problem.params.values()),
        constants={name: in_double(value) for name, value in problem.constants.items()},
        loss_function=problem.loss,
        jump_function=held_jump(problem, dtype),
        jacobian_function=problem.jacobian,
        events=problem.events,
        problem=problem,
    )


def in_double(value: np.ndarray) -> np.ndarray:
    """`value` in float64 where it is floating; integers and booleans stay."""
    return value.astype(np.float64) if value.dtype.kind == "f" else value


def pack(params: Mapping[str, np.ndarray]) -> np.ndarray:
    """All parameters in one float64 vector, in the order of the mapping."""
    if not params:
        return np.zeros(0)
    return np.concatenate([np.ravel(value) for value in params.values()]).astype(np.float64)


def parts(theta: Array, shapes: Iterable[tuple[int, ...]]) -> list[Array]:
    """The arrays in a flat vector, of any namespace, given their shapes in order."""
    return list(unpack(theta, dict(enumerate(shapes))).values())


def unpack(theta: Array, shapes: Mapping[Key, tuple[int, ...]]) -> dict[Key, Array]:
    """The same, by what they are called."""
    arrays, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape, dtype=int))
        arrays[name] = theta[start:stop].reshape(shape)
        start = stop
    return arrays
