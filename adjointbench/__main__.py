"""The command ``adjointbench``, also ``python -m adjointbench``."""

import sys


def main() -> None:
    """Run the command line; say in one line which extra is missing where it cannot."""
    try:
        from adjointbench.command_line import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        from adjointbench.problems.installing import how_to_install

        needed = f"the command line needs {error.name}; {how_to_install('bench')}"
        print(f"adjointbench: {needed}", file=sys.stderr)
        raise SystemExit(2) from None
    app(prog_name="adjointbench")


if __name__ == "__main__":
    main()
