"""``OpenSolution``: what ``solve`` returns on every framework; and what all solves return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

Array = TypeVar("Array")


@dataclass(frozen=True)
class SolverOutputs(Generic[Array]):
    """A solve, of an ordinary or a stochastic equation, with the solver's estimates.

    Attributes
    ----------
    ys : array, shape ``(len(save_at), *y0.shape)``
        The solution at the save times; NaN where the solver broke down.
    error_estimate : array or None
        R_E: the norm of the embedded error of each accepted step times its size, reduced.
        ``None`` for a method without an embedded error.
    error_squared : array or None
        R_E2: the squared norm of the embedded error of each accepted step, reduced.
    stiffness_estimate : array or None
        R_S: Shampine's stiffness estimate of each accepted step times its size, reduced.
        ``None`` for a method without two stages at the same time.
    stats : dict of str to array
        ``steps``, ``rejected``, and how often what was evaluated.
    status_code : array
        Index into :data:`~adjointbench.adjoints.result.STATUSES`.
    """

    ys: Array
    error_estimate: Array | None
    error_squared: Array | None
    stiffness_estimate: Array | None
    stats: dict[str, Array]
    status_code: Array

    @property
    def estimates(self) -> dict[str, Array | None]:
        """The solver's estimates by the names of the regularisers that are made of them."""
        return {
            "error": self.error_estimate,
            "error_squared": self.error_squared,
            "stiffness": self.stiffness_estimate,
        }


class Events(NamedTuple):
    """All events of a solve in order, and behind the last what fills up.

    Attributes
    ----------
    times : array, shape ``(max_events,)``
        Infinite behind the last.
    which : array of int
        Which event of those declared; -1 behind the last.
    before, after : array, shape ``(max_events, *y0.shape)``, or structures of them
        The states just before and just after; zero behind the last.
    """

    times: Any
    which: Any
    before: Any
    after: Any


@dataclass(frozen=True)
class OpenSolution(SolverOutputs[Array]):
    """A solve of an ordinary equation, with the inside of the solver as differentiable outputs.

    Attributes
    ----------
    stats : dict of str to array
        ``steps``, ``rejected``, ``rhs_evals``, ``jacobian_evals`` and ``linear_solves``.
    dense_output : DenseOutput or None
        The solution between the saves, where it was asked for; also ``solution(t)``.
    engine : str
        What solved it: ``"native"``, or the framework, and why in parentheses where that was not
        asked for.
    linear_solver : str or None
        Of an implicit solver, how its linear systems were solved: ``"dense"``, ``"banded (...)"``
        ``"sparse (...)"`` or ``"gmres (...)"``.
    event_record : object or None
        What was kept of events, where there are any; read by ``event_times``, ``event_index`` and
        ``event_states``.
    """

    dense_output: Any = field(default=None, kw_only=True)
    engine: str = field(default="", kw_only=True)
    linear_solver: str | None = field(default=None, kw_only=True)
    event_record: Any = field(default=None, kw_only=True)

    def __call__(self, t: Any, *, side: str = "after") -> Any:
        """The solution at `t`, as of the ``DenseOutput`` of the framework."""
        return self._kept()(t, side=side)

    @property
    def before_jumps(self) -> Any:
        """The states just before the jumps, as of the ``DenseOutput`` of the framework."""
        return self._kept().before_jumps

    @property
    def event_times(self) -> Any:
        """When the events were, in order, shape ``(max_events,)``; infinite behind the last."""
        return self._events().times

    @property
    def event_index(self) -> Any:
        """Which of the declared events each was, shape ``(max_events,)``; -1 behind the last."""
        return self._events().which

    @property
    def event_states(self) -> tuple[Any, Any]:
        """The states just before and just after each, zero behind the last.

        Of shape ``(max_events, *y0.shape)``, or structures of such.
        """
        events = self._events()
        return events.before, events.after

    def _events(self) -> Events:
        if self.event_record is None:
            raise ValueError("this solve looked for no events; call solve(..., events=...)")
        return self.event_record.events

    def _kept(self) -> Any:
        if self.dense_output is None:
            raise ValueError(
                "the solution between its saves was not kept; call solve(..., dense_output=True)"
            )
        return self.dense_output
