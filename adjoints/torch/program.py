"""Gradients of a whole problem on the open PyTorch solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ...problems import Problem
from ..program import Settings
from ..regularizers.regularizer import estimates_of
from ..result import STATUSES, GradientResult, Stats, failed_result
from ..steps.error_test import CODES, Terms
from ..steps.stops import stops_between
from ..steps.tableau import Tableau
from .compiled_loops import Compiled, compiled, straight
from .derivatives import TRANSFORMS
from .device import find_device, numpy_named, put, put_named
from .differentiable import Call, Counts, Outputs, outputs_of, pulled_back, solved_in_some_mode
from .forward_pass import Solved, Work
from .saved_bytes import SavedBytes
from .solve import Reverse, new_call, outputs
from .state import Config, Tensors
from .times import Course
from .user_functions import Field, Jump, Names

Named = Mapping[str, torch.Tensor]
Gradients = tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]


def prepare(problem: Problem, settings: Settings) -> TorchProgram:
    """The gradient of `problem` by the method named in `settings`."""
    kinds: dict[str, type[TorchProgram]] = {"tape": TapeProgram, "forward": ForwardProgram}
    adjoint = settings.method.adjoint
    return kinds.get(adjoint, TorchProgram)(problem, settings, adjoint)


class Found(NamedTuple):
    """A loss and its gradients, with what both passes did; ``counts`` for a pass of our own."""

    loss: torch.Tensor
    dparams: Tensors
    dy0: torch.Tensor
    solved: Solved
    counts: Counts | None


class Fixed(NamedTuple):
    """What is not differentiated, and may differ from call to call all the same.

    ``coefficients`` has one number for each term of the regulariser.
    """

    constants: Tensors
    coefficients: torch.Tensor


class TorchProgram:
    """A gradient by a reverse pass of our own, with no graph of autograd's.

    What is asked to be compiled is compiled here, once.
    """

    def __init__(self, problem: Problem, settings: Settings, adjoint: str) -> None:
        self.problem = problem
        self.settings = settings
        self.device = find_device(settings.device)
        self._names = Names(tuple(problem.params), tuple(problem.constants))
        self._fixed = self.fixed(problem.constants, settings.coefficient)
        self._call = self._new_call(adjoint)
        self._compile_s: float | None = None
        self._uncompiled = ""
        if settings.compile:
            self._warm_up()

    def fixed(self, constants: Mapping[str, Any], coefficients: Sequence[float]) -> Fixed:
        """Constants and coefficients as :meth:`found` takes them."""
        known = put_named(constants, self.device)
        like = put(np.zeros(0, self.problem.dtype), self.device)
        ordered = tuple(known[name] for name in self._names.constants)
        return Fixed(ordered, like.new_tensor(coefficients))

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient as NumPy arrays, with status and counts."""
        found = self.found(tuple(put_named(params, self.device).values()), put(y0, self.device))
        stats = self._stats(found)
        phase, status = "forward", STATUSES[found.solved.work.status]
        if status == "ok" and found.counts is not None and found.counts.status != CODES["ok"]:
            phase, status = "reverse", STATUSES[found.counts.status]
        if status == "ok" and not torch.isfinite(found.loss):
            status = "nonfinite"
        elif status == "ok" and not all(
            bool(torch.isfinite(g).all()) for g in (*found.dparams, found.dy0)
        ):
            phase, status = "reverse", "nonfinite"
        if status != "ok":
            return failed_result(self.problem, status, phase, stats=stats)
        dparams = numpy_named(dict(zip(self._names.params, found.dparams, strict=True)))
        return GradientResult(float(found.loss), dparams, found.dy0.cpu().numpy(), stats=stats)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return float(self.compiled_primal(put_named(params, self.device), put(y0, self.device)))

    @property
    def compiled(self) -> Callable[[Any, Any], Gradients]:
        """``(params, y0) -> (loss, dparams, dy0)`` on tensors."""

        def call(params: Named, y0: torch.Tensor) -> Gradients:
            found = self.found(self._ordered(params), y0)
            return found.loss, dict(zip(self._names.params, found.dparams, strict=True)), found.dy0

        return call

    @property
    def compiled_primal(self) -> Callable[[Any, Any], torch.Tensor]:
        """``(params, y0) -> loss`` on tensors."""

        def call(params: Named, y0: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.loss(self._ordered(params), y0)

        return call

    def loss(self, params: Tensors, y0: torch.Tensor, fixed: Fixed | None = None) -> torch.Tensor:
        """The loss at `params` and `y0`, with no graph."""
        fixed = fixed or self._fixed
        solved = self._solved(params, y0, fixed)
        return self._total(outputs_of(self._call.config, solved), params, fixed)

    def found(self, params: Tensors, y0: torch.Tensor, fixed: Fixed | None = None) -> Found:
        """Loss and gradients at `params` and `y0`."""
        fixed = fixed or self._fixed
        with torch.no_grad():
            call = self._call.again()
            solved = self._solved(params, y0, fixed)
            call.solved = call.kept(solved)
            out = outputs_of(call.config, solved)
            loss, dys, dtotals, direct = self._cotangents(out, params, fixed)
            wanted = dtotals if call.config.terms else None
            pulled = pulled_back(call, dys, wanted, y0, params, fixed.constants)
            dparams = tuple(a + b for a, b in zip(direct, pulled.dparams, strict=True))
            return Found(loss, dparams, pulled.dy0, call.solved, pulled.counts)

    def training_gradient(
        self, params: Named, y0: torch.Tensor, constants: Named, coefficients: Sequence[float]
    ) -> tuple[str, torch.Tensor, dict[str, torch.Tensor], dict[str, int]]:
        """Status, loss, the parameters' gradient and counts, with other constants.

        The counts are ``steps``, ``rejected``, ``rhs_evals`` and ``reverse_evals``, the
        right-hand sides and vector-Jacobian products of the reverse pass.
        """
        known = tuple(constants[name] for name in self._names.constants)
        fixed = Fixed(known, y0.new_tensor(coefficients))
        found = self.found(self._ordered(params), y0, fixed)
        work, tab = found.solved.work, self._call.config.tableau
        counts = {
            "steps": work.accepted,
            "rejected": work.attempts - work.accepted,
            "rhs_evals": _rhs_evals(work, tab),
        }
        status = work.status
        if found.counts is not None:
            counts["reverse_evals"] = found.counts.rhs_evals + found.counts.vjp_evals
            status = status if status != CODES["ok"] else found.counts.status
        gradient = dict(zip(self._names.params, found.dparams, strict=True))
        return STATUSES[status], found.loss, gradient, counts

    def saved_bytes(self, found: Found) -> int:
        """Bytes kept from the forward pass for the reverse pass."""
        solved = found.solved
        if self.settings.method.goes_back:
            return solved.ys.nbytes
        dense = 0 if solved.coefficients is None else solved.coefficients.nbytes
        return solved.record.nbytes + dense

    def _solved(self, params: Tensors, y0: torch.Tensor, fixed: Fixed) -> Solved:
        return solved_in_some_mode(self._call, y0, params, fixed.constants)

    def _ordered(self, params: Named) -> Tensors:
        return tuple(params[name] for name in self._names.params)

    def _total(self, out: Outputs, params: Tensors, fixed: Fixed) -> torch.Tensor:
        """The loss, with the regulariser."""
        return self._loss(out.ys, out.totals, params, fixed)

    def _loss(
        self, ys: torch.Tensor, totals: torch.Tensor, params: Tensors, fixed: Fixed
    ) -> torch.Tensor:
        loss = self.problem.loss(ys, self._names(params, fixed.constants))
        if self.settings.regularizer is None:
            return loss
        for number, name in enumerate(self.settings.regularizer.terms):
            loss = loss + fixed.coefficients[number] * totals[Terms._fields.index(name)]
        return loss

    def _cotangents(
        self, out: Outputs, params: Tensors, fixed: Fixed
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Tensors]:
        """The loss, and its derivatives by saves, estimates and parameters."""
        inputs = (out.ys, out.totals, *params, *fixed.constants, fixed.coefficients)
        made = self._compiled_loss(inputs)
        call = self._flat_cotangents if made is None or made.call is None else made.call
        loss, dys, dtotals, *direct = call(*inputs)
        return loss, dys, dtotals, tuple(direct)

    def _flat_cotangents(self, *inputs: torch.Tensor) -> Tensors:
        n = 2 + len(self._names.params)
        fixed = Fixed(inputs[n:-1], inputs[-1])

        def loss(*smooth: torch.Tensor) -> torch.Tensor:
            return self._loss(smooth[0], smooth[1], smooth[2:], fixed)

        value, pull = TRANSFORMS.vjp(loss, *inputs[:n])
        return (value, *pull(torch.ones_like(value)))

    def _compiled_loss(self, inputs: Tensors) -> Compiled | None:
        if not self.settings.compile:
            return None
        key = ("loss", self.problem, self.settings.regularizer)
        return compiled(key, partial(straight, self._flat_cotangents), inputs)

    def _new_call(self, adjoint: str) -> Call:
        problem, settings = self.problem, self.settings
        stops = stops_between(
            problem.discontinuities,
            problem.jump_times,
            problem.t_span[0],
            float(problem.save_at[-1]),
            problem.dtype,
        )
        inner = int((problem.save_at < problem.save_at[-1]).sum())
        error_norm, reduction = estimates_of(settings.regularizer)
        config = Config(
            rhs=Field(problem.rhs, self._names),
            solver=settings.solver,
            max_steps=settings.max_steps,
            breaks=stops.breaks,
            dense=inner > 0,
            terms=settings.regularizer is not None,
            error_norm=error_norm,
            reduction=reduction,
            through_step_size=settings.differentiate_step_size,
            jacobian=None if problem.jacobian is None else Field(problem.jacobian, self._names),
            compile=settings.compile,
        )
        tensor = partial(torch.as_tensor, dtype=put(problem.y0, self.device).dtype)
        tensor = partial(tensor, device=self.device)
        course = Course(
            t0=tensor(problem.t_span[0]),
            stops=stops,
            save_at=tensor(problem.save_at.copy()),
            inner=inner,
            rtol=tensor(settings.rtol),
            atol=tensor(settings.atol),
            first_step=None if settings.first_step is None else tensor(settings.first_step),
            jump=None if problem.jump is None else Jump(problem.jump, self._names),
        )
        rtol, atol = tensor(settings.adjoint_rtol), tensor(settings.adjoint_atol)
        reverse = Reverse(adjoint, settings.adjoint_solver, rtol, atol)
        return new_call(config, course, len(self._names.params), reverse)

    def _warm_up(self) -> None:
        """Compile, by computing the gradient at the problem's own values."""
        problem = self.problem
        params = tuple(put_named(problem.params, self.device).values())
        found = self.found(params, put(problem.y0, self.device))
        loss = self._compiled_loss(
            (
                found.solved.ys,
                found.solved.ys.new_zeros(3),
                *params,
                *self._fixed.constants,
                self._fixed.coefficients,
            )
        )
        parts = [(found.solved.work.compile_s, found.solved.work.compiled)]
        if found.counts is not None and found.counts.compiled:
            parts.append((found.counts.compile_s, found.counts.compiled))
        if loss is not None:
            parts.append((loss.seconds, "yes" if loss.call is not None else loss.reason))
        self._compile_s = sum(seconds for seconds, _ in parts)
        self._uncompiled = next((why for _, why in parts if why != "yes"), "")

    def _stats(self, found: Found) -> Stats:
        work, tab = found.solved.work, self._call.config.tableau
        known: dict[str, Any] = {
            "steps": work.accepted,
            "rejected": work.attempts - work.accepted,
            "rhs_evals": _rhs_evals(work, tab),
            "saved_bytes": self.saved_bytes(found),
            "compile_s": self._compile_s,
            "derivatives": "torch",
            "transfers": work.transfers,
        }
        if self.settings.compile:
            known["compiled"] = self._uncompiled or "yes"
        counts = found.counts or Counts(CODES["ok"], 0, 0, 0, 0, 0, 0)
        if tab.implicit:
            known["jacobian_evals"] = work.attempts + counts.jacobian_evals
            known["linear_solves"] = work.attempts * tab.steps + counts.linear_solves
        if found.counts is not None:
            known |= {
                "reverse_steps": counts.steps,
                "reverse_rejected": counts.rejected,
                "reverse_rhs_evals": counts.rhs_evals,
                "vjp_evals": counts.vjp_evals,
            }
            known["transfers"] += counts.transfers
        return Stats(**known)


def _rhs_evals(work: Work, tab: Tableau) -> int:
    """Right-hand sides of a solve: the start, the first step's guess, the attempts."""
    return (2 if tab.adaptive else 1) + work.attempts * tab.steps


class TapeProgram(TorchProgram):
    """A gradient by autograd's tape of the eager solve."""

    def found(self, params: Tensors, y0: torch.Tensor, fixed: Fixed | None = None) -> Found:
        """Loss and gradients at `params` and `y0`."""
        fixed = fixed or self._fixed
        leaves = tuple(p.detach().requires_grad_() for p in params)
        start = y0.detach().requires_grad_()
        with torch.enable_grad():
            call = self._call.again()
            out = outputs(call, start, (*leaves, *fixed.constants))
            loss = self._total(out, leaves, fixed)
            assert call.solved is not None
            if call.solved.work.status != CODES["ok"]:
                none = tuple(torch.full_like(p, float("nan")) for p in leaves)
                return Found(
                    loss.detach(), none, torch.full_like(y0, float("nan")), call.solved, None
                )
            *dparams, dy0 = torch.autograd.grad(loss, (*leaves, start), materialize_grads=True)
        return Found(loss.detach(), tuple(dparams), dy0, call.solved, None)

    def saved_bytes(self, found: Found) -> int:
        """Bytes that autograd keeps; counted once, at the problem's own values."""
        if self._saved is None:
            params = tuple(put_named(self.problem.params, self.device).values())
            start = put(self.problem.y0, self.device).requires_grad_()
            leaves = tuple(p.requires_grad_() for p in params)
            with SavedBytes(*leaves, start) as kept:
                held = outputs(self._call.again(), start, (*leaves, *self._fixed.constants))
            del held
            self._saved = kept.total
        return self._saved

    _saved: int | None = None


class ForwardProgram(TorchProgram):
    """A gradient by forward mode, all directions carried along at once."""

    def found(self, params: Tensors, y0: torch.Tensor, fixed: Fixed | None = None) -> Found:
        """Loss and gradients at `params` and `y0`."""
        fixed = fixed or self._fixed
        kept: list[Any] = []

        def total(params: Tensors, y0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            call = self._call.again()
            out = outputs(call, y0, (*params, *fixed.constants))
            kept.append(call.solved)
            loss = self._total(out, params, fixed)
            return loss, loss.detach()

        slopes, loss = torch.func.jacfwd(total, argnums=(0, 1), has_aux=True)(params, y0)
        dparams, dy0 = slopes
        return Found(loss, tuple(dparams), dy0, kept[0], None)

    def saved_bytes(self, found: Found) -> int:
        """Nothing is kept for a reverse pass."""
        return 0
