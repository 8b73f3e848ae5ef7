"""The benchmarks that read measured rows, on rows made up here."""

import importlib
import math
import sys
from pathlib import Path

import pytest

from adjointbench.suite.measuring.measure import LADDER
from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.rows import RowFile

ROOT = Path(__file__).parents[3]
WHERE = ("lotka_volterra", "jax-discrete", "cpu")


@pytest.fixture(scope="module")
def suite():
    """Imports a module of the suite, which is not installed."""
    sys.path.insert(0, str(ROOT / "suite"))
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    sys.path.remove(str(ROOT / "suite"))


def rows(method=WHERE[1], **changes):
    measured = {"status": "ok", "referenced": True, "seconds": 1e-3, "ratio": 4.0, "steps": 30}
    made = [
        {"rtol": rtol, "error": 2 * rtol, "loss_error": rtol / 5} | measured | changes
        for rtol in LADDER
    ]
    found = [Row(problem=WHERE[0], method=method, device=WHERE[2], **each) for each in made]
    return RowFile(Path("rows.jsonl"), rows=found)


def measured(benchmark, name, made):
    benchmark.setup(made, *WHERE)
    return getattr(benchmark, name)(made, *WHERE)


def test_figures_are_those_of_the_rows(suite):
    accuracy, stability = suite("accuracy").Accuracy(), suite("stability").Stability()
    log10 = measured(accuracy, "track_log10_gradient_error", rows())
    assert log10 == pytest.approx(math.log10(2e-6))
    assert measured(stability, "track_missing_order", rows()) == pytest.approx(0.0)
    assert measured(stability, "track_share_wrong_or_broken", rows()) == 0.0
    assert measured(stability, "track_log10_amplification", rows()) == pytest.approx(1.0)
    assert measured(suite("timing").Times(), "track_gradient_over_primal", rows()) == 4.0
    assert measured(suite("counts").Counts(), "track_steps", rows()) == 30


def test_a_breakdown_is_a_finite_cap_and_no_success(suite):
    broken = rows(status="max_steps", error=None, seconds=None)
    accuracy, success = suite("accuracy").Accuracy(), suite("stability").Success()
    assert measured(accuracy, "track_log10_gradient_error", broken) == 3.0
    assert measured(success, "track_share_broken", broken) == 1.0
    assert math.isnan(measured(suite("timing").Times(), "track_gradient_seconds", broken))


def test_code_that_breaks_is_a_failed_benchmark_once(suite):
    crashed = rows(status="failed", exception=True, message="TypeError: oops", error=None)
    with pytest.raises(RuntimeError, match="oops"):
        suite("stability").Success().setup(crashed, *WHERE)
    assert measured(suite("stability").Stability(), "track_share_wrong_or_broken", crashed) == 1.0


def test_ok_and_wrong_is_a_success_that_is_not_right(suite):
    wrong = rows(error=28.0)
    assert measured(suite("stability").Success(), "track_share_broken", wrong) == 0.0
    assert measured(suite("stability").Stability(), "track_share_wrong_or_broken", wrong) == 1.0


def test_what_a_method_refuses_is_skipped_with_its_reason(suite):
    refused = rows(status="skipped", message="only explicit solvers")
    with pytest.raises(NotImplementedError, match="only explicit solvers"):
        suite("timing").Times().setup(refused, *WHERE)


def test_what_was_not_measured_is_skipped(suite):
    with pytest.raises(NotImplementedError):
        suite("timing").Times().setup(RowFile(Path("rows.jsonl")), *WHERE)


def test_without_a_reference_there_is_no_error_to_track(suite):
    unknown = rows(referenced=False, error=None)
    with pytest.raises(NotImplementedError, match="no certified reference"):
        suite("accuracy").Accuracy().setup(unknown, *WHERE)
    assert measured(suite("timing").Times(), "track_gradient_seconds", unknown) == 1e-3


def test_speed_at_equal_error(suite):
    benchmark = suite("equal_error").EqualError()
    peer = "diffrax-backsolve"
    made = RowFile(Path("rows.jsonl"), rows=[*rows().rows, *rows(peer, seconds=0.01).rows])
    benchmark.setup(made, peer, 1e-5)
    assert benchmark.track_time_over_peer(made, peer, 1e-5) == pytest.approx(0.1)


def test_rows_lie_beside_the_results_of_asv(suite, tmp_path, monkeypatch):
    (tmp_path / "asv.conf.json").write_text('{"results_dir": "elsewhere/results"}')
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path))
    assert suite("_ladder")._results_folder() == tmp_path / "elsewhere/results"
