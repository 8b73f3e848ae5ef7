"""Races against the peers, from made-up rows of which the winner is known."""

import pytest
from synthetic import broken, peer_rows, row, write_rows

from adjointbench.reports.tables.ladders import Ladders, name_devices
from adjointbench.reports.tables.races import ANY, OWN, races
from adjointbench.reports.tables.read import read_measurements


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    return read_measurements([write_rows(path, peer_rows())]).rows


def ladders(path, made):
    return Ladders(name_devices(read_measurements([write_rows(path / "rows.jsonl", made)]).rows))


def at(table, problem, peer, error):
    mine = table[table["problem"].eq(problem) & table["peer"].eq(peer) & table["error"].eq(error)]
    (line,) = mine.to_dict("records")
    return line


@pytest.mark.parametrize("error", [1e-3, 1e-5, 1e-7])
def test_a_peer_races_the_fastest_of_any_backend_and_of_its_own(rows, error):
    line = at(races(Ladders(rows)), "lotka_volterra", "torchdiffeq-backprop", error)
    assert line["ours_own"] == "torch-discrete"
    assert line["seconds_own"] == pytest.approx(1e-3 * (1e-6 / error) ** 0.2)
    assert line["seconds_peer"] == pytest.approx(1e-2 * (1e-6 / error) ** 0.2)
    assert line["ratio_own"] == pytest.approx(10.0)
    # Three times the error at equal tolerance, and a fifth of the time.
    assert line["ours_any"] == "jax-discrete"
    assert line["ratio_any"] == pytest.approx(10.0 * 5.0 / 3**0.2)
    assert line["outcome_own"] == line["outcome_any"] == "won"


def test_a_peer_that_is_faster_than_the_slow_ones_of_its_backend_is_raced_against_all(tmp_path):
    scipy = {"method": "cvodes-adjoint", "family": "peers", "backend": "scipy"}
    made = [
        row("linear", "scipy-adjoint", 1e-3, seconds=1e-1, error=1e-5),
        row("linear", "jax-discrete", 1e-3, seconds=1e-3, error=1e-5),
        row("linear", "jax-odeint", 1e-3, seconds=1e-2, error=1e-5) | scipy,
    ]
    line = at(races(ladders(tmp_path, made)), "linear", "cvodes-adjoint", 1e-5)
    assert (line["outcome_own"], line["outcome_any"]) == ("lost", "won")
    assert line["ratio_any"] == pytest.approx(10.0)


def test_a_method_that_may_be_silently_wrong_wins_no_race_for_us(tmp_path):
    made = [
        row("linear", "jax-backsolve", 1e-3, seconds=1e-6, error=1e-5),
        row("linear", "jax-discrete", 1e-3, seconds=1e-3, error=1e-5),
        row("linear", "jax-odeint", 1e-3, seconds=1e-4, error=1e-5),
    ]
    line = at(races(ladders(tmp_path, made)), "linear", "jax-odeint", 1e-5)
    assert (line["ours_any"], line["outcome_any"]) == ("jax-discrete", "lost")


def test_an_error_below_what_the_reference_is_certified_to_is_no_race(tmp_path):
    made = [
        row("lorenz", method, rtol, agreement=2e-6)
        for method in ("jax-discrete", "jax-odeint")
        for rtol in (1e-3, 1e-6, 1e-9)
    ]
    assert sorted(races(ladders(tmp_path, made))["error"]) == [1e-5, 1e-3]
    assert ladders(tmp_path, made).race("lorenz")[0] == 1e-4


def test_who_was_skipped_or_cannot_be_judged_takes_no_part(rows):
    found = races(Ladders(rows))
    assert set(found.loc[found["problem"].eq("pollu"), "peer"]) == {"jax-odeint"}
    assert set(found.loc[found["stiff"], "problem"]) == {"pollu"}
    assert races(Ladders(rows.assign(referenced=False))).empty
    assert races(Ladders(rows[rows["family"].ne("peers")])).empty


@pytest.mark.parametrize(
    ("status", "why"),
    [("timeout", "not done in its time"), ("nonfinite", "broke down"), ("ok", "does not reach it")],
)
def test_why_a_peer_has_no_time_is_one_of_three_things(tmp_path, status, why):
    made = [row("linear", m, r) for m in ("jax-discrete", "jax-odeint") for r in (1e-3, 1e-9)]
    made[-1] |= broken(status, "") if status != "ok" else {"error": 1e-4}
    line = at(races(ladders(tmp_path, made)), "linear", "jax-odeint", 1e-7)
    assert (line["missing"], line["outcome_any"]) == (why, "ours alone")


def test_methods_on_another_device_race_among_themselves(tmp_path):
    pairs = (("torch-discrete", 1e-3), ("torchdiffeq-backprop", 1e-2))
    made = [
        row("linear", method, 1e-3, device=device, seconds=seconds * factor)
        for method, seconds in pairs
        for device, factor in (("cpu", 1.0), ("cuda", 0.1))
    ]
    found = races(ladders(tmp_path, made))
    assert list(found["device"].unique()) == ["cpu", "cuda"]
    for side in (ANY, OWN):
        assert found[f"ratio_{side}"].dropna().tolist() == pytest.approx([10.0, 10.0])
