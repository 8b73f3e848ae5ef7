import json
import math

import pytest
from synthetic import NAN, measured, row, write_asv, write_rows

from adjointbench.reports.tables.frames import COLUMNS, rows_of
from adjointbench.reports.tables.read import read_measurements

METHODS = ("jax-discrete", "jax-gauss", "scipy-forward")


def test_skipped_is_not_failed(tmp_path):
    values = {"timing.Gradient.time_gradient": [1e-3, NAN, None]}
    write_asv(tmp_path, values, methods=METHODS)
    found = read_measurements([tmp_path])
    assert list(found.asv["status"]) == ["ok", "skipped", "failed"]
    assert found.asv["value"][0] == 1e-3
    assert math.isnan(found.asv["value"][1])
    assert found.asv["parameters"][2] == ("lotka_volterra", "scipy-forward", "cpu")
    assert set(found.asv["unit"]) == {"seconds"}
    assert found.troubles == []


def test_a_benchmark_that_failed_altogether(tmp_path):
    write_asv(tmp_path, {"timing.broken": None}, methods=METHODS)
    assert list(read_measurements([tmp_path]).asv["status"]) == ["failed"] * 3


def test_rows_and_benchmarks_of_one_folder(tmp_path):
    write_rows(tmp_path / "box" / "aaaaaaaa-rows.jsonl")
    write_asv(tmp_path, {"counts.steps": [12.0]})
    found = read_measurements([tmp_path])
    assert len(found.rows) == 3 * 6 * 8
    assert set(COLUMNS) <= set(found.rows.columns)
    assert len(found.asv) == 1
    assert set(found.rows["machine"]) == {"box"} == set(found.asv["machine"])


def test_two_machines_and_two_commits_stay_apart(tmp_path):
    only = [row("linear", "jax-discrete", 1e-3)]
    for machine, commit in (("a", "1" * 40), ("a", "2" * 40), ("b", "2" * 40)):
        path = tmp_path / machine / f"{commit[:8]}-rows.jsonl"
        write_rows(path, only, commit=commit, machine=machine)
    found = read_measurements([tmp_path])
    kept = sorted(zip(found.rows["machine"], found.rows["commit"], strict=True))
    assert kept == [("a", "1" * 8), ("a", "2" * 8), ("b", "2" * 8)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"results": {}}', "cannot be read"),
    ],
)
def test_broken_asv_files_are_told_and_the_rest_is_read(tmp_path, content, says):
    write_asv(tmp_path, {"counts.steps": [12.0]})
    broken = tmp_path / "box" / "bbbbbbbb-existing.json"
    broken.write_text(content)
    found = read_measurements([tmp_path])
    assert len(found.asv) == 1
    assert len(found.troubles) == 1
    assert str(broken) in found.troubles[0]
    assert says in found.troubles[0]


def test_results_without_their_benchmarks_have_no_units(tmp_path):
    write_asv(tmp_path, {"counts.steps": [12.0]})
    (tmp_path / "benchmarks.json").unlink()
    found = read_measurements([tmp_path])
    assert list(found.asv["unit"]) == [""]
    assert "no units" in found.troubles[0]


def test_missing_and_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.jsonl").write_text("")
    paths = [tmp_path / "nowhere", tmp_path / "empty", tmp_path / "rows.jsonl"]
    found = read_measurements(paths)
    assert found.empty
    said = " | ".join(found.troubles)
    assert "no such file" in said
    assert "no results in this folder" in said
    assert "holds no measured row" in said


def test_a_run_that_was_cut_off_is_shown_and_told(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", end=False)
    with path.open("a") as stream:
        stream.write(json.dumps({"kind": "row"})[:-3])
    found = read_measurements([path])
    assert len(found.rows) == 3 * 6 * 8
    assert any("1 lines are broken" in trouble for trouble in found.troubles)
    assert any("cut off" in trouble for trouble in found.troubles)


def test_columns_have_the_types_of_what_was_measured(tmp_path):
    one, other = (row("linear", m, 1e-3, referenced=True) for m in ("jax-discrete", "jax-gauss"))
    path = write_rows(tmp_path / "rows.jsonl", [one, other | {"steps": None, "cosine": None}])
    rows = read_measurements([path]).rows
    assert {rows[name].dtype.name for name in ("rtol", "seconds", "cosine", "agreement")} == {
        "float64"
    }
    assert [rows[name].dtype.name for name in ("saved_bytes", "steps")] == ["int64", "float64"]
    assert rows["exception"].dtype == bool
    here = {"machine": "box"}
    changed = {"steps": None, "cosine": None}
    assert rows_of(rows) == measured([one | here, other | changed | here])
