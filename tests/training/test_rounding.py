"""How much of an error estimate is rounding: measured, warned about, and where it is not."""

import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import solve
from adjointbench.training import run_settings, train
from adjointbench.training.loss_gradient import LossGradient
from adjointbench.training.rounding import rounding_of, warning_of


def prepared(task, **options):
    settings = run_settings(task, **options)
    preset = settings.preset
    return LossGradient(preset.task(seed=0, dtype=preset.dtype), settings)


def solved(loss_gradient):
    """The first batch, as the float32 solver takes it."""
    problem, preset = loss_gradient.task.problem, loss_gradient.settings.preset
    p = {**problem.params, **problem.constants}
    return solve(
        problem.rhs,
        problem.y0,
        problem.save_at.astype(problem.dtype),
        {name: jnp.asarray(value) for name, value in p.items()},
        rtol=preset.rtol,
        atol=preset.atol,
        max_steps=256,
        error_norm="scaled",
        reduction="mean",
    )


@pytest.mark.parametrize(
    ("task", "low", "high"), [("mnist-published", 0.95, 1.0), ("mnist", 0.05, 0.3)]
)
def test_the_published_tolerance_is_below_rounding_and_the_preset_for_float32_is_not(
    task, low, high
):
    loss_gradient = prepared(task)
    solution = solved(loss_gradient)
    accepted = np.asarray(solution.steps[0])[: int(solution.stats["steps"])]
    share = rounding_of(loss_gradient, loss_gradient.task.problem.params, accepted)
    assert low < share <= high
    warning = warning_of(loss_gradient.settings.preset, share)
    assert bool(warning) == (task == "mnist-published")
    if warning:
        assert "at rtol=1.4e-08 100% of the solver's error estimate is rounding" in warning
        assert "--rtol 1e-05" in warning
        assert "train in float64" in warning


def test_in_float64_rounding_is_as_much_smaller_as_its_numbers_are_finer():
    steps = np.linspace(0.0, 1.0, 4, endpoint=False)
    coarse = prepared("digits", rtol=1e-6)
    finer = float(np.finfo("float64").eps / np.finfo("float32").eps)
    fine = prepared("digits-float64", rtol=1e-6 * finer)
    # The same steps: the same true error, and a rounding by the ratio smaller.
    params = coarse.task.problem.params
    ours, theirs = (rounding_of(g, params, steps) for g in (coarse, fine))
    odds = ours / np.sqrt(1 - ours**2), theirs / np.sqrt(1 - theirs**2)
    assert odds[1] == pytest.approx(odds[0] * finer, rel=0.02)
    published = prepared("digits-float64")
    assert rounding_of(published, params, steps) is None
    assert warning_of(published.settings.preset, None) == ""


def test_a_training_warns_once(tmp_path):
    said = []
    options = {"rtol": 1.4e-8, "epochs": 2, "batch": 8, "samples": 16, "tell": said.append}
    rows = train("two_spirals", **options).rows
    assert all(row["rounding"] > 0.5 for row in rows)
    assert [line.partition(":")[0] for line in said if "rounding" in line] == ["epoch 0"]
