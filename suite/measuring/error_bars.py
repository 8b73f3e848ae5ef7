"""What gradients say of their own errors, held against their true errors."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Any

from ...adjoints.gradient import Run, with_error_bar
from ...adjoints.methods import find_method
from ...adjoints.result import GradientResult
from .errors import ROUNDING
from .ladder import is_wrong
from .measure import finite
from .names import bare_name
from .row import Row, message_of
from .timing import Silence, in_turn, timed_gradient

#: An estimate within such a factor of the truth, either way, hits it; within the other, nearly.
CLOSE, NEAR = 2.0, 3.0

#: True errors from which on an estimate need not be more than large.
COARSE = 0.3

#: True errors up to which ``inaccurate`` is a false alarm.
RIGHT_ENOUGH = 0.03

#: So many times what a reference is certified to, its errors are known.
CERTAIN = 10.0


def error_bar(run: Run, budget_s: float = 0.2, silence: Silence = nullcontext) -> dict[str, Any]:
    """The fields of a row that the same gradient with an error bar gives; a refusal gives none."""
    try:
        barred = with_error_bar(run)
        result = barred()
    except ValueError:
        return {}
    except Exception as error:  # the plain gradient is there, and stands
        return {"error_bar_status": "failed", "estimated_by": message_of(error)}
    told = told_by_error_bar(result)
    if result.refined is not None and run.settings.method.backend == "jax":
        told["error_bar_cost"] = _cost(run, barred, budget_s, silence)
    return told


def told_by_error_bar(result: GradientResult) -> dict[str, Any]:
    """The fields of a row that a gradient's own error bar gives; none without one."""
    if (error := result.gradient_error) is None:
        return {}
    return {
        "error_bar_status": result.status,
        "estimated_error": finite(error.dparams),
        "error_reliable": error.reliable,
        "estimated_by": error.how,
    }


def _cost(run: Run, barred: Run, budget_s: float, silence: Silence) -> float:
    """Times of the gradient with its error bar over that without, taken in turn: the median."""
    calls = [timed_gradient(each) for each in (run, barred)]
    with silence():
        plain, with_bar = in_turn(calls, budget_s)
    return float(median(with_bar / plain))


def may_tell_its_error(method: str) -> bool:
    """Whether ladders ask it for error bars: a discrete or continuous adjoint of ours.

    For peers and black boxes a second method would be measured once more for each.
    """
    entry = find_method(bare_name(method))
    return entry is not None and entry.family in ("discrete", "continuous")


def said_so(row: Row) -> bool:
    """Whether its error bar calls it inaccurate."""
    return row.error_bar_status == "inaccurate"


def is_false_alarm(row: Row) -> bool:
    """Whether it calls itself inaccurate, with both gradients less than 3 % off."""
    errors = (row.error, row.dy0_error)
    return said_so(row) and all(e is not None and e < RIGHT_ENOUGH for e in errors)


def effectivity(row: Row) -> float | None:
    """Estimated over true error; ``None`` where one is unknown, or the true one is rounding.

    The true error counts from ten times what the reference is certified to.
    """
    error, estimate = row.error, row.estimated_error
    if row.status != "ok" or error is None or estimate is None:
        return None
    floor = max(ROUNDING, CERTAIN * (row.agreement or 0.0))
    return estimate / error if error > floor else None


def is_within(ratio: float, factor: float) -> bool:
    """Whether a ratio is no further from one than `factor`, either way."""
    return 1 / factor <= ratio <= factor


@dataclass(frozen=True)
class Honesty:
    """What ``ok`` is worth, without error bars and with them.

    Attributes
    ----------
    gradients : int
        Those that ended ``ok`` against a reference and were asked for an error bar.
    before : tuple of Row
        Those that say ``ok`` and are more than 10 % off.
    after : tuple of Row
        Those of them that say ``ok`` with an error bar, too.
    alarms : tuple of Row
        Those that call themselves inaccurate and are less than 3 % off.
    """

    gradients: int
    before: tuple[Row, ...]
    after: tuple[Row, ...]
    alarms: tuple[Row, ...]


def honesty(rows: Iterable[Row]) -> Honesty:
    """Count what was wrong and said so, and what was right and said that it was not."""
    asked = [row for row in rows if row.error_bar_status is not None and row.referenced]
    before = tuple(row for row in asked if is_wrong(row))
    return Honesty(
        len(asked),
        before,
        tuple(row for row in before if not said_so(row)),
        tuple(row for row in asked if is_false_alarm(row)),
    )


@dataclass(frozen=True)
class Shares:
    """How often estimates hit the truth: of `number` ladders' steps, the shares within 2 and 3."""

    number: int
    close: float
    near: float


def shares(rows: Iterable[Row]) -> Shares | None:
    """How often an estimate is within a factor of 2 and of 3, of true errors below 0.3."""
    small = [row for row in rows if row.error is not None and row.error < COARSE]
    ratios = [ratio for row in small if (ratio := effectivity(row)) is not None]
    if not ratios:
        return None
    within = [sum(is_within(r, factor) for r in ratios) / len(ratios) for factor in (CLOSE, NEAR)]
    return Shares(len(ratios), *within)
