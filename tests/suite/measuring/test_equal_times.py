"""Who is the fastest, and who as fast."""

import pytest

from adjointbench.suite.measuring.equal_times import NOISE, outcome, rank, rank_at_error
from adjointbench.suite.measuring.row import Row


def test_the_fastest_comes_first_and_who_did_not_get_there_is_left_out():
    found = rank({"slow": 3.0, "never": None, "fast": 1.0})
    assert found.seconds == {"fast": 1.0, "slow": 3.0}
    assert (found.fastest, found.best, len(found)) == ("fast", 1.0, 2)
    assert list(found.seconds) == ["fast", "slow"]


def test_who_is_within_the_noise_ties():
    found = rank({"a": 1.0, "b": NOISE, "c": NOISE * 1.01, "d": NOISE * 1.1})
    assert found.tied == ("a", "b")
    assert found.as_fast_as("b") == ("a", "c", "d")


def test_equal_times_keep_their_order():
    assert rank({"b": 1.0, "a": 1.0}).tied == ("b", "a")


def test_a_race_without_some_is_the_same_race():
    found = rank({"a": 1.0, "b": 2.0, "c": 2.1}).among(("c", "b", "x"))
    assert (found.fastest, found.tied) == ("b", ("b", "c"))


def test_a_race_of_none_has_no_winner():
    found = rank({"a": None})
    assert (len(found), found.tied) == (0, ())
    with pytest.raises(ValueError, match="nobody got there"):
        found.fastest  # noqa: B018


def test_times_are_compared_at_equal_error_and_not_at_equal_tolerance():
    def ladder(factor, seconds):
        return [
            Row(problem="p", method="m", rtol=r, status="ok", error=factor * r, seconds=seconds * s)
            for r, s in ((1e-3, 1), (1e-6, 10))
        ]

    ladders = {"sloppy": ladder(100, 0.5), "exact": ladder(1, 1.0), "off": ladder(1e9, 0.1)}
    found = rank_at_error(ladders, 1e-3)
    assert found.fastest == "exact"
    assert list(found.seconds) == ["exact", "sloppy"]


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1.21, "won"), (1.19, "equal"), (1.0, "equal"), (0.84, "equal"), (0.83, "lost")],
)
def test_a_race_of_two(ratio, expected):
    assert outcome(ratio) == expected
