"""What the commands share: how they print, and how they refuse."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from adjointbench.problems.installing import how_to_install

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of text.")]

#: The last is how a shell tells that a command was interrupted.
OK, WRONG, USAGE, INTERRUPTED = 0, 1, 2, 130

#: Seconds until a command says what it is waiting for, and between two reminders.
_PATIENCE_S, _REMINDED_S = 2.0, 30.0

#: Columns where the output goes into a file or a pipe, which have no width of their own.
_WIDTH_OF_A_FILE = 160


def console() -> Console:
    """A console on standard output, wide enough for the tables where that is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=_WIDTH_OF_A_FILE, highlight=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table; columns that start with ``>`` hold numbers and are aligned to the right."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        justify = "right" if column.startswith(">") else "left"
        made.add_column(column.lstrip(">"), justify=justify, overflow="fold", no_wrap=number == 0)
    for row in rows:
        made.add_row(*row)
    return made


@contextmanager
def working(on: str) -> Iterator[None]:
    """Tell on standard error what is being worked on: on a terminal at once, as long as it lasts.

    Elsewhere in plain lines, once it takes longer than people like to wait.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(on):
            yield
        return
    began, over = time.monotonic(), threading.Event()

    def tell() -> None:
        wait = _PATIENCE_S
        while not over.wait(wait):
            say_beside(f"{on} ({time.monotonic() - began:.0f} s so far)")
            wait = _REMINDED_S

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


def say_beside(sentence: str) -> None:
    """Print on standard error, so that standard output holds the results alone."""
    if sys.stderr is not None:  # as it is where a shell closed it
        print(f"adjointbench: {sentence}", file=sys.stderr, flush=True)


def print_json(data: object) -> None:
    """Print `data` as strict JSON: arrays as lists, NaN and infinity as null."""
    print(json.dumps(_plain(data), indent=2, allow_nan=False))


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, np.ndarray | np.generic):
        return _plain(data.tolist())
    if isinstance(data, set | frozenset):
        return sorted(data)
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def refuse(message: object) -> NoReturn:
    """Say on one line of standard error why not, and end with the exit code for bad usage."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"adjointbench: {message}", markup=False
    )
    raise typer.Exit(USAGE)


@contextmanager
def refusing(extra: str = "all") -> Iterator[None]:
    """Turn bad input, and a package of `extra` that is missing, into one clean line.

    So too a file that cannot be read or written.
    """
    try:
        yield
    except ValueError as error:
        refuse(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        refuse(f"{error.filename or 'a file'}: {(error.strerror or str(error)).lower()}")
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package == "adjointbench":
            raise
        refuse(f"{package} is not installed; {how_to_install(extra)}")
