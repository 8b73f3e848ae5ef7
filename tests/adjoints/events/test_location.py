"""Where on a step an event is found, on values that are given by formulas."""

import numpy as np
import pytest

from adjointbench.adjoints.events.location import armed, bracketed, located

TOLERANCE = 1e-8


class Formulas:
    """Values of events along a step, as polynomials of the fraction."""

    def __init__(self, *polynomials):
        self.polynomials = [np.polynomial.Polynomial(p) for p in polynomials]

    def with_slopes(self, fractions):
        at = np.asarray(fractions)
        slopes = [p.deriv()(at) + 0 * at for p in self.polynomials]
        return np.stack([p(at) for p in self.polynomials], 1), np.stack(slopes, 1)

    def values(self, fractions):
        return np.stack([p(fractions[:, i]) for i, p in enumerate(self.polynomials)], 1)

    def spreads(self, fractions):
        return np.full(fractions.shape, TOLERANCE)


def repeat(times, turn, carry):
    for _ in range(times):
        carry = turn(carry)
    return carry


def found(path, signs, directions):
    bracket = bracketed(path, np.array(signs, float), np.array(directions, float), 1e-13)
    return located(path, bracket, 1e-13, repeat)


def turning(at, depth):
    """``(x - at)^2 - depth``."""
    return [at**2 - depth, -2 * at, 1.0]


@pytest.mark.parametrize("root", [0.01, 0.25, 0.3, 1.0])
def test_a_crossing_is_found_to_rounding(root):
    event = found(Formulas([-root, 1.0]), [-1], [0])
    assert event.happens
    assert not event.undefined
    assert event.fraction == pytest.approx(root, abs=1e-14)


def test_a_value_that_is_zero_to_rounding_at_the_end_has_crossed():
    event = found(Formulas([-1 - 1e-15, 1.0]), [-1], [0])
    assert event.happens
    assert event.fraction == 1.0
    assert not found(Formulas([1e-15, 1.0]), [1], [0]).happens


def test_only_its_direction_counts_and_the_sign_goes_on():
    event = found(Formulas([-0.3, 1.0]), [-1], [-1])
    assert not event.happens
    assert event.signs == [1]


def test_two_crossings_between_two_looks_are_found():
    at, depth = 0.31, 1e-4
    event = found(Formulas(turning(at, depth)), [1], [-1])
    assert event.fraction == pytest.approx(at - np.sqrt(depth), abs=1e-13)
    assert not event.undefined
    rising = found(Formulas(turning(at, depth)), [1], [1])
    assert rising.fraction == pytest.approx(at + np.sqrt(depth), abs=1e-13)


@pytest.mark.parametrize("depth", [TOLERANCE / 2, 0.0, -TOLERANCE / 2])
def test_what_touches_zero_within_the_tolerance_is_undefined(depth):
    assert found(Formulas(turning(0.31, depth)), [1], [-1]).undefined


@pytest.mark.parametrize("depth", [-3 * TOLERANCE, -1e-3])
def test_what_stays_away_by_more_is_none(depth):
    event = found(Formulas(turning(0.31, depth)), [1], [0])
    assert not event.happens
    assert not event.undefined


def test_the_first_of_two_counts_and_two_at_one_time_are_undefined():
    event = found(Formulas([-0.3, 1.0], [-0.4, 2.0]), [-1, -1], [0, 0])
    assert (event.which, event.fraction) == (1, pytest.approx(0.2))
    assert not event.undefined
    assert found(Formulas([-0.3, 1.0], [-0.6, 2.0]), [-1, -1], [0, 0]).undefined


def test_a_touch_behind_the_first_event_does_not_count():
    event = found(Formulas([-0.1, 1.0], turning(0.7, 0.0)), [-1, 1], [0, 0])
    assert (event.which, bool(event.undefined)) == (0, False)


def test_a_value_of_zero_has_the_sign_to_which_it_moves():
    values, slopes = np.array([1e-17, -1e-17, 0.5, -0.5]), np.array([-1.0, 1.0, -1.0, 1.0])
    np.testing.assert_array_equal(armed(values, slopes, 1e-12), [-1, 1, 1, -1])
