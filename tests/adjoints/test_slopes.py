"""Slopes from values alone: the error that is told is the one that they have."""

import math

import numpy as np
import pytest

from adjointbench.adjoints.slopes import LEVELS, slope_of

CASES = {
    "exp": (math.exp, 1.0),
    "many periods": (lambda h: math.sin(1e4 * h), 1e4),
    "cubic": (lambda h: 3.0 * h + 1e3 * h**3, 3.0),
    "minimum": (lambda h: 1e3 * h**2, 0.0),
    "large beside": (lambda h: 1e6 + math.exp(h), 1.0),
    "a kink nearby": (lambda h: h + 50.0 * max(h - 1e-3, 0.0), 1.0),
    "curvature that jumps": (lambda h: h + h * abs(h), 1.0),
    "no value far away": (lambda h: math.log(1 + 50 * h) if abs(h) < 0.02 else math.nan, 50.0),
}


@pytest.mark.parametrize("noise", [0.0, 1e-12])
@pytest.mark.parametrize("name", CASES)
def test_the_error_is_known(name, noise):
    function, true = CASES[name]
    rng = np.random.default_rng(0)
    found = slope_of(lambda h: function(h) + noise * rng.uniform(-1, 1), function(0.0))
    slope, kink, evaluations = found
    assert abs(slope.value - true) <= 2 * slope.error + 1e-12 * abs(true)
    assert slope.error <= 1e-4 * max(abs(true), 1.0)
    assert abs(kink.value) <= 2 * kink.error + 1e-12 * abs(true)
    assert evaluations <= 2 * LEVELS


def test_few_evaluations_where_the_function_is_smooth():
    assert slope_of(math.exp, 1.0).evaluations <= 10


def test_a_slope_that_does_not_matter_takes_few_evaluations():
    noise = np.random.default_rng(0)
    found = slope_of(lambda h: 1.0 + 1e-13 * noise.uniform(-1, 1), 1.0, enough=1e-8)
    assert found.evaluations <= 10


@pytest.mark.parametrize(("left", "right"), [(-1.0, 1.0), (0.0, 1.0), (2.0, 2.5)])
def test_a_kink_is_told_beside_the_mean_of_both_sides(left, right):
    def bent(h):
        return (right if h > 0 else left) * h + h**2 + h**3

    slope, kink, _ = slope_of(bent, 0.0)
    assert slope.value == pytest.approx((left + right) / 2, abs=1e-9)
    assert kink.value == pytest.approx(right - left, abs=1e-6)
    assert kink.error < 1e-3


def test_what_cannot_be_known_is_not_claimed():
    # Faster than the shortest step, and nothing but noise.
    fast = slope_of(lambda h: math.sin(1e13 * h), 0.0).slope
    assert not fast.error < 1e-2 * abs(fast.value)
    rng = np.random.default_rng(0)
    lost = slope_of(lambda h: h + rng.uniform(-1, 1), 0.0).slope
    assert abs(lost.value - 1.0) < 10 * lost.error
    assert slope_of(lambda h: math.nan, 0.0).slope.error == math.inf
