"""From what a user passes to what a solve reads: right-hand sides, jumps and parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...problems.event import Event
from ..arguments import accepts, argument_names, check_function
from ..events.when_event import WhenEvent
from ..state_layout import Split, Still, View
from .reads import Reads, note_changes, reads_of
from .state_layout import stacked

Tree = Any
Params = tuple[list[jax.Array], list[jax.Array]]


def split_params(params: Tree) -> tuple[list[jax.Array], list[jax.Array], Split]:
    """Floating leaves, other arrays, and how to put the tree together again."""
    leaves, structure = jax.tree.flatten(params)
    read = [jnp.asarray(leaf) if _is_array(leaf) else Still(leaf) for leaf in leaves]
    kinds = tuple(leaf if isinstance(leaf, Still) else _is_smooth(leaf) for leaf in read)
    arrays = [leaf for leaf in read if not isinstance(leaf, Still)]
    smooth = [leaf for leaf in arrays if _is_smooth(leaf)]
    constants = [leaf for leaf in arrays if not _is_smooth(leaf)]
    split = Split(structure, kinds)
    try:
        hash(split)
    except TypeError as error:
        raise ValueError(
            f"params: {error}; what is no array in it is a part of the compiled program, and must "
            "be hashable, as functions, strings and tuples are"
        ) from None
    return smooth, constants, split


def _is_array(leaf: Any) -> bool:
    """Whether a leaf is computed with; a whole number counts, names or chooses."""
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype.kind in "biufc"
    return isinstance(leaf, jax.Array | float | complex)


def _is_smooth(leaf: jax.Array) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def merge_named(params: dict[str, Any], constants: dict[str, Any]) -> dict[str, Any]:
    """A problem's parameters and constants in one dictionary."""
    return {**params, **constants}


class JaxView(View):
    """How a user's functions on JAX see a solve."""

    def _plain(self, found: Tree, like: jax.Array) -> Any:
        if isinstance(found, list | tuple):
            return stacked(found, like).reshape(like.shape)
        return found


@dataclass(frozen=True)
class Module:
    """A function that is a pytree, whose arrays lie among the parameters from these numbers on."""

    split: Split
    first_smooth: int
    first_constant: int

    def __call__(self, smooth: list[jax.Array], constants: list[jax.Array]) -> Callable[..., Any]:
        """The function again."""
        return self.split(smooth[self.first_smooth :], constants[self.first_constant :])


@dataclass(frozen=True)
class UserFunction:
    """A function of a user's, of which the loop reads both kinds of parameters and flat states.

    ``reads`` is what it reads besides: where that has changed, what was compiled serves no more.
    """

    function: Callable[..., Any] | Module
    merge: Callable[..., Tree]
    view: View = field(default_factory=JaxView)
    reads: Reads = field(init=False)

    def __post_init__(self) -> None:
        known = () if isinstance(self.function, Module) else reads_of(self.function)
        object.__setattr__(self, "reads", known)

    def note_changes(self) -> None:
        """Remember what has changed while the function ran, such as counters."""
        if not isinstance(self.function, Module):
            note_changes(self.function, self.reads)

    def returned(self, t: jax.Array, y: jax.Array, params: Params, *number: Any) -> Any:
        """What the function returns, called as its user wrote it; a jump is told its number."""
        view, tree = self.view, self.merge(*params)
        arguments = (tree or ()) if view.spread else (tree,)
        function = self.function(*params) if isinstance(self.function, Module) else self.function
        return function(*number, view.turned(t), view.structure(y), *arguments)


class Field(UserFunction):
    """A right-hand side ``rhs(t, y, p)`` as the loop calls it, on both kinds of parameters."""

    def __call__(self, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """``dy/dt``; a list of its components, as users of SciPy write it, is made an array."""
        return self.view.turned(self.view.state("rhs", self.returned(t, y, params), y))


class Jacobian(UserFunction):
    """A user's matrix of derivatives, by the flat state, as the loop calls it."""

    def __call__(self, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """``d rhs / dy``, shape ``(n, n)``."""
        return self.view.turned(stacked(self.returned(t, y, params), y))


class Threshold(UserFunction):
    """A user's ``when(t, y, p)``: a number that passes through zero where an event is."""

    def __call__(self, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """The number."""
        found = jnp.asarray(self.returned(t, y, params), y.dtype)
        if found.shape not in ((), (1,)):
            raise ValueError(
                f"when returned shape {found.shape}; an event is where one number passes through "
                "zero: return a scalar"
            )
        return found.reshape(())


class EventJump(UserFunction):
    """A user's ``jump(t, y, p)`` of an event."""

    def __call__(self, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """The state just after."""
        return self.view.state("event jump", self.returned(t, y, params), y)


@dataclass(frozen=True)
class Jump:
    """A user's jumps as the loop calls them: by their numbers, which are traced.

    A function that takes the number as an array, ``p["dose"][i]``, is traced once. One that needs
    a Python integer, as for the element of a list, is traced once for each of `count` jumps.
    """

    jump: UserFunction
    count: int

    def __call__(self, which: jax.Array, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """The state after the jumps `which`, one after the other; -1 is none."""
        for number in which:
            y = lax.cond(number >= 0, self._one, lambda i, t, y, p: y, number, t, y, params)
        return y

    def _one(self, number: jax.Array, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        if self._takes_arrays(number, t, y, params):
            return self._after(number, t, y, params)
        branches = [lambda *at, i=i: self._after(i, *at) for i in range(self.count)]
        return lax.switch(number, branches, t, y, params)

    def _after(self, number: Any, t: jax.Array, y: jax.Array, params: Params) -> Any:
        return self.jump.view.state("jump", self.jump.returned(t, y, params, number), y)

    def _takes_arrays(self, *arguments: Any) -> bool:
        try:
            found = jax.eval_shape(self._after, *arguments)
        except Exception:
            # Whatever is wrong besides is raised again by the call with an integer.
            return False
        return (found.shape, found.dtype) == (arguments[2].shape, arguments[2].dtype)


@dataclass(frozen=True)
class Converted:
    """A function whose closed-over traced values have become parameters after its own ones."""

    function: Callable[..., Any]
    own: int
    first: int
    count: int

    def __call__(self, *arguments: Any) -> Any:
        """The same value."""
        *before, (smooth, constants) = arguments
        hoisted = smooth[self.first : self.first + self.count]
        return self.function(*before, (smooth[: self.own], constants), *hoisted)


@dataclass(frozen=True)
class TracedOnce:
    """A right-hand side that is traced once for all of its uses, and so are its derivatives.

    A step uses it once a stage, and a sweep as often again; what XLA compiles is the same.
    """

    function: Callable[..., jax.Array]

    def __call__(self, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """The same value."""
        return _traced(self.function, t, y, params)


_traced = jax.jit(lambda function, *arguments: function(*arguments), static_argnums=0)


class UserFunctions(NamedTuple):
    """A user's functions as the loop calls them, and the arrays that they are called with.

    ``times`` is the number among the smooth ones of declared times that move.
    """

    rhs: Callable[..., Any]
    jump: Callable[..., Any] | None
    jacobian: Callable[..., Any] | None
    smooth: list[jax.Array]
    constants: list[jax.Array]
    written: list[UserFunction]
    events: tuple[WhenEvent, ...] = ()
    times: int | None = None


def user_functions(
    functions: tuple[Any, Any, Any],
    jumps: int,
    params: Tree,
    args: tuple[Any, ...] | None,
    view: View,
    start: jax.Array,
    events: tuple[Event, ...] = (),
    times: jax.Array | None = None,
) -> UserFunctions:
    """What a user passed as ``(rhs, jump, jacobian)``, ``params`` and ``args``.

    Each function is called as ``(t, y, params)``, or ``(t, y, *args)``; without either it may take
    ``(t, y)`` alone. Traced values that they close over are differentiated as parameters are, and
    so are the arrays of a function that is a pytree, and declared `times` that move.
    """
    rhs, jump, jacobian = functions
    names = argument_names(params, args)
    smooth, constants, split = split_params(params if args is None else args)

    def seen(argument: str, function: Any, *takes: str) -> tuple[Any, Split, View]:
        spread = not names and accepts(function, *takes)
        if not spread:
            check_function(argument, function, *takes, *(names or ("params",)))
        if not jax.tree_util.all_leaves([function]):
            own, fixed, parts = split_params(function)
            function = Module(parts, len(smooth), len(constants))
            smooth.extend(own)
            constants.extend(fixed)
        return function, split, replace(view, spread=spread or args is not None)

    field = Field(*seen("rhs", rhs, "t", "y"))
    written: list[UserFunction] = [field]
    on_stop = matrix = None
    if jump is not None:
        written.append(UserFunction(*seen("jump", jump, "i", "t", "y")))
        on_stop = Jump(written[-1], jumps)
    if jacobian is not None:
        matrix = Jacobian(*seen("jacobian", jacobian, "t", "y"))
        written.append(matrix)
    found = []
    for event in events:
        when, jump_there = Threshold(*seen("when", event.when, "t", "y")), None
        written.append(when)
        if event.jump is not None:
            jump_there = EventJump(*seen("event jump", event.jump, "t", "y"))
            written.append(jump_there)
        found.append((event, when, jump_there))
    all_smooth = [*smooth, *([] if times is None else [times])]

    def opened(function: Any, written: Any, *lead: Any) -> Any:
        if function is None or not may_close(written):
            return function
        t = jnp.zeros((), start.dtype)
        converted, hoisted = jax.closure_convert(function, *lead, t, start, (smooth, constants))
        if not hoisted:
            return function
        all_smooth.extend(hoisted)
        first = len(all_smooth) - len(hoisted)
        return Converted(converted, len(smooth), first, len(hoisted))

    which = jnp.zeros(1, jnp.int32)
    return UserFunctions(
        TracedOnce(opened(field, rhs)),
        opened(on_stop, jump, which),
        opened(matrix, jacobian),
        all_smooth,
        constants,
        written,
        tuple(
            WhenEvent(
                opened(when, event.when),
                opened(after, event.jump),
                event.direction,
                event.terminal,
            )
            for event, when, after in found
        ),
        None if times is None else len(smooth),
    )


def may_close(function: Any) -> bool:
    """Whether a function may hold values besides its arguments."""
    return not isinstance(function, FunctionType) or function.__closure__ is not None
