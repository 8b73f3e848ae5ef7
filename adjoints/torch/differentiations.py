"""The ways in which the loss of a problem is differentiated: our own pass, a tape, forward mode."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch

from ..steps.acceptance import CODES
from .call import Call, pulled_back, solved_of
from .compiled_programs import Compiled, compiled
from .derivatives import TRANSFORMS
from .outputs import Cotangents, cotangents_of_events, outputs_of, times_of_events
from .problem_loss import Fixed, Found, ProblemLoss
from .program_inputs import Source
from .saved_bytes import SavedBytes
from .solve import outputs
from .state import Tensors


class Compilation(NamedTuple):
    """The seconds that compiling took, and ``"yes"`` or why something runs eagerly."""

    seconds: float
    compiled: str


class Differentiation(Protocol):
    """One way to differentiate the loss of a problem.

    ``compilation`` is ``None`` where nothing was to be compiled.
    """

    compilation: Compilation | None

    def found(
        self, params: Tensors, y0: torch.Tensor, fixed: Fixed, call: Call | None = None
    ) -> Found:
        """Loss and gradients at `params` and `y0`, by a call like the loss's own or another."""
        ...

    def saved_bytes(self, found: Found) -> int:
        """Bytes kept from the forward pass for the reverse pass."""
        ...


class ByReversePass:
    """A reverse pass of our own, with no graph of autograd's.

    What is asked to be compiled is compiled here, once.
    """

    def __init__(self, loss: ProblemLoss) -> None:
        self._loss = loss
        self.compilation = self._compile() if loss.settings.compile else None

    def found(
        self, params: Tensors, y0: torch.Tensor, fixed: Fixed, call: Call | None = None
    ) -> Found:
        """Loss and gradients at `params` and `y0`."""
        with torch.no_grad():
            call = self._loss.at(call or self._loss.call, params, fixed).again()
            solved = solved_of(call, y0, params, fixed.constants)
            call.solved = call.kept(solved)
            out = outputs_of(call.config, solved)
            seen = (out.ys, out.totals, times_of_events(out))
            inputs = (*seen, *params, *fixed.constants, fixed.coefficients)
            loss, dys, dtotals, dtimes, *direct = self._cotangents(inputs)
            wanted = Cotangents(
                dys, dtotals if call.config.terms else None, cotangents_of_events(out, dtimes)
            )
            pulled = pulled_back(call, wanted, y0, params, fixed.constants)
            dparams = tuple(a + b for a, b in zip(direct, pulled.dparams, strict=True))
            return Found(loss, dparams, pulled.dy0, call.solved, pulled.counts)

    def saved_bytes(self, found: Found) -> int:
        """The record and, where the reverse pass reads it, the dense output."""
        solved = found.solved
        if self._loss.settings.method.goes_back:
            return solved.ys.nbytes
        dense = 0 if solved.coefficients is None else solved.coefficients.nbytes
        return solved.record.nbytes + dense

    def _cotangents(self, inputs: Tensors) -> Tensors:
        """The loss, and its derivatives by saves, estimates and parameters."""
        made = self._compiled_loss(inputs)
        if made is None or made.call is None:
            return self._eager_cotangents(*inputs)
        return tuple(made.call(inputs))

    def _eager_cotangents(self, *inputs: torch.Tensor) -> Tensors:
        n = 3 + len(self._loss.names.params)
        fixed = Fixed(inputs[n:-1], inputs[-1])

        def loss(*smooth: torch.Tensor) -> torch.Tensor:
            ys, totals, times, *params = smooth
            return self._loss(ys, totals, times, tuple(params), fixed)

        value, pull = TRANSFORMS.vjp(loss, *inputs[:n])
        return (value, *pull(torch.ones_like(value)))

    def _compiled_loss(self, inputs: Tensors) -> Compiled | None:
        settings = self._loss.settings
        if not settings.compile:
            return None
        key = ("loss", self._loss.problem, settings.regularizer)
        return compiled(key, lambda inputs: Source(self._eager_cotangents), inputs)

    def _compile(self) -> Compilation:
        """Compile, by computing the gradient at the problem's own values."""
        params, y0 = self._loss.own()
        fixed = self._loss.fixed
        found = self.found(params, y0, fixed)
        ys, work = found.solved.ys, found.solved.work
        loss = self._compiled_loss(
            (ys, ys.new_zeros(3), ys.new_zeros(0), *params, *fixed.constants, fixed.coefficients)
        )
        parts = [Compilation(work.compile_s, work.compiled)]
        if found.counts is not None and found.counts.compiled:
            parts.append(Compilation(found.counts.compile_s, found.counts.compiled))
        if loss is not None:
            parts.append(Compilation(loss.seconds, "yes" if loss.call is not None else loss.reason))
        why_not = next((part.compiled for part in parts if part.compiled != "yes"), "")
        return Compilation(sum(part.seconds for part in parts), why_not or "yes")


class ByTape:
    """Autograd's tape of the eager solve."""

    def __init__(self, loss: ProblemLoss) -> None:
        self._loss = loss
        self.compilation: Compilation | None = None
        self._saved: int | None = None

    def found(
        self, params: Tensors, y0: torch.Tensor, fixed: Fixed, call: Call | None = None
    ) -> Found:
        """Loss and gradients at `params` and `y0`."""
        leaves = tuple(p.detach().requires_grad_() for p in params)
        start = y0.detach().requires_grad_()
        with torch.enable_grad():
            call = self._loss.at(call or self._loss.call, params, fixed).again()
            out = outputs(call, start, (*leaves, *fixed.constants))
            loss = self._loss.of_outputs(out, leaves, fixed)
            assert call.solved is not None
            if call.solved.work.status != CODES["ok"]:
                *none, of_y0 = (torch.full_like(x, float("nan")) for x in (*params, y0))
                return Found(loss.detach(), tuple(none), of_y0, call.solved, None)
            *dparams, dy0 = torch.autograd.grad(loss, (*leaves, start), materialize_grads=True)
        return Found(loss.detach(), tuple(dparams), dy0, call.solved, None)

    def saved_bytes(self, found: Found) -> int:
        """What autograd keeps; counted once, at the problem's own values."""
        if self._saved is None:
            params, y0 = self._loss.own()
            call = self._loss.at(self._loss.call, params, self._loss.fixed)
            start, leaves = y0.requires_grad_(), tuple(p.requires_grad_() for p in params)
            # The call would keep what was found along the way: nobody holds it.
            with SavedBytes(*leaves, start) as kept:
                constants = self._loss.fixed.constants
                held = outputs(call.again(), start, (*leaves, *constants))
            del held
            self._saved = kept.total
        return self._saved


class ByForwardMode:
    """Forward mode, all directions carried along at once."""

    def __init__(self, loss: ProblemLoss) -> None:
        self._loss = loss
        self.compilation: Compilation | None = None

    def found(
        self, params: Tensors, y0: torch.Tensor, fixed: Fixed, call: Call | None = None
    ) -> Found:
        """Loss and gradients at `params` and `y0`."""
        kept: list[Any] = []
        own = self._loss.at(call or self._loss.call, params, fixed)

        def total(params: Tensors, y0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            one = own.again()
            out = outputs(one, y0, (*params, *fixed.constants))
            kept.append(one.solved)
            loss = self._loss.of_outputs(out, params, fixed)
            return loss, loss.detach()

        slopes, loss = torch.func.jacfwd(total, argnums=(0, 1), has_aux=True)(params, y0)
        dparams, dy0 = slopes
        return Found(loss, tuple(dparams), dy0, kept[0], None)

    def saved_bytes(self, found: Found) -> int:
        """Nothing is kept for a reverse pass."""
        return 0
