import csv
import dataclasses

import pytest
from synthetic import peer_rows, row, write_rows

import adjointbench as ab
from adjointbench.adjoints.methods import METHODS, kinds, method_of
from adjointbench.adjoints.methods import table as methods_module
from adjointbench.adjoints.methods.method import BACKENDS
from adjointbench.reports import build_report
from adjointbench.reports.sections.kinds import kind_lines, uncompiled
from adjointbench.reports.sections.peers import race_lines, races, standings
from adjointbench.reports.tables.ladders import Ladders, name_devices
from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.measuring.machine import PACKAGES, versions


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    return read_measurements([write_rows(path, peer_rows())]).rows


def ladders(path, made):
    """Those of made-up rows."""
    return Ladders(name_devices(read_measurements([write_rows(path / "rows.jsonl", made)]).rows))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_rows(root / "rows.jsonl", peer_rows())
    build_report([root], root / "out", say=pytest.fail)
    return root / "out"


def at(table, problem, peer, error):
    mine = table[table["problem"].eq(problem) & table["peer"].eq(peer) & table["error"].eq(error)]
    (line,) = mine.to_dict("records")
    return line


def cells(table, **where):
    for name, value in where.items():
        table = table[table[name].eq(value)]
    (line,) = table.to_dict("records")
    return line


@pytest.mark.parametrize("error", [1e-3, 1e-5, 1e-7])
def test_a_peer_is_raced_at_equal_error_against_the_fastest_of_its_backend(rows, error):
    line = at(races(Ladders(rows)), "lotka_volterra", "torchdiffeq-backprop", error)
    assert line["ours"] == "torch-discrete"
    assert line["seconds_ours"] == pytest.approx(1e-3 * (1e-6 / error) ** 0.2)
    assert line["seconds_peer"] == pytest.approx(1e-2 * (1e-6 / error) ** 0.2)
    assert line["ratio"] == pytest.approx(10.0)
    assert line["outcome"] == "won"


def test_a_loss_is_a_loss(rows):
    # It needs a tolerance 100 times as tight for the same error, 100 ** 0.2 times the time.
    line = at(races(Ladders(rows)), "lotka_volterra", "torchode-autodiff", 1e-5)
    assert line["ratio"] == pytest.approx(0.2 * 100**0.2)
    assert line["outcome"] == "lost"
    shown = cells(
        race_lines(races(Ladders(rows))), problem="lotka_volterra", peer="torchode-autodiff"
    )
    assert shown["1e-5"] == "lost: torch-discrete 1.99 × slower"


def test_what_is_within_the_noise_of_a_machine_is_equal(rows):
    shown = cells(
        race_lines(races(Ladders(rows))), problem="lotka_volterra", peer="torchode-backsolve"
    )
    assert shown["1e-3"] == "equal: torch-discrete 1.1 × faster"


def test_who_does_not_reach_an_error_is_said(rows):
    shown = cells(
        race_lines(races(Ladders(rows))), problem="lotka_volterra", peer="torchode-backsolve"
    )
    assert shown["1e-7"] == "peer does not reach it; torch-discrete in 1.58 ms"
    shown = cells(race_lines(races(Ladders(rows))), problem="pollu", peer="jax-odeint")
    # Errors of 3e-4 and 3e-5: no more than the first race.
    assert shown["1e-3"].startswith("won: jax-discrete 5 ×")
    assert shown["1e-7"] == "lost: no method here reaches it, the peer in 1.97 ms"
    nobody = rows[rows["problem"].eq("pollu")].assign(error=0.5)
    assert races(Ladders(nobody))["outcome"].unique().tolist() == ["neither reaches"]


def test_who_was_skipped_or_cannot_be_judged_takes_no_part(rows):
    found = races(Ladders(rows))
    assert set(found.loc[found["problem"].eq("pollu"), "peer"]) == {"jax-odeint"}
    assert set(found.loc[found["stiff"], "problem"]) == {"pollu"}
    assert races(Ladders(rows.assign(referenced=False))).empty
    assert races(Ladders(rows[rows["family"].ne("peers")])).empty


def test_methods_on_another_device_race_among_themselves(tmp_path):
    pairs = (("torch-discrete", 1e-3), ("torchdiffeq-backprop", 1e-2))
    made = [
        row("linear", method, 1e-3, device=device, seconds=seconds * factor)
        for method, seconds in pairs
        for device, factor in (("cpu", 1.0), ("cuda", 0.1))
    ]
    found = races(ladders(tmp_path, made))
    assert list(found["device"].unique()) == ["cpu", "cuda"]
    assert found["ratio"].dropna().tolist() == pytest.approx([10.0, 10.0])


def test_standings_count_won_lost_and_equal(rows):
    said = standings(races(Ladders(rows)))
    assert said == [
        "Against jax-odeint: 4 won, 0 lost, 0 equal; its time over ours 5, from 5 to 5; 2 times it "
        "reaches the error where we do not.",
        "Against torchdiffeq-backprop: 3 won, 0 lost, 0 equal; its time over ours 10, from 10 to "
        "10.",
        "Against torchode-autodiff: 0 won, 3 lost, 0 equal; its time over ours 0.502, from 0.502 "
        "to 0.502.",
        "Against torchode-backsolve: 0 won, 0 lost, 1 equal; its time over ours 1.1, from 1.1 to "
        "1.1; 2 times it does not reach the error where we do.",
    ]
    broken = rows[rows["problem"].eq("pollu")].copy()
    broken.loc[broken["family"].eq("peers"), "error"] = 1.0
    assert standings(races(Ladders(broken))) == [
        "Against jax-odeint: no race at equal error; once it does not reach the error where we do."
    ]


def test_every_kind_stands_on_one_line_with_all_backends(rows):
    lines = kind_lines(Ladders(rows))
    discrete = cells(lines, problem="lotka_volterra", kind="discrete")
    assert (discrete["jax"], discrete["torch"]) == ("200 µs, 3.0e-6", "1 ms, 1.0e-6")
    assert discrete["scipy"] == "–"
    assert discrete["rtol"] == 1e-6
    interpolating = cells(lines, problem="lotka_volterra", kind="interpolating")
    assert interpolating["scipy"] == "3 ms, 1.0e-6"
    blackbox = cells(lines, problem="lotka_volterra", kind="blackbox")
    assert blackbox["torch"] == "5 ms, 3, wrong"
    assert cells(lines, problem="pollu", kind="discrete")["jax"] == "nonfinite"
    found = list(lines.loc[lines["problem"].eq("lotka_volterra"), "kind"])
    assert found == sorted(found, key=kinds().index)


def test_other_settings_stand_beside_the_default_ones(tmp_path):
    eager = row("linear", "torch-discrete", 1e-6, seconds=0.04)
    made = [
        row("linear", "torch-discrete", 1e-6),
        eager | {"method": "torch-discrete(compile=False)"},
    ]
    lines = kind_lines(ladders(tmp_path, made))
    assert list(lines["torch"]) == ["1 ms, 1.0e-6; 40 ms, 1.0e-6 (compile=False)"]


def measured(method, **changes):
    about = {"method": method.name, "family": method.family, "backend": method.backend}
    return row("linear", "torch-discrete", 1e-6) | about | changes


def test_every_method_of_ours_stands_in_a_line_of_its_kind(tmp_path):
    ours = [m for m in ab.methods() if m.family != "peers"]
    assert {m.backend for m in ours} == set(BACKENDS)
    made = [measured(method) for method in ours]
    lines = kind_lines(ladders(tmp_path, made))
    assert list(lines["kind"]) == list(kinds())
    for method in ours:
        cell = cells(lines, kind=method.adjoint)[method.backend]
        assert cell.startswith("1 ms, 1.0e-6"), method.name
    assert all(method_of(m.adjoint, m.backend).adjoint == m.adjoint for m in ours)


def test_a_second_method_of_a_kind_stands_by_its_name(tmp_path, monkeypatch):
    first = next(m for m in METHODS if m.name == "finite-difference")
    second = dataclasses.replace(first, name="one-sided-difference")
    monkeypatch.setattr(methods_module, "METHODS", (*METHODS, second))
    made = [measured(first), measured(second, seconds=0.04)]
    lines = kind_lines(ladders(tmp_path, made))
    assert list(lines["scipy"]) == ["1 ms, 1.0e-6; 40 ms, 1.0e-6 (one-sided-difference)"]


def test_a_method_of_other_code_has_no_kind(tmp_path):
    made = [row("linear", "jax-discrete", 1e-6) | {"method": "jax-telepathy"}]
    assert kind_lines(ladders(tmp_path, made)).empty


def test_what_was_to_be_compiled_and_was_not_is_said(rows):
    assert uncompiled(rows) == [
        "torch-discrete ran eagerly on pollu, though it was to be compiled: no compiler found."
    ]
    assert uncompiled(rows.assign(compiled="yes")) == []


def test_page_and_markdown_have_the_sections(report):
    page, markdown = (report / "index.html").read_text(), (report / "report.md").read_text()
    for text in (page, markdown):
        assert "Against the peers, at equal error" in text
        assert "Against the peers on stiff problems" in text
        assert "Kinds of adjoints on every backend" in text
        assert "lost: torch-discrete 1.99 × slower" in text
        assert "no compiler found" in text
    assert 'href="#peers"' in page
    assert '<section id="kinds">' in page


def test_races_are_written_as_csv(report):
    lines = list(csv.DictReader((report / "peers.csv").read_text().splitlines()))
    assert len(lines) == (4 + 1) * 3
    lost = [line for line in lines if line["outcome"] == "lost"]
    assert {line["peer"] for line in lost} == {"torchode-autodiff"}
    assert float(lost[0]["ratio"]) == pytest.approx(0.2 * 100**0.2)


def test_without_peers_and_with_one_backend_nothing_is_shown(tmp_path):
    made = [row("linear", "jax-discrete", rtol) for rtol in (1e-3, 1e-6)]
    page = build_report([write_rows(tmp_path / "rows.jsonl", made)], tmp_path / "out").read_text()
    assert "Against the peers" not in page
    assert "Kinds of adjoints" not in page
    assert "#peers" not in page


def test_times_on_another_device_find_their_published_counterpart(tmp_path):
    made = [row("lotka_volterra", "torch-discrete", 1e-7, device="cuda")]
    made += [row("pollu", "jax-gauss", 1e-7, stiff=True)]
    page = build_report([write_rows(tmp_path / "rows.jsonl", made)], tmp_path / "out").read_text()
    assert "Beside published times" in page
    assert "torch-discrete on cuda" in page


def test_the_versions_of_all_that_is_compared_stand_at_the_foot():
    needed = {package for method in ab.methods() for package in method.requires}
    assert needed | {"adjointbench", "numpy"} <= set(PACKAGES)
    assert list(versions()) == [package for package in PACKAGES if package in versions()]
