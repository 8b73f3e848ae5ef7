"""The benchmarks that read measured rows, on rows made up here."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from asv.commands.compare import _is_result_better

from adjointbench.suite.measuring.measure import LADDER
from adjointbench.suite.measuring.names import get_problem, problem_name
from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.studies import neural

WHERE = ("lotka_volterra", "jax-discrete", "cpu")


def rows(method=WHERE[1], **changes):
    measured = {"status": "ok", "referenced": True, "seconds": 1e-3, "ratio": 4.0, "steps": 30}
    made = [
        {"rtol": rtol, "error": 2 * rtol, "loss_error": rtol / 5} | measured | changes
        for rtol in LADDER
    ]
    return [Row(problem=WHERE[0], method=method, device=WHERE[2], **each) for each in made]


def measured(benchmark, name, file):
    benchmark.setup(file, *WHERE)
    return getattr(benchmark, name)(file, *WHERE)


def test_figures_are_those_of_the_rows(suite, keep):
    file = keep(*rows())
    accuracy, stability = suite("accuracy").Accuracy(), suite("stability").Stability()
    error = measured(accuracy, "track_gradient_error", file)
    assert error == pytest.approx(2e-6)
    assert measured(stability, "track_missing_order", file) == pytest.approx(0.0)
    assert measured(stability, "track_share_wrong_or_broken", file) == 0.0
    assert measured(stability, "track_amplification", file) == pytest.approx(10.0)
    assert measured(suite("timing").Times(), "track_gradient_over_primal", file) == 4.0
    assert measured(suite("counts").Counts(), "track_steps", file) == 30


def test_an_estimate_too_small_is_as_bad_as_one_too_large(suite, keep):
    told = {"error_bar_status": "ok", "error_bar_cost": 2.5}
    made = [replace(row, estimated_error=row.error, **told) for row in rows()]
    made[0] = replace(made[0], estimated_error=made[0].error / 4)
    made[1] = replace(made[1], estimated_error=made[1].error * 3)
    file, bars = keep(*made), suite("error_bars").ErrorBars()
    assert measured(bars, "track_worst_effectivity", file) == pytest.approx(4.0)
    assert measured(bars, "track_cost", file) == 2.5


def test_what_had_no_error_bar_is_skipped(suite, keep):
    with pytest.raises(NotImplementedError, match="error bars"):
        measured(suite("error_bars").ErrorBars(), "track_cost", keep(*rows()))


@pytest.mark.parametrize(("worse", "better"), [(1e-5, 1e-6), (None, 0.9), (1.0, 1e-12)])
def test_asv_calls_the_larger_error_the_worse_one(suite, worse, better):
    worse, better = map(suite("_ladder").followed_error, (worse, better))
    assert _is_result_better(better, worse, None, None, 1.1)
    for one, other in ((worse, better), (better, better), (worse, worse)):
        assert not _is_result_better(one, other, None, None, 1.1)


def test_rounding_is_no_change(suite):
    error = suite("_ladder").followed_error
    assert error(0.0) == error(3e-17) == 1e-12 < error(2e-12)
    assert error(3e-12, 1e-10) == 1e-10


def test_more_order_than_one_is_none_missing(suite, keep):
    steep = [replace(row, error=row.rtol**1.2) for row in rows()]
    assert measured(suite("stability").Stability(), "track_missing_order", keep(*steep)) == 0.0


def test_a_breakdown_is_a_finite_cap_and_no_success(suite, keep):
    broken = keep(*rows(status="max_steps", error=None, seconds=None))
    accuracy, success = suite("accuracy").Accuracy(), suite("stability").Success()
    assert measured(accuracy, "track_gradient_error", broken) == 1e3
    assert measured(success, "track_share_broken", broken) == 1.0
    assert math.isnan(measured(suite("timing").Times(), "track_gradient_seconds", broken))


def test_code_that_breaks_is_a_failed_benchmark_once(suite, keep):
    crashed = keep(*rows(status="failed", exception=True, message="TypeError: oops", error=None))
    with pytest.raises(RuntimeError, match="oops"):
        suite("stability").Success().setup(crashed, *WHERE)
    assert measured(suite("stability").Stability(), "track_share_wrong_or_broken", crashed) == 1.0


def test_ok_and_wrong_is_a_success_that_is_not_right(suite, keep):
    wrong = keep(*rows(error=28.0))
    assert measured(suite("stability").Success(), "track_share_broken", wrong) == 0.0
    assert measured(suite("stability").Stability(), "track_share_wrong_or_broken", wrong) == 1.0


def test_what_a_method_refuses_is_skipped_with_its_reason(suite, keep):
    refused = keep(*rows(status="skipped", message="only explicit solvers"))
    with pytest.raises(NotImplementedError, match="only explicit solvers"):
        suite("timing").Times().setup(refused, *WHERE)


def test_what_was_not_asked_for_is_skipped(suite, keep):
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_PROBLEMS"):
        suite("timing").Times().setup(keep(), "lorenz", *WHERE[1:])
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_METHODS"):
        suite("timing").Times().setup(keep(), WHERE[0], "torchode-backsolve", "cpu")


def test_without_a_reference_there_is_no_error_to_track(suite, keep):
    unknown = keep(*rows(referenced=False, error=None))
    with pytest.raises(NotImplementedError, match="no certified reference"):
        suite("accuracy").Accuracy().setup(unknown, *WHERE)
    assert measured(suite("timing").Times(), "track_gradient_seconds", unknown) == 1e-3


def test_speed_at_equal_error(suite, keep):
    benchmark = suite("equal_error").EqualError()
    peer = "diffrax-recursive-checkpoint"
    file = keep(*rows(), *rows(peer, seconds=0.01))
    benchmark.setup(file, peer, 1e-5)
    assert benchmark.track_time_over_peer(file, peer, 1e-5) == pytest.approx(0.1)


def test_a_neural_ode_is_found_by_the_name_that_its_row_has(suite, keep):
    name = problem_name(get_problem(neural.PROBLEM))
    about = {"study": "neural", "rtol": 1e-4, "status": "ok", "seconds": 2.0}
    benchmark = suite("equal_error").NeuralOde()
    benchmark.setup(keep(Row(problem=name, method="jax-discrete", **about)), "jax-discrete")
    assert benchmark.track_gradient_seconds(None, "jax-discrete") == 2.0


def test_the_benchmark_that_the_documentation_adds(suite, keep):
    text = (Path(__file__).parents[3] / "docs" / "asv.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```text\n(class .*?)```", text, re.S)
    names = {"_Ladder": suite("_ladder")._Ladder}
    exec(code, names)
    file = keep(*rows(linear_solves=7))
    assert measured(names["Work"](), "track_linear_solves", file) == 7


def test_rows_lie_beside_the_results_of_asv(suite, tmp_path, monkeypatch):
    (tmp_path / "asv.conf.json").write_text('{"results_dir": "elsewhere/results"}')
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path))
    assert suite("_ladder")._results_folder() == tmp_path / "elsewhere/results"
