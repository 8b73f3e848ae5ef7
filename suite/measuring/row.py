"""What a file of measured rows holds: the type of each of its lines.

The file is JSON, one object a line, whose ``"kind"`` says what it is:

``"run"``
    An :class:`Origin`: on which machine, with which versions, of which commit. The first line is
    one, and there is another before the first row of each further machine.
``"row"``
    A :class:`Row`, or a :class:`ClaimRow` where its ``"study"`` is :data:`CLAIMS`.
``"done"``
    A :class:`Key`: one method on one problem was measured to its end.
``"moved"``
    A :class:`Key` and ``"machine"``: that machine was lost meanwhile, and what it had measured
    of this is void; another measures it.
``"end"``
    The whole run came to its end; a run that was cut off lacks it, and what it has is used.

Names in the file are those of the fields. A field that a line lacks, as older code did not know
it, has its default, and the line is broken where there is none; what no field is called is passed
over. A row belongs to the last ``"run"`` above it of its machine, or to the last of all where it
names none.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

#: The study that rows of claims are marked with.
CLAIMS = "claims"


class Key(NamedTuple):
    """What tells one task of a run from another; `study` is empty for a ladder of tolerances."""

    study: str
    problem: str
    method: str
    device: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method on one problem on one device, at one relative tolerance.

    ``None`` is what is unknown: the method does not tell, there is no reference, there was no
    gradient, or the process was ended before it could say. Where ``"ok"`` is not the status there
    are no errors and no times.
    """

    #: The problem's one name, with the settings that are not the published ones.
    problem: str
    #: The method's name, with settings in parentheses where it had any.
    method: str
    #: ``"discrete"``, ``"continuous"``, ``"blackbox"`` or ``"peers"``.
    family: str = ""
    #: One of :data:`~adjointbench.adjoints.methods.method.BACKENDS`.
    backend: str = ""
    #: The solver that was used.
    solver: str | None = None
    #: Where: ``"cpu"``, ``"cuda"``, ...
    device: str = "cpu"
    #: Relative tolerance of the solver.
    rtol: float
    #: Absolute tolerance.
    atol: float | None = None
    #: How it ended: as of :class:`~adjointbench.adjoints.result.GradientResult`, ``"skipped"``
    #: where the method refuses the problem, ``"timeout"``, ``"failed"``.
    status: str
    #: In which pass it broke down: ``"prepare"``, ``"forward"``, ``"reverse"``, ``"gradient"``.
    phase: str | None = None
    #: What the method says of it, in a sentence.
    message: str = ""
    #: Whether it raised, or its process died: code that breaks, not a solver.
    exception: bool = False
    #: Whether there is a reference, against which the errors are taken.
    referenced: bool | None = None

    #: Relative error of the log-parameter gradient ``p dL/dp``.
    error: float | None = None
    #: The largest relative error among the components of ``dL/dp`` that are not zero.
    largest_component_error: float | None = None
    #: Of the angle between ``p dL/dp`` and the certified one.
    cosine: float | None = None
    #: Relative error of the gradient with respect to the start value.
    dy0_error: float | None = None
    #: Relative error of the loss.
    loss_error: float | None = None
    #: Relative error of the last state; in the study of stochastic equations alone.
    solution_error: float | None = None

    #: What the method itself says of ``error``, where it was asked for an error bar, and whether it
    #: holds that to be reliable.
    estimated_error: float | None = None
    error_reliable: bool | None = None
    #: The status of the same gradient with its error bar: ``"inaccurate"`` where it says so itself.
    error_bar_status: str | None = None
    #: Where the estimate comes from: ``"halved steps"``, or what else it was compared with.
    estimated_by: str | None = None
    #: Its time over that of the plain gradient; on JAX, where one program makes both.
    error_bar_cost: float | None = None

    #: Of one warm gradient: the median, and the quartiles below it and above. In seconds, as all
    #: times are.
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    #: Of one warm primal solve, the median; at the tolerance nearest to 1e-6 only.
    primal_seconds: float | None = None
    #: Gradient over primal solve, the median of pairs; at that tolerance only.
    ratio: float | None = None
    #: Processor time until the first gradient, compilation included, also by compilers that run
    #: beside; a tolerance that is not measured first may use the program that there is.
    first_call_s: float | None = None
    #: Tracing and compiling.
    compile_s: float | None = None

    #: Bytes kept from the forward pass for the reverse pass.
    saved_bytes: int | None = None
    #: Counts of work, as of :class:`~adjointbench.adjoints.result.Stats`.
    steps: int | None = None
    rejected: int | None = None
    rhs_evals: int | None = None
    jacobian_evals: int | None = None
    linear_solves: int | None = None
    reverse_steps: int | None = None
    reverse_rejected: int | None = None
    reverse_rhs_evals: int | None = None
    vjp_evals: int | None = None
    jvp_evals: int | None = None
    #: Where derivatives of the equations came from.
    derivatives: str | None = None
    #: Of a discrete adjoint of JAX or PyTorch: what ran it, ``"native"`` or the framework, with the
    #: reason in parentheses.
    engine: str | None = None
    #: Of an implicit open solver: how its linear systems were solved, ``"sparse (...)"``.
    linear_solver: str | None = None
    #: On PyTorch: ``"yes"``, or why it ran eagerly.
    compiled: str | None = None
    #: On PyTorch, how often the host waited for a number from the device.
    transfers: int | None = None
    #: Kernels of one gradient as the framework's profiler counts them, and how often the host
    #: waited; in the study of a device alone.
    launches: int | None = None
    waits: int | None = None

    #: Which line of the file it is.
    kind: str = "row"
    #: The version of the problem's definition.
    problem_version: int | None = None
    #: All settings of the problem.
    settings: dict[str, Any] = field(default_factory=dict)
    #: The version of the method's numbers.
    method_version: int | None = None
    #: Whether it was solved as a stiff problem.
    stiff: bool | None = None
    #: The problem's tags.
    tags: list[str] = field(default_factory=list)
    #: Of the problem's arrays.
    dtype: str | None = None
    #: States and parameters of the problem.
    n_states: int | None = None
    n_params: int | None = None
    #: How well the two computations of the reference agree: their relative difference.
    agreement: float | None = None
    #: The loss.
    loss: float | None = None
    #: ``dL/dp`` by name and ``dL/dy0``, flat, where there was no reference yet to hold them
    #: against.
    gradient: dict[str, list[float]] | None = None
    dy0_gradient: list[float] | None = None
    #: How many calls the times were taken from.
    calls: int | None = None
    #: The study that it was measured for; ``None`` for a ladder of tolerances.
    study: str | None = None
    #: The seconds in which it was not done, where the status is ``"timeout"``.
    allowed_s: float | None = None
    #: The name of the machine that measured it.
    machine: str | None = None

    @property
    def key(self) -> Key:
        """The task that it came from."""
        return Key(self.study or "", self.problem, self.method, self.device)


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """The figures that were measured for one claim; the verdict on them is no part of it."""

    #: ``"claim 7"``, ``"red flag 1"``.
    problem: str
    #: The claim's number: ``"7"``, ``"R1"``.
    number: str
    #: Whether with fewer sizes, seeds and repeats.
    quick: bool | None = None
    #: What was measured: numbers, text, and lists of lines for tables.
    figures: dict[str, Any] = field(default_factory=dict)
    #: ``"ok"``, ``"skipped"`` where a package is missing, ``"timeout"``, ``"failed"``.
    status: str
    #: Why, where it is not ``"ok"``.
    message: str = ""
    #: Whether it raised, or its process died.
    exception: bool = False
    #: Processor time of the measurement, in seconds.
    processor_s: float | None = None
    #: The seconds in which it was not done, where the status is ``"timeout"``.
    allowed_s: float | None = None
    #: The name of the machine that measured it.
    machine: str | None = None
    method: str = ""
    device: str = "cpu"
    study: str = CLAIMS
    kind: str = "row"

    @property
    def key(self) -> Key:
        """What tells it from other rows."""
        return Key(self.study, self.problem, self.method, self.device)


@dataclass(frozen=True)
class Origin:
    """Where the rows of a file come from."""

    #: The git commit of what was measured; empty where that is not known.
    commit: str = ""
    #: A hash of all code that a measured number depends on.
    code: str = ""
    #: Whether the quick part was measured.
    quick: bool | None = None
    #: When it began: ``"2026-11-28T09:03:56+0000"``.
    date: str = ""
    #: Name, processor, cores, memory, system and Python version.
    machine: dict[str, str] = field(default_factory=dict)
    #: The installed versions of the packages that may change a number.
    versions: dict[str, str] = field(default_factory=dict)
    #: A hash of the problem, where that is the user's own.
    definition: str = ""
    #: Which line of the file it is.
    kind: str = "run"


_T = TypeVar("_T")


def from_record(type_: type[_T], record: Mapping[str, Any]) -> _T:
    """A dataclass from what JSON or a line of a table holds of it.

    ``None`` and NaN, by which tables say that nothing is known, are left to the defaults.

    Raises
    ------
    TypeError
        Where something is missing that has no default.
    """
    known = {
        name: tuple(record[name]) if is_tuple else record[name]
        for name, is_tuple in _fields_of(type_)
        if _is_known(record.get(name))
    }
    return type_(**known)


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


@functools.cache
def _fields_of(type_: Any) -> tuple[tuple[str, bool], ...]:
    """The names of its fields, and which are tuples, that JSON does not have."""
    return tuple(
        (each.name, str(each.type).startswith("tuple")) for each in dataclasses.fields(type_)
    )


def to_record(row: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as JSON and tables take them; none is copied."""
    return dict(vars(row))


def message_of(error: Exception) -> str:
    """What an exception says, in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
