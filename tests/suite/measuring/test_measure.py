import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import adjointbench as ab
from adjointbench.adjoints.result import Stats
from adjointbench.suite.measuring.errors import Errors
from adjointbench.suite.measuring.frozen_steps import (
    extrapolated_derivative,
    frozen_step_error,
    regularized_step_error,
)
from adjointbench.suite.measuring.ladder import observed_order
from adjointbench.suite.measuring.measure import (
    measure_ladder,
    processor_time,
)
from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.timing import Times, time_run, timed_gradient, timed_primal


def test_errors_of_a_ladder_fall_with_the_tolerance():
    problem = ab.problems.get("linear")
    rows = measure_ladder(problem, "jax-discrete", (1e-3, 1e-5, 1e-7), budget_s=0.02)
    assert [row.status for row in rows] == ["ok"] * 3
    assert 0.5 < observed_order(rows) < 1.5
    for row in rows:
        assert row.atol == pytest.approx(row.rtol * 1e-3)
        assert row.seconds_low <= row.seconds <= row.seconds_high
        assert row.steps > 0
        assert row.solver == "tsit5"
        assert row.referenced


def test_what_a_method_refuses_is_a_skipped_row_with_its_sentence():
    problem = ab.problems.get("stiff_neural_ode")
    rows = measure_ladder(problem, "complex-step", (1e-3, 1e-5))
    assert [row.status for row in rows] == ["skipped"] * 2
    assert "analytic" in rows[0].message


@pytest.mark.parametrize("name", ["falling_time", "lag_time", "chemical_equilibrium"])
def test_what_only_eager_loops_of_pytorch_meet_is_not_compiled(name):
    problem = ab.problems.get(name)
    (row,) = measure_ladder(problem, "torch-discrete", (1e-6,), budget_s=0.01, primal=False)
    assert (row.status, row.message) == ("ok", "")
    assert row.error < 1e-3


def test_a_breakdown_is_a_row_with_its_status():
    pole = ab.Problem(
        name="pole",
        rhs=lambda t, y, p: p["k"] * y**2,
        y0=np.array([1.0]),
        params={"k": np.array([1.0])},
        t_span=(0.0, 2.0),
        save_at=np.array([2.0]),
        loss=lambda ys, p: ys[-1, 0],
    )
    (row,) = measure_ladder(pole, "jax-discrete", (1e-6,))
    assert row.status in ("max_steps", "step_too_small", "nonfinite")
    assert row.message
    assert row.loss is None
    assert row.seconds is None
    assert not row.referenced


def test_an_exception_is_a_row(monkeypatch):
    problem = ab.problems.get("linear")

    def explode(*arguments, **options):
        raise MemoryError("too large")

    monkeypatch.setattr("adjointbench.suite.measuring.measure.prepare", explode)
    (row,) = measure_ladder(problem, "jax-discrete", (1e-3,))
    assert (row.status, row.phase, row.exception) == ("failed", "prepare", True)
    assert row.message == "MemoryError: too large"


def test_a_row_has_all_that_a_method_tells():
    columns = {field.name for field in dataclasses.fields(Row)}
    assert {field.name for field in dataclasses.fields(Stats)} <= columns
    assert {*Errors.__annotations__, *Times.__annotations__} <= columns


def test_times_are_medians_of_calls_in_turn():
    run = ab.prepare(ab.problems.get("linear"), "finite-difference")
    times = time_run(run, budget_s=0.05)
    assert times["calls"] >= 3
    assert times["ratio"] > 2
    assert "ratio" not in time_run(run, budget_s=0.01, primal=False)


def test_the_trap_is_wrong_about_the_solution_and_right_about_its_steps():
    trap = ab.problems.get("adaptive_ad_trap")
    (row,) = measure_ladder(trap, "jax-discrete", (1e-6,), budget_s=0.01)
    assert row.status == "ok"
    assert row.error > 1
    assert frozen_step_error(trap, "jax-discrete") < 1e-9


def test_a_continuous_adjoint_is_not_the_derivative_of_the_steps():
    problem = ab.problems.get("lotka_volterra")
    discrete = frozen_step_error(problem, "jax-discrete", rtol=1e-4, atol=1e-7)
    continuous = frozen_step_error(problem, "jax-backsolve", rtol=1e-4, atol=1e-7)
    assert discrete < 1e-9
    assert 1e-6 < continuous < 1e-1


def test_extrapolated_differences_are_near_rounding():
    assert extrapolated_derivative(lambda e: np.exp(3 * e)) == pytest.approx(3.0, rel=1e-12)


def test_what_is_not_native_is_compiled_unless_its_name_says_otherwise(monkeypatch):
    asked = []

    def prepare(problem, method, **options):
        asked.append(options.get("compile"))
        return ab.prepare(problem, method, **options | {"compile": False})

    monkeypatch.setattr("adjointbench.suite.measuring.measure.prepare", prepare)
    problem = ab.problems.get("linear")
    eager = {
        "torch-discrete(engine=torch)": "torch",
        "torch-discrete(engine=torch, compile=False)": "torch",
    }
    told = {"torch-discrete": "native", **eager, "torchdiffeq-backprop": None}
    for method, engine in told.items():
        (row,) = measure_ladder(problem, method, (1e-3,), budget_s=0.01)
        assert (row.status, row.engine) == ("ok", engine)
    assert asked == [None, None, True, False, None]


@pytest.mark.parametrize("method", ["torch-discrete", "torchode-autodiff", "torch-blackbox"])
def test_calls_on_tensors_are_timed_and_give_what_the_run_gives(method):
    problem = ab.problems.get("linear")
    run = ab.prepare(problem, method, rtol=1e-4)
    assert timed_gradient(run)(0) > 0
    assert timed_primal(run)(0) > 0
    times = time_run(run, budget_s=0.01)
    assert times["ratio"] > 1
    torch = pytest.importorskip("torch")
    params = {name: torch.as_tensor(value) for name, value in problem.params.items()}
    loss, dparams, dy0 = run.compiled(params, torch.as_tensor(problem.y0))
    result = run()
    assert float(loss) == pytest.approx(result.loss)
    np.testing.assert_allclose(dy0.detach().numpy(), result.dy0)
    for name, value in result.dparams.items():
        np.testing.assert_allclose(dparams[name].detach().numpy(), value)


def test_processor_time_of_compilers_that_run_beside_counts():
    before = processor_time()
    code = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert processor_time() - before >= 0.3


@pytest.mark.parametrize("regularizer", ["error", "stiffness"])
def test_a_regularized_gradient_is_that_of_the_frozen_steps(regularizer):
    problem = ab.problems.get("lotka_volterra")
    options = {"regularizer": regularizer, "coefficient": 0.5, "rtol": 1e-4, "atol": 1e-7}
    for method in ("jax-discrete", "torch-discrete"):
        assert regularized_step_error(problem, method, **options) < 1e-7
    # It knows nothing of the steps, and misses all that the regulariser adds.
    assert regularized_step_error(problem, "jax-interpolating", **options) > 1e-2
