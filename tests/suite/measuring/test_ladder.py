import math

import pytest
from synthetic import broken, measured, row

from adjointbench.suite.measuring.ladder import (
    amplification,
    observed_order,
    seconds_at_error,
    share_right,
    typical_rtol,
)
from adjointbench.suite.measuring.measure import LADDER


def ladder(method="jax-gauss", **changes):
    return [row("lotka_volterra", method, rtol, **changes) for rtol in LADDER]


def test_order_is_the_slope_of_the_error():
    assert observed_order(measured(ladder())) == pytest.approx(0.9)


def test_order_ignores_rounding_and_breakdown():
    rows = ladder("jax-discrete")
    rows[0] |= broken("max_steps", "too many")
    rows[-1] |= {"error": 1e-15}
    assert observed_order(measured(rows)) == pytest.approx(1.0)


def test_order_needs_two_points():
    assert observed_order(measured(ladder()[:1])) is None


def test_share_counts_what_is_ok_and_right():
    rows = ladder()
    rows[0] |= broken("nonfinite", "NaN")
    rows[1] |= {"error": 0.1}
    rows[2] |= {"error": None}
    assert share_right(measured(rows)) == 5 / 8


def test_typical_tolerance_is_the_nearest_to_1e_6():
    assert typical_rtol(LADDER) == 1e-6
    assert typical_rtol((1e-3, 1e-5, 1e-9)) == 1e-5


def test_amplification_is_gradient_error_over_loss_error():
    assert amplification(measured(ladder())) == pytest.approx(10.0)
    assert amplification(measured(ladder(loss_error=None))) is None


def test_seconds_at_an_error_are_interpolated():
    rows = ladder("jax-discrete")
    # error = 3 rtol and seconds = 2e-4 (1e-6 / rtol) ** 0.2, straight lines in logarithms.
    assert seconds_at_error(measured(rows), 3e-7) == pytest.approx(2e-4 * 10**0.2)
    assert seconds_at_error(measured(rows), 3e-6 / math.sqrt(10)) == pytest.approx(2e-4 * 10**0.1)


def test_seconds_outside_of_what_was_measured():
    rows = ladder("jax-discrete")
    assert seconds_at_error(measured(rows), 1e-12) is None
    assert seconds_at_error(measured(rows), 0.5) == rows[0]["seconds"]


def test_seconds_pass_over_a_tolerance_that_broke_down():
    rows = ladder("jax-discrete")
    rows[3] |= broken("max_steps", "too many")
    assert seconds_at_error(measured(rows), 3e-6) == pytest.approx(2e-4)
