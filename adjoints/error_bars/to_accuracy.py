"""The gradient to the accuracy that was asked for, whatever steps it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..program import Program, Refinable
from ..result import GradientResult
from .estimate import ASYMPTOTIC, compared, judged
from .pieces import MOST_PIECES

Params = Mapping[str, np.ndarray]

#: The tolerance begins at this share of the accuracy asked for.
FIRST_SHARE = 0.1

#: The estimated error of a refined gradient is a fifth of the true one at times.
CAUTION = 4.0

#: How the tolerance may change from one solve to the next, and how small it may become.
LARGEST_CHANGE, SMALLEST_CHANGE, TIGHTEST = 0.2, 1e-4, 1e-13

#: Solves at other tolerances at most.
MOST_SOLVES = 8

#: An error that falls by less than this, where the tolerance fell by more, does not depend on it.
UNMOVED = 0.5


class ToAccuracy:
    """Estimates, tightens and estimates again, until a gradient is accurate enough.

    Where a tighter tolerance does not help, as where the solver's own error estimate sees no
    error at all, the steps are cut into more and more pieces.

    Parameters
    ----------
    asked : float
        The relative error allowed, of ``dparams`` and of ``dy0``.
    program_at : callable
        ``program_at(rtol)``: a program with error bars, and what it is made of.
    """

    def __init__(
        self, asked: float, program_at: Callable[[float], tuple[Program, Program]]
    ) -> None:
        self._asked = asked
        self._program_at = program_at

    def __call__(self, params: Params, y0: np.ndarray) -> GradientResult:
        """The gradient; inaccurate, with the best that was found, where nothing reaches it."""
        best: GradientResult | None = None
        for found in self._tries(params, y0):
            if found.gradient_error is None:
                return found if best is None else self._missed(best, found.message)
            if best is None or _error(found) < _error(best):
                best = found
            if _error(best) <= self._asked:
                return replace(best, status="ok", message="")
        assert best is not None
        return self._missed(best, "rounding, or the loss itself, leaves no more digits")

    def _tries(self, params: Params, y0: np.ndarray) -> Iterator[GradientResult]:
        """Gradients of ever tighter tolerances, and then of ever smaller pieces of steps."""
        rtol, last, number = max(FIRST_SHARE * self._asked, TIGHTEST), float("inf"), 1
        while True:
            program, bare = self._program_at(rtol)
            result = program.gradient(params, y0)
            found = _better_half(result, isinstance(bare, Refinable), rtol, number)
            yield found
            error = _error(found)
            if not error < UNMOVED * last or rtol <= TIGHTEST or number == MOST_SOLVES:
                break
            change = np.clip(0.5 * self._asked / error, SMALLEST_CHANGE, LARGEST_CHANGE)
            rtol, last, number = max(rtol * float(change), TIGHTEST), error, number + 1
        if isinstance(bare, Refinable):
            yield from _in_pieces(bare, params, y0, rtol, found.stats.steps or 1)

    def _missed(self, best: GradientResult, reason: str) -> GradientResult:
        """The best that there is, and that it is not enough."""
        message = (
            f"gradient_rtol={self._asked:.1g} was not reached, {_error(best):.1g} is the best "
            f"estimate: {reason}"
        )
        return replace(judged(replace(best, status="ok"), 0.0), message=message)


def _in_pieces(
    program: Refinable, params: Params, y0: np.ndarray, rtol: float, steps: int
) -> Iterator[GradientResult]:
    """Gradients of steps in 2, 4, 8, ... pieces, until that helps no more."""
    gain, last = 2.0**program.order, float("inf")
    coarse, pieces = program.in_pieces(params, y0, 1, steps), 2
    while pieces <= MOST_PIECES:
        fine = program.in_pieces(params, y0, pieces, steps)
        how = f"steps in {pieces} pieces at rtol={rtol:.1g}"
        pair = compared(coarse, fine, params, gain=gain, how=how)
        if pair.refined is None:
            return
        found = _cautious(pair)
        yield found
        if not _error(found) < UNMOVED * last and last < ASYMPTOTIC:
            return
        coarse, last, pieces = fine, _error(found), 2 * pieces


def _better_half(
    result: GradientResult, refinable: bool, rtol: float, number: int
) -> GradientResult:
    """The refined gradient of the method's own steps, or the gradient, with how it came about."""
    if result.gradient_error is None:
        return result
    found = _cautious(result) if refinable and result.refined is not None else result
    error = found.gradient_error
    assert error is not None
    tries = "" if number == 1 else f", the tolerance number {number}"
    return replace(
        found, gradient_error=replace(error, how=f"{error.how} at rtol={rtol:.1g}{tries}")
    )


def _cautious(result: GradientResult) -> GradientResult:
    """The refined gradient, with an error not below the truth; the plain one where it is better."""
    fine, coarse = result.refined, result.gradient_error
    assert fine is not None
    assert coarse is not None
    own = fine.gradient_error
    if own is None or coarse.largest >= ASYMPTOTIC:
        return result
    error = replace(
        own,
        dparams=CAUTION * own.dparams,
        dy0=CAUTION * own.dy0,
        loss=CAUTION * own.loss,
        by_param={name: CAUTION * value for name, value in own.by_param.items()},
        by_y0=CAUTION * own.by_y0,
    )
    return replace(fine, gradient_error=error)


def _error(result: GradientResult) -> float:
    """The estimated error of both gradients; infinite where nothing is known."""
    error = result.gradient_error
    return float("inf") if error is None or np.isnan(error.largest) else error.largest
