import pytest
from synthetic import measured, row

import adjointbench as ab
from adjointbench.suite.measuring.error_bars import (
    effectivity,
    error_bar,
    honesty,
    may_tell_its_error,
    shares,
)
from adjointbench.suite.measuring.measure import measure_ladder

OK, INACCURATE = "ok", "inaccurate"


def estimated(error, estimate, status, **changes):
    bar = {"error": error, "dy0_error": error, "estimated_error": estimate}
    return row("pendulum", "jax-discrete", 1e-6, **bar, error_bar_status=status, **changes)


def test_a_row_holds_the_estimate_beside_the_true_error_and_the_plain_status():
    trap = ab.problems.get("adaptive_ad_trap")
    (row,) = measure_ladder(
        trap, "torch-discrete(compile=False)", (1e-3,), budget_s=0.01, also=error_bar
    )
    assert (row.status, row.error_bar_status) == (OK, INACCURATE)
    assert row.error == pytest.approx(29, rel=0.1)
    assert row.estimated_error == pytest.approx(11, rel=0.1)
    assert row.error_reliable is False
    assert row.estimated_by == "halved steps"
    assert row.seconds > 0


def test_what_has_no_error_bar_says_nothing_and_what_breaks_leaves_the_row_as_it_is(monkeypatch):
    run = ab.prepare(
        ab.problems.get("linear"), "torch-discrete", regularizer="error", coefficient=0.1
    )
    assert error_bar(run) == {}

    def explode(run):
        raise MemoryError("too large")

    monkeypatch.setattr("adjointbench.suite.measuring.error_bars.with_error_bar", explode)
    told = {"error_bar_status": "failed", "estimated_by": "MemoryError: too large"}
    assert error_bar(run) == told


def test_effectivity_is_the_estimate_over_a_true_error_that_is_known():
    agreement = {"agreement": 1e-9}
    one, certain, rounding = measured(
        [
            estimated(1e-4, 2e-4, OK, **agreement),
            estimated(9e-9, 1e-8, OK, **agreement),
            estimated(1e-13, 1e-13, OK),
        ]
    )
    assert effectivity(one) == pytest.approx(2.0)
    assert effectivity(certain) is None
    assert effectivity(rounding) is None


def test_ok_and_wrong_is_counted_without_error_bars_and_with_them():
    lie, told, alarm, right = measured(
        [
            estimated(0.5, 0.01, OK),
            estimated(0.5, 0.6, INACCURATE),
            estimated(0.02, 0.2, INACCURATE),
            estimated(0.02, 0.02, OK),
        ]
    )
    (not_asked,) = measured([row("pendulum", "jax-discrete", 1e-6, error=0.5)])
    found = honesty([lie, told, alarm, right, not_asked])
    assert found.gradients == 4
    assert found.before == (lie, told)
    assert found.after == (lie,)
    assert found.alarms == (alarm,)


def test_an_alarm_is_not_false_where_the_gradient_of_the_start_value_is_off():
    (row,) = measured([estimated(0.02, 0.02, INACCURATE) | {"dy0_error": 0.5}])
    assert honesty([row]).alarms == ()


def test_shares_are_of_estimates_of_true_errors_below_0_3():
    ratios = (1.0, 0.4, 3.5, 1 / 1.9)
    rows = measured([estimated(1e-3, 1e-3 * ratio, OK) for ratio in ratios])
    rows += measured([estimated(0.5, 50.0, INACCURATE)])
    found = shares(rows)
    assert (found.number, found.close, found.near) == (4, 0.5, 0.75)
    assert shares(rows[-1:]) is None


def test_ladders_ask_our_adjoints_and_neither_peers_nor_differences():
    assert may_tell_its_error("jax-gauss")
    assert may_tell_its_error("torch-discrete(compile=False)")
    assert not may_tell_its_error("finite-difference")
    assert not may_tell_its_error("diffrax-backsolve")
