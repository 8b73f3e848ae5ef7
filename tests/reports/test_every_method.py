"""A report on every method of the table, whoever added it: none breaks it, none is left out."""

import csv

import pytest
from synthetic import broken, row, scaling_row, write_rows

import adjointbench as ab
from adjointbench.adjoints.methods import kinds, method_of, peers_on
from adjointbench.adjoints.methods.method import BACKENDS
from adjointbench.reports import build_report
from adjointbench.reports.sections.kinds import kind_lines
from adjointbench.reports.sections.published_times import published_table
from adjointbench.reports.sections.stiff import breakages, costs, reasons
from adjointbench.reports.tables.kinds import KINDS, Kind
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.noise import packages_of
from adjointbench.reports.tables.races import races
from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.measuring.machine import PACKAGES
from adjointbench.suite.measuring.quick import QUICK_METHODS
from adjointbench.suite.measuring.row import Row, from_record
from adjointbench.suite.measuring.studies import scaling
from adjointbench.suite.own_problem.method_order import FIRST, in_order
from adjointbench.suite.own_problem.recommendation import recommend

METHODS = ab.methods()
RTOLS = (1e-3, 1e-6, 1e-9)


def of_method(method, problem, rtol, **changes):
    return row(problem, "torch-discrete", rtol) | names_of(method) | changes


def names_of(method):
    return {"method": method.name, "family": method.family, "backend": method.backend}


def made(slower=1.0):
    """Every method on a smooth and on a stiff problem, where one tolerance is too tight for all."""
    rows = [
        of_method(method, problem, rtol, stiff=problem == "pollu", jacobian_evals=3)
        for method in METHODS
        for problem in ("lotka_volterra", "pollu")
        for rtol in RTOLS
    ]
    for number, r in enumerate(rows):
        r["seconds"] *= slower * (1 + number % 7)
        if r["problem"] == "pollu" and r["rtol"] == RTOLS[-1]:
            r |= broken("max_steps", "too many steps", phase="reverse")
    sizes = [
        scaling_row("jax-gauss", n, 1e-3 * n) | names_of(method)
        for method in METHODS
        for n in (2, 3)
    ]
    return [*rows, *sizes]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of two commits."""
    folder = tmp_path_factory.mktemp("results")
    for commit, slower in (("1", 1.0), ("2", 3.0)):
        date = f"2026-11-2{commit}T12:00:00+0000"
        write_rows(folder / f"{commit}.jsonl", made(slower), commit=commit * 40, date=date)
    return folder


@pytest.fixture(scope="module")
def report(results):
    build_report([results], results / "out", say=pytest.fail)
    return results / "out"


@pytest.fixture(scope="module")
def ladders(results):
    return Ladders(read_measurements([results / "2.jsonl"]).rows)


def lines_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_every_file_of_a_report_has_every_method(report):
    names = {method.name for method in METHODS}
    for file in ("summary", "scaling", "comparison", "figures/stability-map"):
        assert {line["method"] for line in lines_of(report / f"{file}.csv")} == names
    page = (report / "index.html").read_text()
    assert all(name in page for name in names)


def test_every_method_of_ours_stands_under_its_kind(ladders):
    lines = kind_lines(ladders)
    assert set(lines["kind"]) == set(kinds())
    for method in (m for m in METHODS if not m.is_peer):
        mine = lines[lines["kind"].eq(method.adjoint)]
        assert mine[method.backend].ne("–").all(), method.name
        if method_of(method.adjoint, method.backend) is not method:
            assert mine[method.backend].str.contains(f"({method.name})", regex=False).all()


def test_every_peer_is_raced_against_ours_of_its_backend(ladders):
    found = races(ladders)
    assert set(found["peer"]) == {m.name for m in METHODS if m.is_peer and not m.keeps_steps}
    backend_of = {method.name: method.backend for method in METHODS}
    ran = found.dropna(subset=["ours_own"])
    assert list(ran["ours_own"].map(backend_of)) == list(ran["peer"].map(backend_of))
    backward = {method.name for method in METHODS if method.goes_back}
    assert not backward & {*found["ours_any"], *found["ours_own"]}


def test_what_is_known_of_a_kind_is_said_of_each_method_of_it(ladders):
    table, _ = published_table(ladders)
    told = dict(zip(table["method"], table["counterpart"], strict=True))
    attributed = set(costs(ladders.stiff)["method"])
    for method in METHODS:
        kind = KINDS.get(method.adjoint, Kind())
        assert told[method.name] == (kind.published or "–")
        assert (method.name in attributed) == (kind.attributed is not None)
    assert len(reasons(ladders.stiff)) == 2
    said = " ".join(dict(breakages(ladders.stiff))["pollu"])
    assert all(f"{method.name} ended with max_steps" in said for method in METHODS)


def test_every_method_can_be_recommended():
    names = in_order()
    wanted = [method for method in METHODS if not method.keeps_steps]
    assert {m.name for m in wanted} == {name.partition("(")[0] for name in names}
    for method in wanted:
        made = [of_method(method, "lotka_volterra", rtol, solver="x") for rtol in RTOLS]
        rows = [from_record(Row, record) for record in made]
        best = recommend(rows, 1e-3, agreement=1e-10).best
        assert best is not None
        assert best.method == method.name
        assert best.backward == method.goes_back


def test_what_a_peer_rests_on_is_recorded_and_known(ladders):
    for method in (m for m in METHODS if m.is_peer):
        assert set(method.requires) <= packages_of(method.backend) & set(PACKAGES)
        assert peers_on(method.backend)[method.library].backend == method.backend


def test_what_is_spoken_of_is_in_the_table():
    assert {method.backend for method in METHODS} == set(BACKENDS)
    assert set(KINDS) <= {method.adjoint for method in METHODS}
    bare = {name.partition("(")[0] for name in (*scaling.METHODS, *FIRST, *QUICK_METHODS)}
    assert bare <= {method.name for method in METHODS}
