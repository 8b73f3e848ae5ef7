"""Command line: ``python -m adjointbench.reports RESULTS... --out DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import build_report


def main() -> int:
    """Build a report; the exit status is 1 where nothing could be read."""
    parser = argparse.ArgumentParser(description="Write a report about measured results.")
    parser.add_argument("results", nargs="*", type=Path, default=[Path(".asv/results")])
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder to write into")
    arguments = parser.parse_args()
    try:
        page = build_report(arguments.results, arguments.out)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"report: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
