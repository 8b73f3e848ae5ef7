import subprocess

import pandas as pd
import pytest
from synthetic import broken, row, write_rows
from typer.testing import CliRunner

from adjointbench.command_line import app
from adjointbench.reports import compare_results
from adjointbench.reports.sections.asv import compare_benchmarks
from adjointbench.reports.sections.changes import findings
from adjointbench.reports.tables.changes import compare_machines, compare_with
from adjointbench.reports.tables.codes import find_code, in_order, name_codes
from adjointbench.reports.tables.noise import FEWEST_CONTROLS, noise
from adjointbench.reports.tables.read import read_measurements
from adjointbench.reports.tables.summary import summary
from adjointbench.suite.measuring.equal_times import NOISE

OLD, NEW = "1" * 40, "2" * 40
DATES = {OLD: "2026-11-20T12:00:00+0000", NEW: "2026-11-21T12:00:00+0000"}
OURS, PEER = ("jax-discrete", "jax-forward", "jax-gauss"), "diffrax-backsolve"


def measured(tmp_path, changes, *, machines=("a",), new_machines=None, slower=1.0, **header):
    """Three methods and a peer on four problems with OLD, and with NEW with changes."""
    paths = []
    for commit in (OLD, NEW):
        for machine in (new_machines or machines) if commit == NEW else machines:
            rows = [
                row(problem, method, rtol)
                for problem in ("linear", "lotka_volterra", "pendulum", "lorenz")
                for method in (*OURS, PEER)
                for rtol in (1e-3, 1e-6, 1e-9)
            ]
            for r in rows if commit == NEW else ():
                r["seconds"] *= slower
                r |= changes.get(r["method"], lambda r: {})(r)
            path = tmp_path / machine / f"{commit[:8]}-rows.jsonl"
            more = header if commit == NEW else {}
            paths.append(
                write_rows(path, rows, commit=commit, machine=machine, date=DATES[commit], **more)
            )
    return paths


def compared(paths, base=None):
    found = read_measurements(paths)
    comparison = compare_with(found.rows, found.runs, base)
    return comparison, findings(comparison, found.runs)


def verdict(comparison, method, problem="linear"):
    lines = comparison.table.set_index(["problem", "method"])
    return lines.loc[(problem, method), "verdict"]


def test_what_became_worse_comes_first_and_in_words(tmp_path):
    changes = {
        "jax-gauss": lambda r: {"seconds": 2 * r["seconds"], "error": 10 * r["error"]},
        "jax-forward": lambda r: broken("max_steps", "too many") if r["rtol"] < 1e-8 else {},
        "jax-discrete": lambda r: {"saved_bytes": 2048},
    }
    comparison, said = compared(measured(tmp_path, changes))
    assert verdict(comparison, "jax-gauss") == "less accurate, slower"
    assert verdict(comparison, "jax-forward") == "right less often"
    assert verdict(comparison, "jax-discrete") == "keeps less"
    assert verdict(comparison, PEER) == "same"
    assert list(comparison.table["worse"]) == [True] * 8 + [False] * 8
    assert list(comparison.table["verdict"][-4:]) == ["same"] * 4
    line = comparison.table.set_index(["problem", "method"]).loc[("linear", "jax-gauss")]
    assert (line["time"], line["error"]) == (pytest.approx(2.0), pytest.approx(10.0))
    assert "8 became worse, 4 otherwise changed, 4 are the same" in said[0]


def test_a_gradient_that_is_ok_and_wrong_now_is_worse(tmp_path):
    changes = {"jax-discrete": lambda r: {"error": 28.2} if r["rtol"] == 1e-6 else {}}
    comparison, _ = compared(measured(tmp_path, changes))
    assert "right less often" in verdict(comparison, "jax-discrete")


def test_a_slower_machine_is_not_a_slower_method(tmp_path):
    changes = {"jax-gauss": lambda r: {"seconds": 1.5 * r["seconds"]}}
    comparison, said = compared(measured(tmp_path, changes, slower=1.6))
    assert verdict(comparison, "jax-gauss") == "slower"
    assert verdict(comparison, "jax-discrete") == "same"
    assert comparison.noise["a"].drift == pytest.approx(1.6)
    assert any("factor of 1.60 in the median: the machine" in sentence for sentence in said)


def test_without_peers_a_slower_machine_cannot_be_told(tmp_path):
    without = {PEER: lambda r: broken("skipped", "not here")}
    comparison, said = compared(measured(tmp_path, without, slower=1.6))
    assert verdict(comparison, "jax-discrete") == "slower"
    assert any("which would tell how much the machine" in sentence for sentence in said)


def controls(times, backend="jax"):
    return pd.DataFrame({"family": "peers", "backend": backend, "time": times})


def test_the_band_is_as_wide_as_the_times_that_nobody_changed():
    quiet, loud = noise(controls([1.0, 1.01, 0.99, 1.0])), noise(controls([0.5, 1.0, 1.0, 2.0]))
    assert quiet.band == NOISE
    assert loud.band > 1.5
    assert noise(controls([3.0] * (FEWEST_CONTROLS - 1))).drift == 1.0


def test_a_library_that_has_changed_is_no_control():
    both = pd.concat([controls([2.0] * 5), controls([1.1] * 5, backend="torch")])
    assert noise(both).controls == 10
    assert noise(both, {"jax"}).drift == pytest.approx(1.1)
    assert noise(both, {"diffrax", "torch"}).controls == 0


def test_a_time_within_its_own_spread_has_not_changed(tmp_path):
    spread = {"seconds_low": 1.0, "seconds_high": 1.6}
    changes = {"jax-gauss": lambda r: spread | {"seconds": 1.5 * r["seconds"]}}
    comparison, _ = compared(measured(tmp_path, changes))
    assert verdict(comparison, "jax-gauss") == "same"


def test_errors_below_the_certificate_are_no_change(tmp_path):
    changes = {
        "jax-gauss": lambda r: {"error": 10 * r["error"], "agreement": 1.0},
        "jax-forward": lambda r: {"error": 10 * r["error"], "agreement": 1e-10},
    }
    comparison, _ = compared(measured(tmp_path, changes))
    assert verdict(comparison, "jax-gauss") == "same"
    assert verdict(comparison, "jax-forward") == "less accurate"


def test_two_versions_of_a_library_at_one_commit(tmp_path):
    rows = [row("linear", m, r) for m in OURS for r in (1e-3, 1e-6)]
    slow = [r | {"seconds": 3 * r["seconds"]} for r in rows]
    write_rows(tmp_path / "new.jsonl", rows, date=DATES[NEW])
    older = (("adjointbench", "0.1.0"), ("jax", "0.9.0"))
    write_rows(tmp_path / "old.jsonl", slow, date=DATES[OLD], versions=older)
    comparison, said = compare_results([tmp_path], "jax==0.9.0")
    assert (comparison.old, comparison.new) == ("aaaaaaaa, jax 0.9.0", "aaaaaaaa, jax 0.10.2")
    assert set(comparison.table["verdict"]) == {"faster"}
    assert "Versions differ: jax 0.9.0 → 0.10.2." in said


def test_a_file_that_was_set_aside_is_a_base(tmp_path):
    rows = [row("linear", m, r) for m in OURS for r in (1e-3, 1e-6)]
    fast = [r | {"seconds": r["seconds"] / 3} for r in rows]
    write_rows(tmp_path / "rows.jsonl", rows, date=DATES[NEW])
    base = write_rows(tmp_path / "rows.jsonl.2026-11-20T120000", fast, date=DATES[OLD])
    comparison, _ = compare_results([tmp_path / "rows.jsonl"], str(base))
    assert comparison.old == "aaaaaaaa of 2026-11-20T12:00"
    assert set(comparison.table["verdict"]) == {"slower"}


def test_between_machines_there_are_no_times(tmp_path):
    changes = {"jax-gauss": lambda r: {"seconds": 9 * r["seconds"], "saved_bytes": 5000}}
    paths = measured(tmp_path, changes, machines=("a",), new_machines=("b",))
    comparison, said = compared(paths, "11111111")
    assert verdict(comparison, "jax-gauss") == "keeps more"
    assert "No machine has measured both, so that times cannot be compared." in said


def test_what_only_one_has_is_told(tmp_path):
    changes = {"jax-gauss": lambda r: {"problem": "heat_equation"}}
    _, said = compared(measured(tmp_path, changes))
    assert "Measured with 22222222 alone: heat_equation, jax-gauss." in said


@pytest.mark.parametrize("base", ["1111", OLD, "11111111"])
def test_a_commit_is_known_by_its_beginning(tmp_path, base):
    found = read_measurements(measured(tmp_path, {}))
    assert find_code(base, found.runs, "22222222") == "11111111"


def test_a_base_may_be_what_git_knows(tmp_path, monkeypatch):
    asked = []

    def git(command, **options):
        asked.append(command[-1])
        return subprocess.CompletedProcess(command, 0, stdout=f"{OLD}\n")

    runs = read_measurements(measured(tmp_path, {})).runs
    monkeypatch.setattr(subprocess, "run", git)
    assert find_code("main~1", runs, "22222222") == "11111111"
    assert asked == ["main~1^{commit}"]


def test_a_base_that_was_not_measured_is_refused_with_what_there_is(tmp_path):
    paths = measured(tmp_path, {})
    with pytest.raises(ValueError, match=r"compare='jax==9'.*11111111 of 2026-11-20T12:00"):
        compare_results(paths, "jax==9")
    with pytest.raises(ValueError, match="there is one run only"):
        compare_results(paths[:1], "no-such-thing")


def test_runs_of_one_commit_and_the_same_versions_are_one_code():
    run = {"commit": OLD, "versions": {"jax": "1"}, "machine": {"machine": "a"}}
    other = run | {"versions": {"jax": "2"}}
    elsewhere = other | {"machine": {"machine": "b"}}
    assert name_codes([run, run]) == ["11111111", "11111111"]
    assert name_codes([run, other]) == ["11111111, jax 1", "11111111, jax 2"]
    assert name_codes([run, elsewhere]) == ["11111111", "11111111"]


def test_the_command_ends_with_one_where_something_became_worse(tmp_path):
    worse = {"jax-gauss": lambda r: {"error": 10 * r["error"]}}
    out = ["--out", str(tmp_path / "out"), "--compare", "1111"]
    paths = [str(path) for path in measured(tmp_path / "worse", worse)]
    done = CliRunner().invoke(app, ["report", *paths, *out])
    assert done.exit_code == 1, done.output
    assert "4 became worse" in done.stdout
    assert "less accurate" in done.stdout
    assert "less accurate" in (tmp_path / "out" / "index.html").read_text()
    same = [str(path) for path in measured(tmp_path / "same", {})]
    assert CliRunner().invoke(app, ["report", *same, *out]).exit_code == 0
    refused = CliRunner().invoke(app, ["report", *same, "--compare", "no-such-thing"])
    assert refused.exit_code == 2
    assert "11111111 of" in refused.stderr


def test_machines_stand_side_by_side(tmp_path):
    rows = read_measurements(measured(tmp_path, {}, machines=("a", "b"))).rows
    assert in_order(rows) == ["11111111", "22222222"]
    wide = compare_machines(summary(rows[rows["code"].eq("22222222")]))
    assert list(wide.columns) == ["problem", "method", "device", "a", "b"]
    assert len(wide) == 16


def test_benchmarks_that_changed_most_come_first_and_chance_is_left_out():
    def table(commit, values):
        return pd.DataFrame(
            {
                "benchmark": ["steps", "time", "quiet"],
                "parameters": [("x",)] * 3,
                "value": values,
                "status": "ok",
                "unit": ["count", "seconds", "seconds"],
                "machine": "a",
                "commit": commit,
            }
        )

    asv = pd.concat([table("1", [10.0, 1.0, 1.0]), table("2", [11.0, 3.0, 1.1])])
    found = compare_benchmarks(asv, "1", "2")
    assert list(found["benchmark"]) == ["time", "steps"]
    assert list(found["change"]) == [2.0, 1.0]
