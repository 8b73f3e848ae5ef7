"""What every figure is drawn on: style, axes, legend, and the way to SVG."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, NullFormatter

from .style import COLOURS

#: Ink and grid; an inline figure gets the page's own colours instead.
INK, GRID = "#1f2933", "#d5dae1"

#: Ink on what is coloured, where it and white leave no colour without contrast.
DARK = "black"

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "adjointbench",
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
}


def to_svg(figure: Figure) -> str:
    """The figure as the text of an SVG file, on white."""
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(
            stream,
            format="svg",
            bbox_inches="tight",
            pad_inches=0.06,
            transparent=True,
            metadata={"Date": None, "Creator": "adjointbench"},
        )
    return re.sub(r"(<svg[^>]*>)", rf"\1\n{_PAPER}", stream.getvalue(), count=1)


#: What a figure lies on in a file of its own; on a page it is the page.
_PAPER = '<rect width="100%" height="100%" fill="#ffffff"/>'


def in_page(svg: str, prefix: str) -> str:
    """A figure for inclusion in a page: with the page's own ink, grid and width.

    Parameters
    ----------
    svg : str
        As from :func:`to_svg`.
    prefix : str
        What names within it begin with, so that those of several figures of a page differ.
    """
    text = svg[svg.index("<svg") :].replace(_PAPER, "", 1)
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = _shorten(_rename(text, prefix))
    text = text.replace(INK, "currentColor").replace(GRID, "var(--grid)")
    for family, colour in COLOURS.items():
        text = text.replace(colour.lower(), f"var(--{family})")
    return re.sub(r'(<svg[^>]*?) width="([^"]*)pt"', _in_pixels, text, count=1)


def _rename(text: str, prefix: str) -> str:
    """Without the names that nothing refers to, and with the others unlike those elsewhere."""
    used = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    names = {name: f"{prefix}-{number}" for number, name in enumerate(used)}

    def name_it(match: re.Match[str]) -> str:
        return f' id="{names[match[1]]}"' if match[1] in names else ""

    text = re.sub(r'\sid="([^"]*)"', name_it, text)
    return re.sub(r'(url\(#|href="#)([^")]+)', lambda m: m[1] + names[m[2]], text)


def _shorten(text: str) -> str:
    """Without what makes no difference on a page: fonts, no turns, decimals of coordinates."""
    text = re.sub(r" ?font-family: [^;\"]*;?| transform=\"rotate\(-?0 [^)]*\)\"", "", text)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), text)
    return re.sub(r"\s*\n\s*", "\n", text)


def _in_pixels(match: re.Match[str]) -> str:
    """The same size of letters in every figure of the page, whatever its width."""
    return f'{match[1]} style="width: {1.25 * float(match[2]):.0f}px"'


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of that size in inches, with one pair of axes; of no window, unlike pyplot's."""
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def ink_on(colour: Any) -> str:
    """Dark or white, whichever stands out more from `colour`, by WCAG's contrast."""
    light = luminance(colour)
    on_white, on_dark = 1.05 / (light + 0.05), (light + 0.05) / (luminance(DARK) + 0.05)
    return "white" if on_white > on_dark else DARK


def luminance(colour: Any) -> float:
    """The relative luminance of a colour, as WCAG defines it: 0 is black, 1 is white."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in to_rgb(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def log_ticks(axes: Axes) -> None:
    """Logarithmic axes, both, with powers of ten as labels, or with more where those are few."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        few = high < 100 * low
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=9))
        axis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(math.inf, math.inf)))
        axis.set_minor_formatter(NullFormatter())


def amounts_on(axis: Axis, write: Callable[[float], str]) -> None:
    """Label a logarithmic axis with amounts at 1, 2 and 5 of each power of ten, or of many at 1."""
    low, high = axis.get_view_interval()
    few = not 0 < low < high or math.log10(high / low) < 4
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def say(axes: Axes, text: str) -> None:
    """Write a sentence into the middle of empty axes."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")


def legend_outside(axes: Axes, handles: list[Line2D]) -> None:
    """A legend to the right of the axes, where it hides nothing."""
    if handles:
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.02, 1.03),
            handlelength=2.6,
            fontsize=9.5,
        )
