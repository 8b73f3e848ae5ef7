"""A training tells how far its gradient is off, with no reference and no more than it knows."""

import dataclasses
import math

import pytest

import adjointbench as ab
from adjointbench.suite.measuring.errors import gradient_errors
from adjointbench.training import PRESETS, gradient_error, presets, train
from adjointbench.training.gradient_error import GradientError
from adjointbench.training.tasks import two_spirals

SMALL = {"batch": 8, "samples": 16, "gradient_error": True}
ON_TORCH = {"backend": "torch", "adjoint": "tape"}


@pytest.fixture(autouse=True)
def loose(monkeypatch):
    """The two spirals in float64, at a tolerance that shows."""
    preset = dataclasses.replace(
        PRESETS["two_spirals"], dtype="float64", rtol=1e-3, atol=1e-3, max_steps=64
    )
    monkeypatch.setitem(presets.PRESETS, "two_spirals", preset)


@pytest.fixture(scope="module")
def true_error():
    """Of the untrained network at that tolerance, which is the same by every discrete adjoint."""
    problem = two_spirals(dtype="float64", batch=8, samples=16).problem
    own, true = (
        ab.gradient(problem, "torch-tape", rtol=rtol, atol=rtol).dparams for rtol in (1e-3, 1e-10)
    )
    return gradient_errors(own, true, problem.params)["error"]


@pytest.mark.parametrize(
    "how",
    [{}, ON_TORCH, {**ON_TORCH, "regularizer": "error", "coefficient": [1.0]}],
    ids=["jax", "torch", "with a regulariser"],
)
def test_the_estimate_of_an_untrained_network_is_its_error(true_error, how):
    first, second = train("two_spirals", epochs=1, **SMALL, **how).rows
    assert 0.5 < first["gradient_error"] / true_error < 2.0
    assert not first["gradient_doubt"]
    assert second["gradient_error"] is None  # two steps an epoch: not due for another 49


def test_a_gradient_that_is_off_is_warned_about_once_with_the_tolerance_to_take(monkeypatch):
    monkeypatch.setattr(GradientError, "due", lambda watch, epoch: True)
    monkeypatch.setattr(gradient_error, "INACCURATE", 1e-5)  # so small a network is never 10 % off
    said = []
    rows = train("two_spirals", epochs=2, rtol=3.0, tell=said.append, **SMALL, **ON_TORCH).rows
    assert all(row["gradient_error"] > 1e-5 for row in rows)
    (warning,) = [sentence for sentence in said if "of its size" in sentence]
    assert warning.startswith("epoch 0: ")
    assert "--rtol 3e-01" in warning


def test_a_gradient_that_breaks_down_has_no_estimate_and_says_why(monkeypatch):
    monkeypatch.setitem(
        presets.PRESETS,
        "two_spirals",
        dataclasses.replace(presets.PRESETS["two_spirals"], max_steps=1),
    )
    said = []
    row = train("two_spirals", epochs=1, tell=said.append, **SMALL, **ON_TORCH).rows[0]
    assert any("cannot be told; the solver took max_steps" in sentence for sentence in said)
    assert math.isnan(row["gradient_error"])
    assert "max_steps" in row["gradient_doubt"]
