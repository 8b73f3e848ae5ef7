import math

import numpy as np
import pytest

from adjointbench.suite.measuring.errors import gradient_errors, log10_error, relative_error


def test_error_is_that_of_the_log_parameter_gradient():
    params = {"fast": np.array([1e6]), "slow": np.array([1e-3, 2e-3])}
    reference = {"fast": np.array([2e-6]), "slow": np.array([3e3, 4e3])}
    gradient = {"fast": np.array([2e-6]), "slow": np.array([3e3, 4.4e3])}
    errors = gradient_errors(gradient, reference, params)
    # p g* = (2, 3, 8), and the last is off by 0.8.
    assert errors["error"] == pytest.approx(0.8 / math.sqrt(4 + 9 + 64))
    assert errors["largest_component_error"] == pytest.approx(0.1)
    assert errors["cosine"] == pytest.approx((4 + 9 + 8 * 8.8) / math.sqrt(77 * (13 + 8.8**2)))


def test_parameters_that_are_all_zero_are_not_divided_by():
    zero, one = {"b": np.zeros(2)}, {"b": np.ones(2)}
    errors = gradient_errors({"b": np.array([1.0, 2.0])}, one, zero)
    assert errors["error"] == pytest.approx(1 / math.sqrt(2))


def test_right_gradient_of_zero_has_no_error():
    zero = {"b": np.zeros(2)}
    assert gradient_errors(zero, zero, {"b": np.ones(2)}) == {
        "error": 0.0,
        "largest_component_error": 0.0,
        "cosine": 1.0,
    }


def test_error_against_zero_is_absolute():
    assert relative_error(np.array([0.25]), np.array([0.0])) == 0.25


@pytest.mark.parametrize(
    ("error", "expected"),
    [(1e-5, -5.0), (0.0, -17.0), (math.inf, 3.0), (math.nan, 3.0), (None, 3.0), (1e9, 3.0)],
)
def test_log10_error_is_always_finite(error, expected):
    assert log10_error(error) == pytest.approx(expected)


def test_a_gradient_that_nearly_overflows_has_an_error():
    huge = {"k": np.array([1e296, -1e290])}
    errors = gradient_errors(huge, {"k": np.array([1.0, 2.0])}, {"k": np.array([1e3, 1e7])})
    assert errors["error"] == 1e150
    assert errors["largest_component_error"] == pytest.approx(1e296)
    assert abs(errors["cosine"]) <= 1


def test_an_error_in_float32_is_no_overflow():
    value, reference = np.ones(2, np.float32), np.full(2, 2.0, np.float32)
    with np.errstate(all="raise"):
        assert relative_error(value, reference) == pytest.approx(0.5)
    assert np.isnan(relative_error(value * np.nan, reference))
