"""The benchmarks of claims and of the quick trainings, on rows made up here."""

import importlib
import sys
from pathlib import Path

import pytest

from adjointbench.suite.measuring.row import ClaimRow
from adjointbench.suite.measuring.rows import RowFile

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def suite():
    """Modules of the suite, which is not installed."""
    sys.path.insert(0, str(ROOT / "suite"))
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    sys.path.remove(str(ROOT / "suite"))


def file(*figures, **changes):
    """A file of rows of claims, each of a number and figures."""
    made = [
        ClaimRow(**{"problem": number, "number": number, "status": "ok", "figures": told} | changes)
        for number, told in figures
    ]
    return RowFile(Path("rows.jsonl"), claims=made)


def test_each_claim_has_a_benchmark_of_its_own(suite):
    classes = [name for name in vars(suite("claims")) if name.startswith(("Claim", "RedFlag"))]
    assert sorted(c for c in classes if c[-1].isdigit()) == sorted(
        [f"Claim{number:02d}" for number in range(1, 28)] + [f"RedFlag{n}" for n in range(1, 5)]
    )
    assert suite("claims").Claim11.claim.key == "11"
    assert suite("claims").Claim11.unit == "of the training time without"


def test_the_figure_is_the_leading_one_and_finite(suite):
    figures = {"11": {"ratio": 0.8}, "12": {"ratio": 1e300}, "4": {"reverse_raises": 1.0}}
    rows = file(*figures.items())
    values = []
    for name in ("Claim11", "Claim12", "Claim04"):
        benchmark = getattr(suite("claims"), name)()
        benchmark.setup(rows)
        values.append(benchmark.track_figure(rows))
    assert values == [0.8, 1e12, 1.0]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (file(), "not measured"),
        (file(("23", {"not_measured": "no GPU"})), "no GPU"),
        (file(("23", {}), status="timeout", message="not done"), "timeout: not done"),
        (file(("23", {"slowdown": None})), "no figure"),
    ],
)
def test_what_is_not_measured_is_skipped_with_the_reason(suite, rows, reason):
    with pytest.raises(NotImplementedError, match=reason):
        suite("claims").Claim23().setup(rows)


def test_quick_trainings_are_those_of_the_claims(suite):
    epochs = [
        {
            "regularizer": name,
            "seed": seed,
            "epoch": epoch,
            "status": "ok",
            "nfe": 10 * epoch + seed,
        }
        for name in ("none", "error")
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    benchmark = suite("training")._OfClaims()
    benchmark.setup(file(("4", {}), ("10", {"lines": epochs})), "jax", "error")
    assert [epoch["nfe"] for epoch in benchmark.rows] == [0, 10, 20]
    assert benchmark.plain["regularizer"] == "none"
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_CLAIMS"):
        benchmark.setup(file(("4", {})), "jax", "error")
