"""What a long measurement shows while it runs: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

#: How often the clocks of what is running are drawn anew, a second.
_DRAWN = 4


class Watching:
    """Prints what has happened, and shows what is running below it where that is possible."""

    def __init__(self, console: Console, budget_s: float) -> None:
        self._console = console
        self._start = time.monotonic()
        self._budget_s = budget_s
        self._running: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a line, with the seconds since the start before it."""
        elapsed = f"{time.monotonic() - self._start:5.0f} s  "
        self._console.print(Text(elapsed, style="dim").append(line, style="default"))

    def began(self, name: str) -> None:
        """Show `name` as running."""
        self._running[name] = time.monotonic()
        if not self._console.is_terminal:
            self.say(f"{name} ...")

    def ended(self, name: str, line: str) -> None:
        """Show it no more; print what came of it."""
        began = self._running.pop(name, time.monotonic())
        if line or not self._console.is_terminal:
            told = line or "done"
            self.say(f"{name}: {told}  (took {time.monotonic() - began:.0f} s)")

    def __rich__(self) -> Table:
        """What is running, for how long, and how much time is left."""
        now = time.monotonic()
        left = max(self._budget_s - (now - self._start), 0.0)
        table = Table.grid(padding=(0, 2))
        for name, began in list(self._running.items()):
            table.add_row(Text("running", style="cyan"), name, f"{now - began:.0f} s")
        table.add_row(Text("left", style="dim"), f"{left:.0f} s of {self._budget_s:g} s", "")
        return table


@contextmanager
def watching(budget_s: float) -> Iterator[Watching]:
    """Show on standard error what is running."""
    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    watch = Watching(console, budget_s)
    if not console.is_terminal:
        yield watch
        return
    with Live(watch, console=console, refresh_per_second=_DRAWN, transient=True):
        yield watch


def print_markdown(text: str) -> None:
    """Print `text`, as Markdown set for a terminal or as it is."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text)
