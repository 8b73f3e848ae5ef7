"""One call of a solve: what it is told, what its two passes find, and what it returns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from ..native.loop import NativeLoop
from ..result import STATUSES
from ..steps.acceptance import CODES
from ..steps.tableau import Tableau
from .engines import Engine
from .events.outputs import with_cotangents
from .forward_pass import Solved, solve_recording
from .mass import by_config
from .native import engine as native
from .outputs import Cotangents, Outputs, outputs_of, pulled_terms
from .plain_fallback import with_plain_fallback
from .recorded_step import plus
from .schedule import Schedule
from .state import Config, Tensors


class Counts(NamedTuple):
    """How a reverse pass ended, and its work."""

    status: int
    steps: int
    rejected: int
    rhs_evals: int
    vjp_evals: int
    jacobian_evals: int
    linear_solves: int
    transfers: int = 0
    compile_s: float = 0.0
    compiled: str = ""


class Pulled(NamedTuple):
    """Cotangents of start value and parameters, and what they cost."""

    dy0: torch.Tensor
    dparams: Tensors
    counts: Counts


def swept_counts(tab: Tableau, steps: int, compile_s: float = 0.0, compiled: str = "") -> Counts:
    """What a sweep over so many steps costs, with no iterations in them."""
    return Counts(
        status=CODES["ok"],
        steps=steps,
        rejected=0,
        rhs_evals=steps * tab.steps,
        vjp_evals=steps * tab.steps,
        jacobian_evals=steps * int(tab.implicit),
        linear_solves=2 * tab.steps * steps * int(tab.implicit),
        compile_s=compile_s,
        compiled=compiled,
    )


#: ``pull_back(call, dys, dterms, params, constants) -> Pulled``.
PullBack = Callable[..., Pulled]


@dataclass
class Call:
    """One call of a solve: what it is told, and what is found on the way.

    Attributes
    ----------
    config, schedule
    smooth : int
        How many of the leaves are differentiated.
    pull_back : callable
        The reverse pass.
    reverse : object
        What it is told besides.
    keeps_dense : bool
        Whether the reverse pass reads the dense output of the forward pass.
    transformed : bool
        Whether a function transform, as of ``torch.func.grad``, is at work around it.
    own_times : tuple of tensor
        Start and save times where they differ from lane to lane under ``vmap``; they then come
        last of the leaves.
    engine : Engine
        What it may be run by.
    ran : str
        What it was run by, in words.
    solved, pulled
        What the two passes found.
    lanes : list
        Under ``vmap`` what its lanes are solved by: one for all of them together
        (:class:`~adjointbench.adjoints.torch.lanes.Lanes`), or a call for each.
    """

    config: Config
    schedule: Schedule
    smooth: int
    pull_back: PullBack
    reverse: Any = None
    keeps_dense: bool = False
    transformed: bool = False
    own_times: Tensors = ()
    engine: Engine = field(default_factory=Engine)
    ran: str = "torch"
    solved: Solved | None = None
    pulled: Pulled | None = None
    lanes: list[Any] = field(default_factory=list)

    def kept(self, solved: Solved) -> Solved:
        """What the reverse pass reads; the dense output is let go where it does not."""
        # What is returned leads here by its graph: both would live until garbage is collected.
        solved = solved._replace(ys=solved.ys.detach(), times=solved.times[:0], passed=())
        return solved if self.keeps_dense else solved._replace(coefficients=None)

    @property
    def outputs(self) -> int:
        """How many outputs are differentiated."""
        return 3 if self.schedule.events else 2

    def run(self, y0: torch.Tensor, *leaves: torch.Tensor) -> Outputs:
        """Solve, and keep what :meth:`pull` reads."""
        # An alias, as a right-hand side may ask for gradients by what it is given.
        if self.own_times:
            self.schedule = self.schedule.of_one_lane(*leaves[-2:])
        solved = solved_of(self, y0.detach(), *self.split(leaves))
        self.solved = self.kept(solved)
        return outputs_of(self.config, solved)

    def pull(self, *tensors: torch.Tensor) -> Tensors:
        """Cotangents of `y0` and of the differentiated leaves, from those of the outputs.

        Parameters
        ----------
        *tensors : tensor
            The cotangents, `y0` and the leaves.
        """
        cotangents, (y0, *leaves) = tensors[: self.outputs], tensors[self.outputs :]
        own = Cotangents(*cotangents)
        pulled = pulled_back(self, own, y0, *self.split(tuple(leaves)))
        self._warn_of_breakdown(pulled)
        return (pulled.dy0, *pulled.dparams)

    def with_engine(
        self, y0: torch.Tensor, params: Tensors, constants: Tensors, **beyond: bool
    ) -> Engine:
        """What runs it on these tensors."""
        beyond["jacobian"] = self.config.jacobian is not None
        return self.engine.find(self.config, self.schedule, y0, params, constants, **beyond)

    def split(self, leaves: Tensors) -> tuple[Tensors, Tensors]:
        """Parameters and constants."""
        return leaves[: self.smooth], leaves[self.smooth : len(leaves) - len(self.own_times)]

    def _warn_of_breakdown(self, pulled: Pulled) -> None:
        """Say that it was the reverse solve, as a solution's status tells of the forward one."""
        assert self.solved is not None
        status = STATUSES[pulled.counts.status]
        if self.solved.work.status == CODES["ok"] and status != "ok":
            warnings.warn(
                f"the reverse solve of adjoint={self.reverse.adjoint!r} ended with status "
                f"{status!r}, so the gradients are NaN; loosen adjoint_rtol and adjoint_atol, "
                "raise max_steps, or use adjoint='discrete', which has no solve of its own in "
                "reverse",
                RuntimeWarning,
                stacklevel=2,
            )

    def again(self) -> Call:
        """A fresh call of the same."""
        return replace(self, solved=None, pulled=None, lanes=[])


def solved_of(
    call: Call,
    y0: torch.Tensor,
    params: Tensors,
    constants: Tensors,
    *,
    differentiable: bool = False,
) -> Solved:
    """The forward pass of a call, with whatever derivatives its right-hand side admits.

    Parameters
    ----------
    call, y0, params, constants
    differentiable : bool
        Whether autograd records every operation.
    """
    engine = call.with_engine(y0, params, constants)
    call.ran = engine.told
    if isinstance(engine.loop, NativeLoop):
        return native.solved(engine.loop, call.config, call.schedule, y0, params)

    def run(config: Config) -> Solved:
        return solve_recording(
            config,
            y0,
            params,
            constants,
            by_config(call.schedule, config),
            differentiable=differentiable,
        )

    return with_plain_fallback(call.config, run)


def pulled_back(
    call: Call,
    cotangents: Cotangents,
    y0: torch.Tensor,
    params: Tensors,
    constants: Tensors,
) -> Pulled:
    """The reverse pass of a call: NaN after a forward pass that broke down.

    Parameters
    ----------
    call : Call
    cotangents : Cotangents
    y0, params, constants
        What the call was made with.
    """
    solved, (dys, dtotals, devents) = call.solved, cotangents
    assert solved is not None
    if solved.work.status != CODES["ok"]:
        none = tuple(torch.full_like(x, float("nan")) for x in (y0, *params))
        return Pulled(none[0], none[1:], Counts(solved.work.status, 0, 0, 0, 0, 0, 0))
    if isinstance(solved.record, native.NativeRecord):
        found = native.pulled_back(solved.record, dys, dtotals, (y0, *params))
        counts = swept_counts(call.config.tableau, solved.work.accepted)
        call.pulled = Pulled(found[0], found[1:], counts)
        return call.pulled
    dterms = None
    if solved.terms is not None and dtotals is not None and bool(dtotals.any()):
        dterms = pulled_terms(call.config, solved.terms, dtotals)

    told = replace(call, schedule=solved.schedule or call.schedule)
    if call.config.dense_output:
        told, dys = _saved_at_steps(told, solved, dys)

    def run(config: Config) -> Pulled:
        own, added = replace(told, config=config), ()
        own = replace(own, schedule=by_config(told.schedule, config))
        if devents is not None:
            own, added = _with_events(own, devents, params, constants)
        pulled = call.pull_back(own, dys, dterms, params, constants)
        return pulled._replace(dparams=plus(pulled.dparams, added)) if added else pulled

    call.pulled = with_plain_fallback(call.config, run)
    return call.pulled


def _with_events(
    call: Call, devents: torch.Tensor, params: Tensors, constants: Tensors
) -> tuple[Call, Tensors]:
    """The call with the cotangents of events in its record, and those of parameters."""
    solved = call.solved
    assert solved is not None
    own = (call.config, call.schedule, solved.record.jumps, devents, params, constants)
    jumps, dparams = with_cotangents(*own)
    record = solved.record._replace(jumps=jumps)
    return replace(call, solved=solved._replace(record=record)), dparams


def _saved_at_steps(call: Call, solved: Solved, dys: torch.Tensor) -> tuple[Call, torch.Tensor]:
    """The call as if the starts of all steps were saves too, and the cotangents of all."""
    schedule, record = call.schedule, solved.record
    inner, saves = schedule.inner, len(schedule.save_at)
    times, order = torch.cat([schedule.save_at[:inner], record.t[:-1]]).sort(stable=True)

    def merged(at_saves: torch.Tensor, at_starts: torch.Tensor) -> torch.Tensor:
        before_end = torch.cat([at_saves[:inner], at_starts])[order]
        return torch.cat([before_end, at_saves[inner:]])

    save_at = torch.cat([times, schedule.save_at[inner:]])
    schedule = schedule._replace(save_at=save_at, inner=len(times))
    solved = solved._replace(ys=merged(solved.ys, record.y))
    told = replace(call, schedule=schedule, solved=solved)
    return told, merged(dys[:saves], dys[saves:])
