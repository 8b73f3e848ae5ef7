"""The command ``adjointbench``, also ``python -m adjointbench``."""

import contextlib
import os
import sys


def main() -> None:
    """Run the command line; say in one line which extra is missing where it cannot."""
    try:
        from adjointbench.command_line import app
        from adjointbench.command_line.kept_programs import keep_programs
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        from adjointbench.problems.installing import how_to_install

        needed = f"the command line needs {error.name}; {how_to_install('bench')}"
        print(f"adjointbench: {needed}", file=sys.stderr)
        raise SystemExit(2) from None
    keep_programs()
    try:
        try:
            app(prog_name="adjointbench")
        finally:
            if sys.stdout is not None:  # as it is where a shell closed it
                sys.stdout.flush()
    except OSError as error:
        _give_up_output()
        if isinstance(error, BrokenPipeError):
            # Who reads has enough, as head -1.
            raise SystemExit(1) from None
        where = error.filename or "the output"
        print(f"adjointbench: {where}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        raise SystemExit(2) from None


def _give_up_output() -> None:
    """Let what is still to be written go nowhere, or Python complains about it as it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
