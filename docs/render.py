"""Small pieces of Markdown: tables, marked parts, and docstrings turned into it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

#: A generated part, with what it is made of: ``<!-- begin: NAME ARGUMENT ... -->``.
PART = re.compile(r"(<!-- begin: (\S+)(.*?) -->\n).*?(<!-- end -->)", re.S)

#: Makes the text of a part from its arguments.
Maker = Callable[..., str]


def filled(text: str, makers: Mapping[str, Maker]) -> str:
    """The document `text` with all its generated parts made anew.

    Parameters
    ----------
    text : str
    makers : mapping of str to callable
        ``makers[name](*arguments)`` is the text between the markers.

    Raises
    ------
    ValueError
        Where a marker names no maker.
    """

    def fill(found: re.Match[str]) -> str:
        begin, name, arguments, end = found.groups()
        if name not in makers:
            raise ValueError(f"no part is called {name!r}; known: {', '.join(makers)}")
        return f"{begin}\n{makers[name](*arguments.split()).strip()}\n\n{end}"

    return PART.sub(fill, text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a column whose heading begins with ``>`` is aligned to the right."""
    heads = [column.removeprefix(">") for column in columns]
    rules = ["---:" if column.startswith(">") else "---" for column in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows))


def code(words: Iterable[str]) -> str:
    """Names as code, separated by commas."""
    return ", ".join(f"`{word}`" for word in words)


def wrapped(text: str) -> str:
    """One paragraph, or one item of a list, in lines of a hundred characters."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def from_docstring(text: str) -> str:
    """A docstring as Markdown: mathematics in dollars, names as code."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(map(_paragraph, _with_whole_displays(paragraphs)))


def _with_whole_displays(paragraphs: Iterable[str]) -> list[str]:
    """Paragraphs, what directly follows a ``.. math::`` line put beside it."""
    joined: list[str] = []
    for paragraph in paragraphs:
        if joined and joined[-1].rstrip().endswith(".. math::"):
            joined[-1] += "\n" + paragraph
        else:
            joined.append(paragraph)
    return joined


def _paragraph(text: str) -> str:
    if text.startswith(".. math::"):
        return _display(text.removeprefix(".. math::"))
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"``\1``", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _display(formula: str) -> str:
    lines = " ".join(line.strip() for line in formula.strip().splitlines())
    # Markdown may take a double backslash, or one before a comma, for an escape.
    rows = lines.replace(r"\\", r" \cr ").replace(r"\,", r"\thinspace ")
    if r"\cr" in rows or "&" in rows:
        rows = rf"\begin{{aligned}} {rows} \end{{aligned}}"
    return f"$$\n{_broken(rows)}\n$$"


def _broken(formula: str) -> str:
    """A formula in lines that can be read."""
    formula = formula.replace(r" \cr ", " \\cr\n").replace(r"{aligned} ", "{aligned}\n", 1)
    formula = formula.replace(r" \end{aligned}", "\n\\end{aligned}")
    return "\n".join(" ".join(line.split()) for line in formula.splitlines())
