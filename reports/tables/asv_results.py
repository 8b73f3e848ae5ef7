"""Read asv's own results."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: Columns of a table of them.
ASV_COLUMNS = (
    "benchmark",
    "parameters",
    "value",
    "status",
    "unit",
    "machine",
    "commit",
    "date",
    "file",
)


def read_asv_file(path: Path, troubles: list[str]) -> list[dict[str, Any]]:
    """One row a benchmark and parameters of one of asv's result files."""
    content = json.loads(path.read_text(encoding="utf-8"))
    benchmarks = _benchmarks(path, troubles)
    origin = {
        "machine": content["params"].get("machine", "unknown"),
        "commit": content["commit_hash"][:8],
        "date": content.get("date", 0),
        "file": str(path),
    }
    rows = []
    for name, columns in content["results"].items():
        entry = dict(zip(content["result_columns"], columns, strict=False))
        unit = benchmarks.get(name, {}).get("unit", "")
        rows += [
            {"benchmark": name, "parameters": parameters, "unit": unit} | value | origin
            for parameters, value in _values(entry)
        ]
    if not rows:
        troubles.append(f"{path}: holds no benchmark result")
    return rows


def _benchmarks(path: Path, troubles: list[str]) -> dict[str, Any]:
    """What asv noted about the benchmarks (units), beside the folders of the machines."""
    noted = path.parent.parent / "benchmarks.json"
    try:
        content = json.loads(noted.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        trouble = f"{noted}: missing or broken; asv's figures have no units"
        if trouble not in troubles:
            troubles.append(trouble)
        return {}
    return {name: entry for name, entry in content.items() if isinstance(entry, dict)}


def _values(entry: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Parameters and value of each combination: NaN was skipped, null failed."""
    combinations: Sequence[tuple[str, ...]] = list(itertools.product(*entry["params"] or []))
    results = entry["result"]
    if results is None:
        results = [None] * len(combinations)
    for combination, value in zip(combinations, results, strict=True):
        parameters = tuple(text.strip("'\"") for text in combination)
        if value is None:
            yield parameters, {"value": math.nan, "status": "failed"}
        elif math.isnan(value):
            yield parameters, {"value": math.nan, "status": "skipped"}
        else:
            yield parameters, {"value": float(value), "status": "ok"}
