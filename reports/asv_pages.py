"""asv's own web pages, of those benchmarks that have a figure.

asv lists every benchmark that it has ever discovered, and meets one without a figure (skipped for
all its parameters, or never run) with an error. So it is given a copy of the results that lists
the others alone. Without a network the pages stay empty: asv loads its libraries from one.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Where the copy goes, beside asv's environments.
COPY = Path(".asv/published")


def publish(config: Path, copy: Path) -> Path:
    """Write asv's web pages.

    Parameters
    ----------
    config : Path
        asv's configuration; paths in it are relative to it.
    copy : Path
        The folder for the results that asv is given, made anew.

    Returns
    -------
    Path
        The folder of the pages.

    Raises
    ------
    ValueError
        Where there are no results.
    """
    from asv.util import load_json

    settings = load_json(str(config), js_comments=True)
    root = config.resolve().parent
    results, pages = (root / settings[name] for name in ("results_dir", "html_dir"))
    listed = results / "benchmarks.json"
    if not listed.exists():
        raise ValueError(f"config={str(config)!r}: no results in {results}; run `make bench` first")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(results, copy / "results", ignore=shutil.ignore_patterns("*.jsonl*"))
    kept = with_figures(results, json.loads(listed.read_text(encoding="utf-8")))
    (copy / "results" / "benchmarks.json").write_text(json.dumps(kept), encoding="utf-8")
    given = {
        "repo": str(root / settings["repo"]),
        "benchmark_dir": str(root / settings["benchmark_dir"]),
        "results_dir": str(copy.resolve() / "results"),
        "html_dir": str(pages),
    }
    (copy / "asv.conf.json").write_text(json.dumps(settings | given), encoding="utf-8")
    asv = [sys.executable, "-m", "asv", "publish", "--config", str(copy / "asv.conf.json")]
    subprocess.run(asv, check=True)
    return pages


def with_figures(results: Path, benchmarks: dict[str, Any]) -> dict[str, Any]:
    """Those of asv's `benchmarks` for which some result file of their version has a number."""
    found = set()
    for path in results.glob("*/*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        columns = content.get("result_columns", [])
        for name, values in content.get("results", {}).items():
            entry = dict(zip(columns, values, strict=False))
            if _has_number(entry.get("result")):
                found.add((name, entry.get("version")))
    return {
        name: about
        for name, about in benchmarks.items()
        if not isinstance(about, dict) or (name, about.get("version")) in found
    }


def _has_number(values: Any) -> bool:
    values = values if isinstance(values, list) else [values]
    return any(value is not None and not math.isnan(value) for value in values)


def main() -> str | None:
    """Command line; a sentence where there is nothing to publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("asv.conf.json"))
    arguments = parser.parse_args()
    try:
        pages = publish(arguments.config, COPY)
    except ValueError as error:
        return str(error)
    print(f"asv's pages are in {pages}; to look at them: {sys.executable} -m asv preview")
    return None


if __name__ == "__main__":
    sys.exit(main())
