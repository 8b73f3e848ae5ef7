"""The study of stochastic equations: what is chosen, the truth, and rows."""

from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("jax")

from adjointbench.suite.measuring.studies import sde, sde_given_path, sde_task, sde_truth, sde_ways
from adjointbench.suite.measuring.studies.sde_task import SdeTask
from adjointbench.suite.selection import selection

SMALL = "ornstein_uhlenbeck(paths=32)"


def test_methods_have_their_steps_or_tolerances_in_their_names():
    for _, way in sde.selected(quick=False):
        for size in sde.sizes_of(way, quick=False):
            assert sde.way_of(sde.method_of(way, size)) == way
    assert {"tol": 1e-2} in sde.sizes_of("jax-discrete(solver=sriw1)", quick=True)
    assert all(
        "step" in size for size in sde.sizes_of("torchsde-adjoint(solver=milstein)", quick=True)
    )


def test_the_closed_form_agrees_with_a_coarser_grid_of_its_path(monkeypatch):
    monkeypatch.setattr(sde_truth, "GRID", 2**8)
    truth = sde_truth.truth_of.__wrapped__(SMALL)
    # The error of the grid is h^2, and a hundredth of it for parameters of order one.
    assert 0 < truth.agreement < 2.0**-14
    assert truth.dparams["mean"].shape == (32, 1)


def test_where_there_is_no_closed_form_two_solvers_agree(monkeypatch):
    monkeypatch.setattr(sde_truth, "FINE", 2.0**-6)
    truth = sde_truth.truth_of.__wrapped__("stochastic_linear(paths=2)")
    assert 0 < truth.agreement < 1e-2
    assert truth.params["matrix"].shape == (2, 2, 2)


def test_rows_have_errors_times_and_bytes(monkeypatch):
    monkeypatch.setattr(sde, "QUICK_STEPS", (2.0**-5,))
    monkeypatch.setattr(sde, "QUICK_TOLERANCES", (1e-2,))
    monkeypatch.setattr(sde_truth, "GRID", 2**8)
    task = SdeTask(problem=SMALL, method="jax-discrete(solver=sra1)", budget_s=1e-3, quick=True)
    rows = list(task.rows(nullcontext))
    assert [(row.status, row.rtol) for row in rows] == [("ok", 0.0), ("ok", 1e-2)]
    by_step, by_tolerance = rows
    assert (by_step.steps, by_step.rejected) == (32, 0)
    # Of order two in the step where drift and noise are both linear.
    assert by_step.error < 2.0**-10
    assert by_step.solution_error < 2.0**-10
    assert by_tolerance.error < 0.1
    assert all(row.seconds > 0 and row.saved_bytes > 0 for row in rows)
    assert list(task.unmeasured(rows, "timeout", "late")) == []
    (missing,) = task.unmeasured(rows[:1], "timeout", "late")
    assert (missing.method, missing.status) == (by_tolerance.method, "timeout")


@pytest.mark.parametrize(
    ("way", "sizes"),
    [
        ("diffrax-backsolve(solver=heun, {})", ("step=0.125", "step=0.0625")),
        ("diffrax-recursive-checkpoint(solver=spark, {})", ("tol=0.01", "tol=0.001")),
        ("jax-discrete(solver=sriw1, {})", ("step=0.125", "step=0.0625")),
    ],
)
def test_errors_of_all_sizes_are_of_one_program_and_those_of_a_program_for_each(way, sizes):
    library, _, rest = way.partition("-")
    pytest.importorskip(library)
    import jax

    problem = sde_truth.get_sde("geometric_brownian_motion(paths=2)")
    params = sde_truth.parameters_a_path(problem)
    sde_given_path.on_given_path.cache_clear()
    shared = [sde_ways.way(problem, way.format(size)) for size in sizes]
    found = [each.on_given_path(params, problem.y0, sde_truth.NUMBER) for each in shared]
    program = shared[0]._on_given.func
    assert shared[1]._on_given.func is program
    assert program._cache_size() == 1
    assert found[0].steps < found[1].steps
    kind, _, size = sizes[1].partition("=")
    adjoint, _, solver = rest.removesuffix(", {})").partition("(solver=")
    most = sde_ways.max_steps_of(problem, float(size) if kind == "step" else None)
    for_size = sde_given_path.on_given_path(library, problem, adjoint, solver, kind, most)
    with jax.enable_x64(True):
        # The size is known while it is compiled, as in a program of a user.
        apart = jax.jit(lambda *rest: for_size.__wrapped__(float(size), *rest))
        (dparams, dy0), report = apart(params, problem.y0, sde_truth.NUMBER)
    for name, value in dparams.items():
        np.testing.assert_allclose(found[1].dparams[name], value, rtol=1e-11)
    np.testing.assert_allclose(found[1].dy0, dy0, rtol=1e-11)
    assert found[1].steps == report["steps"]
    assert found[1].rejected == report["rejected"]


def test_what_is_refused_or_breaks_is_a_row(monkeypatch):
    task = SdeTask(problem=sde.PROBLEMS[0], method="diffrax-backsolve(solver=spark)", budget_s=0.1)
    (row,) = task.rows(nullcontext)
    assert row.status == "skipped"
    assert "pass solver='heun'" in row.message

    class Broken:
        def on_given_path(self, params, y0, number):
            nothing = {name: np.full_like(value, np.nan) for name, value in params.items()}
            return sde_ways.Found(nothing, y0, y0[None], 3, 0, self.ok)

    truth = sde_truth.Truth({"mean": np.ones((32, 1))}, {}, np.ones((32, 1)), np.ones((32, 1)), 0.0)
    row = SdeTask(problem=SMALL, method="jax-discrete(solver=sra1)", budget_s=0.1)._row("ok", {})
    for ok, status in ((False, "max_steps"), (True, "nonfinite")):
        Broken.ok = ok
        assert sde_task.with_errors(row, Broken(), truth).status == status


def test_the_study_is_chosen_where_nothing_else_is_named(monkeypatch):
    for name in ("PROBLEMS", "METHODS", "SDE"):
        monkeypatch.delenv(f"ADJOINTBENCH_{name}", raising=False)
    monkeypatch.setenv("ADJOINTBENCH_QUICK", "1")
    assert selection().stochastic == sde.selected(quick=True)
    tasks = [task for task in selection().jobs() if isinstance(task, SdeTask)]
    assert [(task.problem, task.method) for task in tasks] == list(sde.selected(quick=True))
    monkeypatch.setenv("ADJOINTBENCH_METHODS", "jax-discrete")
    assert selection().stochastic == ()
    monkeypatch.setenv("ADJOINTBENCH_SDE", "1")
    assert selection().stochastic == sde.selected(quick=True)
