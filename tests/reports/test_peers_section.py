import csv
import dataclasses

import pandas as pd
import pytest
from synthetic import peer_rows, row, write_rows

import adjointbench as ab
from adjointbench.adjoints.methods import METHODS, kinds, method_of
from adjointbench.adjoints.methods import table as methods_module
from adjointbench.adjoints.methods.method import BACKENDS
from adjointbench.reports import build_report
from adjointbench.reports.sections.findings import findings
from adjointbench.reports.sections.kinds import kind_lines, uncompiled
from adjointbench.reports.sections.peers import in_words, race_lines, standings
from adjointbench.reports.tables.ladders import Ladders, name_devices
from adjointbench.reports.tables.races import ANY, OWN, races
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


def cells(table, **where):
    for name, value in where.items():
        table = table[table[name].eq(value)]
    (line,) = table.to_dict("records")
    return line


def shown(rows, problem, peer):
    return cells(race_lines(races(Ladders(rows))), problem=problem, peer=peer)


def test_a_win_a_loss_and_an_equal_race_are_said(rows):
    # torchode-autodiff needs a tolerance 100 times as tight, 100 ** 0.2 times the time; the best
    # of any backend is jax-discrete, which is faster than the best in PyTorch.
    autodiff = shown(rows, "lotka_volterra", "torchode-autodiff")
    assert autodiff["1e-5 own"] == "lost by 1.99\N{NO-BREAK SPACE}×, torch-discrete"
    assert autodiff["1e-5 any"] == "won by 2.02\N{NO-BREAK SPACE}×, jax-discrete"
    backsolve = shown(rows, "lotka_volterra", "torchode-backsolve")
    assert backsolve["1e-3 own"] == "equal (1.1\N{NO-BREAK SPACE}×), torch-discrete"
    assert shown(rows, "lotka_volterra", "jax-odeint")["1e-3 own"] == "the same"


def test_who_does_not_get_there_is_said_with_one_of_three_reasons(rows):
    odeint = shown(rows, "pollu", "jax-odeint")
    # Errors of 3e-4 and 3e-5 of the only other method on JAX.
    assert odeint["1e-3 any"] == "won by 5\N{NO-BREAK SPACE}×, jax-discrete"
    assert odeint["1e-3 own"] == "the same"
    assert odeint["1e-7 own"] == "lost: ours does not get there, the peer in 1.97 ms"
    broke = shown(rows, "lotka_volterra", "torchode-backsolve")
    assert broke["1e-7 own"] == "peer broke down; torch-discrete in 1.58 ms"
    mine = rows["method"].eq("torchode-backsolve") & rows["status"].eq("max_steps")
    late = rows.assign(status=rows["status"].mask(mine, "timeout"))
    told = shown(late, "lotka_volterra", "torchode-backsolve")
    assert told["1e-7 own"] == "peer not done in its time; torch-discrete in 1.58 ms"
    coarse = rows[~mine]
    told = shown(coarse, "lotka_volterra", "torchode-backsolve")
    assert told["1e-7 own"] == "peer does not reach it; torch-discrete in 1.58 ms"
    nobody = rows[rows["problem"].eq("pollu")].assign(error=0.5)
    assert shown(nobody, "pollu", "jax-odeint")["1e-3 any"] == "neither: the peer does not reach it"


def test_standings_count_each_side_and_why_there_is_no_time(rows):
    said = standings(races(Ladders(rows))).set_index("peer")
    assert said.loc["torchode-autodiff", OWN] == "0 won, 3 lost, 0 equal; 0.502\N{NO-BREAK SPACE}×"
    assert said.loc["torchode-autodiff", ANY] == "3 won, 0 lost, 0 equal; 2.02\N{NO-BREAK SPACE}×"
    assert said.loc["jax-odeint", OWN] == (
        "4 won, 2 lost (2 as the peer alone gets there), 0 equal; 5\N{NO-BREAK SPACE}×"
    )
    assert said.loc["torchode-backsolve", "missing"] == "broke down (twice)"
    assert said.loc["torchdiffeq-backprop", "missing"] == "–"


def test_a_headline_counts_what_the_table_counts(rows):
    raced = races(Ladders(rows))
    (finding,) = (f for f in findings(Ladders(rows), raced, pd.DataFrame()) if "peers" in f.href)
    for side in (ANY, OWN):
        assert in_words(raced, side) in finding.text
    assert "Lost most often to torchode-autodiff (3 times)" in finding.text
    table = raced[f"outcome_{OWN}"].isin(["lost", "peer alone"]).groupby(raced["peer"]).sum()
    for peer, count in table[table.gt(0)].items():
        assert f"{count} lost" in standings(raced).set_index("peer").loc[peer, OWN]
        assert peer in finding.text


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


def test_what_ran_a_method_is_told(tmp_path):
    made = [row("linear", "jax-discrete", 1e-6, engine="native")]
    made += [row("linear", "torch-discrete", 1e-6, engine="torch (a sort)")]
    page = build_report([write_rows(tmp_path / "rows.jsonl", made)], tmp_path / "out").read_text()
    (line,) = kind_lines(ladders(tmp_path, made)).to_dict("records")
    assert (line["jax"], line["torch"]) == ("200 µs, 3.0e-6 native", "1 ms, 1.0e-6 torch")
    assert ">engine<" in page


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
        assert "Race by race, stiff problems" in text
        assert "Kinds of adjoints on every backend" in text
        assert "lost by 1.99\N{NO-BREAK SPACE}×, torch-discrete" in text
        assert "no compiler found" in text
    assert 'href="#peers"' in page
    assert '<section id="kinds">' in page


def test_races_are_written_as_csv(report):
    lines = list(csv.DictReader((report / "peers.csv").read_text().splitlines()))
    assert len(lines) == (4 + 1) * 3
    lost = [line for line in lines if line["outcome_own"] == "lost"]
    assert {line["peer"] for line in lost} == {"torchode-autodiff"}
    assert float(lost[0]["ratio_own"]) == pytest.approx(0.2 * 100**0.2)


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
