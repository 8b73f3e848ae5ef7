"""Numbers as a reader likes them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

#: What stands where there is nothing to tell.
NONE = "–"

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

#: More names than these are counted instead.
MOST_NAMES = 4


def amount(value: float | None) -> str:
    """A plain amount: ``4``, ``2.5``, ``12k``, ``3.4M``; a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    if abs(value) >= 1e12:
        return power(value)
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"


def seconds(value: float | None) -> str:
    """A time: ``0.21 ms``, ``3.4 s``; a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    if value >= 1:
        return f"{value:.3g} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} µs"


def size(value: float | None) -> str:
    """A number of bytes: ``820 B``, ``4.1 kB``; a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    text = amount(value)
    return f"{text} B" if text[-1].isdigit() else f"{text[:-1]} {text[-1]}B"


def error(value: float | None) -> str:
    """A relative error: ``3.1e-7``, ``0.28``, ``28``; a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    if value > 1e100:
        return "> 1e100"
    return f"{value:.2g}" if 0.01 <= value < 100 else power(value, 1)


def engine(value: object) -> str:
    """What ran a gradient, without the reason: ``native``, ``xla``; a dash where none is told."""
    return value.partition(" ")[0] if isinstance(value, str) and value else NONE


def power(value: float, digits: int = 0) -> str:
    """A number with its exponent, and no leading zero in it: ``1e-3``."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def slope(value: float | None) -> str:
    """A slope to two decimals: ``0.97``; a dash where there is none."""
    return (
        NONE
        if value is None or math.isnan(value)
        else f"{value + 0.0:.2f}".replace("-0.00", "0.00")
    )


def percent(value: float | None) -> str:
    """A share: ``75 %``; a dash where there is none."""
    return NONE if value is None or math.isnan(value) else f"{100 * value:.0f} %"


def plain(value: object) -> str:
    """Text as it is, whole numbers without a point, other numbers to three digits."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e9 else f"{value:.3g}"
    return str(value)


_UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "%": 0.01, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_UNITS |= {prefix: size for size, prefix in _PREFIXES}
_LEADING = re.compile(
    r"(?:[>≤] )?([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?) ?(µs|ms|s|%|[kMG]?B|[kMG])?(?![\w.])"
)


def leading_number(text: str) -> float | None:
    """The number that `text` begins with, its unit or prefix taken in; ``None`` where none does.

    It reads what the functions here write, also with more behind: ``"0.21 ms, wrong"``.
    """
    match = _LEADING.match(text)
    return None if match is None else float(match[1]) * _UNITS.get(match[2] or "", 1.0)


def listed(names: Sequence[str]) -> str:
    """Names between commas, or the first of them and how many there are more."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


def count(number: float, word: str) -> str:
    """A number of things: ``1 problem``, ``3 problems``."""
    return f"{number:.0f} {word}{'' if number == 1 else 's'}"


def times(number: float) -> str:
    """How often: ``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(int(number)) or f"{number:.0f} times"


def span(values: Iterable[float], write: Callable[[float], str]) -> str:
    """The range of some values: ``from 2 to 7``, or one number where that is all one sees."""
    found = list(values)
    ends = write(min(found)), write(max(found))
    return ends[0] if ends[0] == ends[1] else f"from {ends[0]} to {ends[1]}"


def ranked(tally: Mapping[str, float], write: Callable[[float], str]) -> str:
    """Names by their figures, as they come: about as many as :data:`MOST_NAMES`, no tie cut.

    Those of one figure stand together (``a, b (twice each), c (once)``); where they are too many
    to name, they are counted.
    """
    groups: dict[str, list[str]] = {}
    for name, figure in tally.items():
        groups.setdefault(write(figure), []).append(name)
    said, shown = [], 0
    for figure, names in groups.items():
        if shown and shown + len(names) > MOST_NAMES + 1:
            break
        shown += len(names)
        said.append(f"{listed(names)} ({figure}{' each' if len(names) > 1 else ''})")
    return ", ".join(said)


def certified_error(value: float | None, agreement: float | None) -> str:
    """An error, or ``≤ 2.1e-11`` where it is below what its reference is certified to."""
    if value is not None and agreement is not None and value < agreement:
        return f"≤ {error(agreement)}"
    return error(value)
