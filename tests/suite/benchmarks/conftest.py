"""The suite's modules, which are not installed, and a folder like that in which asv runs them."""

import importlib
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[3] / "suite"

#: No benchmark of these tests may measure: what they read is kept beforehand.
NO_FILE = Path("rows.jsonl")


@pytest.fixture
def suite(monkeypatch):
    """Imports a module of the suite."""
    monkeypatch.syspath_prepend(str(SUITE))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def keep(suite, tmp_path, monkeypatch):
    """Keeps rows as if an earlier figure of this run of asv had needed them."""
    monkeypatch.chdir(tmp_path)

    def kept(*rows):
        suite("_rows").keep(rows)
        return NO_FILE

    return kept
