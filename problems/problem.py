"""``Problem``: an initial value problem with parameters and a loss on saved states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import validation
from .definition import definition_hash
from .event import DEFAULT_MAX_EVENTS, EVENT_TIMES, Event, check_max_events, checked_events
from .function_checks import checked_functions
from .initial_value import Array, InitialValue, Loss
from .jacobian_sparsity import Pattern, Sparse, check_complete, checked_pattern
from .moving_times import MovingTimes, moves
from .reference import Reference, find_reference
from .torch_module import ModuleField, arrays_of, check_module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: ``rhs(t, y, p)``, and ``jacobian(t, y, p)``.
RightHandSide = Callable[[Array, Array, Mapping[str, Array]], Array]
#: ``jump(i, t, y, p)``.
Jump = Callable[[int, Array, Array, Mapping[str, Array]], Array]
#: ``exact(params, y0) -> (loss, dparams, dy0)``.
Exact = Callable[
    [Mapping[str, np.ndarray], np.ndarray], tuple[float, dict[str, np.ndarray], np.ndarray]
]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Problem(InitialValue):
    """The initial value problem ``y' = rhs(t, y, p)``, ``y(t0) = y0``, and a loss to differentiate.

    The functions are written once, in the Python array API standard
    (``xp = array_api_compat.array_namespace(y)``), and run on NumPy, JAX and PyTorch. What they
    get as ``p`` is one dict, `params` and `constants` together, as arrays of the namespace,
    dtype (integers stay integers) and device of ``y``; ``t`` is a 0-d array of the same.
    Functions that are written for NumPy, JAX or PyTorch alone are taken as they are, and so are
    those that return a list of components; methods that cannot take them say so. The attributes
    ``rhs``, ``loss``, ``jacobian`` and ``jump`` can be called with NumPy arrays in any case.

    Parameters
    ----------
    name : str
    rhs : callable
        ``rhs(t, y, p) -> dy/dt``, in the shape and dtype of ``y``.
    y0 : array_like
        Start value, of any shape. Integers become float64.
    params : mapping of str to array_like
        What the gradient is taken to, arrays of any shape.
    t_span : (float, float)
        Start and end, increasing.
    save_at : array_like, optional
        The times, strictly increasing and inside the span, whose states the loss sees; the end
        of the span by default.
    loss : callable
        ``loss(ys, p) -> scalar``, with ``ys`` of shape ``(len(save_at), *y0.shape)``.
    constants : mapping of str to array_like
        Named arrays that are not differentiated: data, labels, grids, masks.
    stiff : bool
        Whether to solve it with an implicit method by default.
    tags : sequence of str
        What it is an example of: ``"oscillatory"``, ``"chaotic"``, ``"neural"``, ...
    jacobian : callable, optional
        ``jacobian(t, y, p) -> (n, n)``, the derivative of the flattened ``rhs`` with respect to
        the flattened ``y``.
    jacobian_sparsity : sparse array, array_like or (rows, columns), optional
        Where the derivative of the flattened ``rhs`` with respect to the flattened ``y`` may
        differ from zero, at whatever state, time and parameters: a sparse array of SciPy, whose
        stored entries count, an array of shape ``(n, n)`` that is not zero there, or a tuple of
        two index arrays. The attribute is such a pair, sorted by columns, then rows, each entry
        once. Methods with sparse linear systems find it from the equations where it is ``None``;
        it is no part of :meth:`definition_hash`, as it does not change the equations.
    discontinuities : sequence of float, or callable
        Times where the right-hand side is not smooth; every method steps onto them, and sees the
        right-hand side from the side of the step. One at an end of the span says that the span's
        side of it counts. Names of parameters among them, or a function ``discontinuities(p)``
        that returns the times, make them move with the parameters, and the gradient knows.
    jump_times : sequence of float, or callable
        Times, strictly increasing, after the start and no later than the end, at which the
        state jumps. They may move with the parameters as well, and then come in any order, and
        have no effect outside the span.
    jump : callable, optional
        ``jump(i, t, y, p)``, the state just after the jump at ``jump_times[i]``. A save at a
        jump time is the value after it.
    events : sequence of Event
        Where the state crosses a threshold, and what happens to it there: see :class:`Event`.
        In the loss of such a problem ``p["event_times"]`` has their times, `max_events` of them
        in order, infinite where there were fewer.
    max_events : int
        How many there may be in one solve; more are the status ``"max_events"``.
    mass : array_like, shape (n, n), optional
        ``M`` of ``M y' = rhs(t, y, p)``, for the flattened state. It may be singular: its zero
        rows are algebraic equations, of index 1, and `y0` need fulfil them only roughly.
    version : int
        Raised when the numbers of a published problem change.
    settings : mapping of str to object
        The arguments of the factory that made it.
    exact : callable, optional
        ``exact(params, y0) -> (loss, dparams, dy0)`` in closed form.

    Raises
    ------
    ValueError
        Where something does not fit, naming the argument, what it got and what would do. The
        functions are called once for this, on NumPy arrays, and where that fails on those of
        PyTorch or JAX, if it has been imported; a NaN that they return is no error. Where a
        `jacobian_sparsity` lacks entries that ``rhs`` shows near the start: this takes some
        calls more (:func:`~.jacobian_sparsity.check_complete`).

    Notes
    -----
    After construction every array is a NumPy array of the problem's one floating dtype, float32
    or float64, except constants of integers and booleans; times are rounded to that dtype.
    """

    rhs: RightHandSide
    stiff: bool
    tags: tuple[str, ...]
    jacobian: RightHandSide | None
    jacobian_sparsity: Pattern | None
    discontinuities: tuple[float, ...]
    jump_times: tuple[float, ...]
    jump: Jump | None
    events: tuple[Event, ...]
    max_events: int
    mass: np.ndarray | None
    version: int
    settings: dict[str, Any]
    exact: Exact | None

    def __init__(
        self,
        *,
        name: str,
        rhs: RightHandSide,
        y0: ArrayLike,
        params: Mapping[str, ArrayLike],
        t_span: Sequence[float],
        loss: Loss,
        save_at: ArrayLike | None = None,
        constants: Mapping[str, ArrayLike] | None = None,
        stiff: bool = False,
        tags: Sequence[str] = (),
        jacobian: RightHandSide | None = None,
        jacobian_sparsity: Sparse | ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
        discontinuities: ArrayLike | Callable[[Mapping[str, Array]], Array] = (),
        jump_times: ArrayLike | Callable[[Mapping[str, Array]], Array] = (),
        jump: Jump | None = None,
        events: Sequence[Event] = (),
        max_events: int = DEFAULT_MAX_EVENTS,
        mass: ArrayLike | None = None,
        version: int = 1,
        settings: Mapping[str, Any] | None = None,
        exact: Exact | None = None,
    ) -> None:
        self._set_values(name, y0, params, constants, t_span, save_at)
        span, dtype = self.t_span, self.dtype
        breaks, jumps = validation.checked_stops(
            discontinuities, jump_times, span, dtype, self.params, self.merged()
        )
        room = check_max_events(max_events)
        self._set(
            events=checked_events(events, t0=span[0], y0=self.y0, p=self.merged()),
            max_events=room,
        )
        functions = {
            "rhs": rhs,
            "loss": loss,
            "jacobian": jacobian,
            "jump": jump,
            "exact": exact,
        }
        self._set(
            stiff=bool(stiff),
            tags=validation.checked_tags(tags),
            jacobian_sparsity=checked_pattern(jacobian_sparsity, self.n_states),
            discontinuities=breaks,
            jump_times=jumps,
            mass=validation.checked_mass(mass, self.n_states, dtype),
            version=version,
            settings=dict(settings or {}),
            **checked_functions(
                functions,
                t0=span[0],
                y0=self.y0,
                p=self.merged(),
                n_saves=len(self.save_at),
                jump_times=jumps,
                of_loss=self.events_seen_by_loss(np.full(room, span[1], dtype)),
            ),
        )
        if self.jacobian_sparsity is not None:
            check_complete(self.jacobian_sparsity, self.rhs, span, self.y0, self.merged())

    @classmethod
    def from_module(
        cls,
        module: Any,
        y0: ArrayLike,
        t_span: Sequence[float],
        loss: Loss,
        *,
        name: str = "module",
        **options: Any,
    ) -> Problem:
        """The problem of a ``torch.nn.Module``: ``y' = module(t, y)``, or ``y' = module(y)``.

        Its parameters are the module's by their names, as ``"net.0.weight"``, with the values
        that they have now; those that need no gradient, and buffers, are constants. The module
        itself stays as it is, whatever is computed. In other processes, as those of
        ``adjointbench compare``, it has the same values only where a seed is set before it is
        made, or they are loaded from a file.

        Parameters
        ----------
        module : torch.nn.Module
        y0, t_span, loss
            As of the class; `y0` in the dtype of the module.
        name : str
        **options
            The other arguments of the class; `constants` are joined with those of the module.

        Raises
        ------
        ValueError
            As the class does.
        """
        check_module(module)
        params, others = arrays_of(module)
        constants = {**others, **(options.pop("constants", None) or {})}
        return cls(
            name=name,
            rhs=ModuleField(module),
            y0=y0,
            params=params,
            t_span=t_span,
            loss=loss,
            constants=constants,
            **options,
        )

    def events_seen_by_loss(self, times: Array) -> dict[str, Array]:
        """What the loss gets besides parameters and constants: the `times` of events, if any."""
        return {EVENT_TIMES: times} if self.events else {}

    @property
    def reference(self) -> Reference | None:
        """The certified loss and gradient of exactly this problem, or ``None``."""
        return find_reference(self.name, self.definition_hash)

    def definition_hash(self) -> str:
        """SHA-256 of what defines the numbers: source of the equations, arrays, times, settings."""
        return definition_hash(
            self.name,
            [self.rhs, self.loss, *filter(None, [self.jump]), *_functions_of_stops(self)],
            {
                **{f"params[{name!r}]": value for name, value in self.params.items()},
                **{f"constants[{name!r}]": value for name, value in self.constants.items()},
                "y0": self.y0,
                "save_at": self.save_at,
                **({} if self.mass is None else {"mass": self.mass}),
            },
            {"t_span": self.t_span, "jump_times": self.jump_times, **_kinds_of_events(self)},
        )

    def __repr__(self) -> str:
        settings = "".join(f", {key}={value!r}" for key, value in self.settings.items())
        return (
            f"Problem({self.name!r}{settings}: {self.n_states} states {self.y0.shape}, "
            f"{self.n_params} parameters, {self.dtype}, t in {list(self.t_span)}, "
            f"{len(self.save_at)} saves{', stiff' if self.stiff else ''})"
        )


def _functions_of_stops(problem: Problem) -> list[Callable[..., Any]]:
    """The functions of events, and those that make declared times of parameters."""
    times = (problem.discontinuities, problem.jump_times)
    moving = [t.given for t in times if isinstance(t, MovingTimes) and callable(t.given)]
    events = [f for event in problem.events for f in (event.when, event.jump) if f is not None]
    return moving + events


def _kinds_of_events(problem: Problem) -> dict[str, Any]:
    """What else decides about stops; nothing where there is only what never moves."""
    found: dict[str, Any] = {}
    if problem.events:
        found["events"] = [(e.direction, e.terminal, e.jump is None) for e in problem.events]
        found["max_events"] = problem.max_events
    if moves(problem):
        found["discontinuities"] = problem.discontinuities
    return found
