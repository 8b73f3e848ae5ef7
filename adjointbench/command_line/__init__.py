"""The command line: one file a command, and what they share in ``output``."""

from typing import Annotated

import typer

from .. import __version__
from .bench import bench
from .certify import certify
from .claims import claims
from .compare import compare
from .gradient import gradient
from .merge import merge
from .methods import methods
from .problems import problems
from .report import report
from .train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 a solver broke down, a gradient is wrong, or something became "
    "worse; 2 bad usage, or a file that cannot be read or written; 130 interrupted. Results are on "
    "standard output, all else on standard error.",
)
for command in (problems, methods, gradient, compare, certify, bench, train, claims, merge, report):
    app.command(no_args_is_help=command in (gradient, compare, certify, merge))(command)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"adjointbench {__version__}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Measure gradients of differential-equation solvers."""
