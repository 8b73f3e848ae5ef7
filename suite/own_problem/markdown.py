"""A recommendation in words: Markdown, and the lines of code that use the method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..measuring import formats
from ..measuring.names import split_name
from .candidates import Candidate
from .probe import LABELS
from .recommendation import Recommendation
from .troubles import Trouble

#: Headings of the table; all but the first two are of numbers.
_COLUMNS = (
    "method",
    "engine",
    "time",
    "rtol",
    "error",
    "own estimate",
    "of dL/dy0",
    "ratio",
    "kept",
    "first call",
)

_PASSES = ("forward", "reverse")

#: Characters of a message that are shown; all of them are in the rows.
_LONGEST = 240

#: Tolerances that are listed one by one; more are given as a range.
_FEW = 2


def code(fetch: str, candidate: Candidate, device: str = "cpu") -> str:
    """The lines that take the gradient by a method as it was measured.

    Parameters
    ----------
    fetch : str
        Lines that leave the problem in ``problem``, with ``ab`` imported.
    candidate : Candidate
    device : str
    """
    name, settings = split_name(candidate.method)
    options = ({"compile": True} if candidate.compiled else {}) | settings
    options |= {} if device == "cpu" else {"device": device}
    given = [repr(name), *(f"{key}={value!r}" for key, value in options.items())]
    given += [f"rtol={_exact(candidate.rtol)}", f"atol={_exact(candidate.atol)}"]
    return f"{fetch}\n\nresult = ab.gradient(problem, {', '.join(given)})"


def _exact(tolerance: float) -> str:
    """A tolerance as one writes it, and none of its digits lost."""
    text, digits = formats.power(tolerance), f"{tolerance:.12g}"
    return text if float(text) == float(digits) else digits


def markdown(found: Recommendation, fetch: str, remarks: Sequence[str] = ()) -> str:
    """The recommendation with its reasons, as a page.

    Parameters
    ----------
    found : Recommendation
    fetch : str
        As of :func:`code`.
    remarks : sequence of str
        What else the reader should know: about the reference, about backends.
    """
    parts = [f"# Which adjoint for {found.problem}?", *_answer(found, fetch)]
    parts += _reasons(found)
    if remarks:
        parts.append("## What this rests on\n\n" + "\n".join(f"- {text}" for text in remarks))
    return "\n\n".join(parts) + "\n"


def _answer(found: Recommendation, fetch: str) -> Iterator[str]:
    best = found.best
    if best is None:
        yield _nothing(found)
        return
    estimate = best.estimated_error
    if found.agreement is None and estimate is not None and estimate <= found.asked:
        yield (
            f"**{best.method}** ({best.solver}): the fastest whose own error bar says that the "
            f"gradient is right to {formats.power(found.asked)}: off by {formats.error(estimate)}, "
            f"in {formats.seconds(best.seconds)}. There is no reference to hold it against."
        )
    elif found.agreement is None:
        yield (
            f"**{best.method}** is the fastest at rtol {formats.power(best.rtol)}, "
            f"{formats.seconds(best.seconds)} a gradient, but **how accurate it is, is not "
            "known**: there is no reference."
        )
    else:
        yield (
            f"**{best.method}** ({best.solver}): the fastest that gets the gradient right to "
            f"{formats.power(found.aim)}, in {formats.seconds(best.seconds)}."
        )
    yield f"```python\n{code(fetch, best, found.device)}\n```"
    yield (
        "For many gradients prepare once, which compiles once: `run = ab.prepare(...)` with the "
        "same arguments, then `result = run(params=..., y0=...)`."
    )
    yield _table(found)
    yield (
        "Time is that of one gradient at the accuracy asked for, ratio that over a primal solve, "
        "kept the bytes held for the reverse pass; the tolerance is the loosest measured one that "
        "gets there, with its errors. Own estimate: what the method itself says of its error; one "
        "that calls itself inaccurate is not recommended."
    )


def _nothing(found: Recommendation) -> str:
    asked = formats.power(found.aim)
    if not found.short:
        return f"**No method gave a gradient.** {_what_to_mend(found)}"
    name, error = found.short[0]
    return (
        f"**No method gets the gradient right to {asked}.** The most accurate is {name}, with an "
        f"error of {formats.error(error)}. Try tighter tolerances (`--rtols 1e-8,1e-10,1e-12`), "
        "`stiff=True` in the problem if it is stiff, or a larger `--error`."
    )


def _what_to_mend(found: Recommendation) -> str:
    if not found.broken and (found.slow or found.left):
        return (
            "None was done before the time was over: give more with `--budget`. The same command "
            "goes on from here."
        )
    if found.broken and all(trouble.status == "nonfinite" for trouble in found.broken):
        return (
            "With each of them the solution or the loss becomes NaN or infinite: look at `rhs` "
            "and `loss`, and at the span of time."
        )
    more = " Others were not done: `--budget` gives more time." if found.slow or found.left else ""
    return f"What each of them says is below.{more}"


def _table(found: Recommendation) -> str:
    """The best, the next, and the best of each backend."""
    assert found.best is not None
    shown = dict.fromkeys([found.best, *found.others[:3], *found.by_backend.values()])
    rule = ["---", "---", *["---:"] * (len(_COLUMNS) - 2)]
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'|'.join(rule)}|"]
    for c in sorted(shown, key=lambda c: c.seconds):
        cells = (
            c.method,
            formats.engine(c.engine),
            formats.seconds(c.seconds),
            formats.power(c.rtol),
            formats.error(c.error),
            formats.error(c.estimated_error),
            formats.error(c.dy0_error),
            formats.amount(c.ratio),
            formats.size(c.saved_bytes),
            formats.seconds(c.first_call_s),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _reasons(found: Recommendation) -> list[str]:
    sections = {
        "Why": list(_why(found)),
        "What breaks": list(_broken(found.broken)),
        "What says ok and is wrong": [_wrong(trouble) for trouble in found.wrong],
        "What does not get there": [
            f"{name}: error {formats.error(error)} at best" for name, error in found.short
        ],
        "What was not done in its share of the time": list(_broken(found.slow)),
        "What was not tried": [f"{', '.join(names)}: {why}" for why, names in found.skipped],
        "What is not measured yet": list(_left(found)),
    }
    return [
        f"## {title}\n\n" + "\n".join(f"- {_plain(line)}" for line in lines)
        for title, lines in sections.items()
        if lines
    ]


def _plain(line: str) -> str:
    """What Python says, not to be taken for Markdown."""
    return line.replace("__", r"\_\_")


def _why(found: Recommendation) -> Iterator[str]:
    best = found.best
    if best is None:
        return
    if found.close:
        yield f"As fast within noise: {', '.join(found.close)}."
    if found.faster and not best.backward:
        names = ", ".join(f"{c.method} ({formats.seconds(c.seconds)})" for c in found.faster)
        yield (
            f"Faster, and not recommended: {names}. The state is integrated backwards, which can "
            "be unstable at other parameters, and the status does not tell; `--fastest` recommends "
            "it all the same."
        )
    slower = [c for c in found.others if c.method not in found.close and c not in found.faster]
    if slower:
        next_one = slower[0]
        factor = formats.amount(float(f"{next_one.seconds / best.seconds:.2g}"))
        yield f"Next comes {next_one.method}, which takes {factor} times as long."
    for each in found.by_backend.values():
        if each.engine and " (" in each.engine and not each.compiled:
            yield f"{each.method} runs on {each.engine}."
    for backend, candidate in found.by_backend.items():
        if backend != best.backend:
            yield (
                f"The best on {LABELS[backend]} is {candidate.method}, at "
                f"{formats.seconds(candidate.seconds)}."
            )
    if best.backward:
        sound = next((c.method for c in found.others if not c.backward), None)
        yield (
            "It integrates the state backwards, which can be unstable at other parameters, and its "
            "status does not tell: check it there" + (f", or use {sound}." if sound else ".")
        )
    if best.saved_bytes is not None:
        yield f"It keeps {formats.size(best.saved_bytes)} for the reverse pass."
    if best.first_call_s is not None:
        yield f"Its first call takes {formats.seconds(best.first_call_s)}, compilation included."
    if found.agreement is not None and found.agreement > found.asked:
        yield (
            f"An error of {formats.power(found.asked)} was asked for, and the reference is known "
            f"to {formats.error(found.agreement)} only: that is what methods are held to."
        )
    if best.dy0_error is not None and best.dy0_error > found.aim:
        yield (
            f"Its gradient with respect to the start value is less accurate: error "
            f"{formats.error(best.dy0_error)}."
        )


def _left(found: Recommendation) -> Iterator[str]:
    if found.left:
        names = ", ".join(found.left)
        yield f"{names}: the same command goes on with them, --budget gives more time"


def _broken(troubles: Sequence[Trouble]) -> Iterator[str]:
    """What breaks down; methods that do so in the same way together."""
    alike: dict[str, list[str]] = {}
    for trouble in troubles:
        where = f" in the {trouble.phase} pass" if trouble.phase in _PASSES else ""
        message = trouble.message[:_LONGEST].replace("\n", " ")
        status = "" if trouble.status == "timeout" else f"{trouble.status}{where}, "
        how = f"{status}at rtol {_range(trouble.rtols)}: {message}"
        alike.setdefault(how, []).append(trouble.method)
    return (f"{', '.join(methods)}: {how}" for how, methods in alike.items())


def _wrong(trouble: Trouble) -> str:
    return (
        f"{trouble.method}: error {formats.error(trouble.error)}, at rtol {_range(trouble.rtols)}"
    )


def _range(rtols: Sequence[float]) -> str:
    if len(rtols) > _FEW:
        return f"{formats.power(rtols[0])} … {formats.power(rtols[-1])}"
    return ", ".join(formats.power(rtol) for rtol in rtols)
