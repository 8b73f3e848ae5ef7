import json

import pytest
from synthetic import measured, write_rows
from synthetic import row as line

from adjointbench.suite.measuring.row import ClaimRow, Key
from adjointbench.suite.measuring.rows import (
    RowWriter,
    chosen_path,
    default_path,
    pick,
    read_rows,
    same_run,
)


def test_what_is_written_is_read_back(tmp_path):
    rows = measured([line("linear", "jax-discrete", rtol) for rtol in (1e-3, 1e-5)])
    claim = ClaimRow(problem="claim 4", number="4", status="ok", figures={"lines": [{"x": 1}]})
    with RowWriter(tmp_path / "deep" / "rows.jsonl", anew=True, quick=True) as writer:
        for each in rows:
            writer.row(each)
        writer.row(claim)
        writer.done(Key("", "linear", "jax-discrete", "cpu"))
        writer.end()
    file = read_rows(writer.path)
    assert file.rows == rows
    assert file.claims == [claim]
    assert file.done == {("", "linear", "jax-discrete", "cpu")}
    assert file.complete
    assert file.run.quick is True
    assert file.run.versions["numpy"]
    assert same_run(file, quick=True)
    assert not same_run(file, quick=False)


def test_a_row_is_on_disk_as_soon_as_it_is_written(tmp_path):
    with RowWriter(tmp_path / "rows.jsonl", anew=True, quick=True) as writer:
        writer.row(*measured([line("linear", "jax-discrete", 1e-3)]))
        assert len(read_rows(writer.path).rows) == 1


def test_a_line_cut_off_is_passed_over_and_not_run_into(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [line("linear", "jax-discrete", 1e-3)], end=False)
    with path.open("a") as stream:
        stream.write('{"kind": "row", "problem": "lin')
    with RowWriter(path, anew=False, quick=False) as writer:
        writer.row(*measured([line("linear", "jax-discrete", 1e-5)]))
    file = read_rows(path)
    assert [r.rtol for r in file.rows] == [1e-3, 1e-5]
    assert file.broken == 1


def test_a_row_measured_again_replaces_the_first(tmp_path):
    twice = [line("linear", "jax-discrete", 1e-3, seconds=s) for s in (1.0, 2.0)]
    file = read_rows(write_rows(tmp_path / "rows.jsonl", twice))
    assert [r.seconds for r in file.rows] == [2.0]


def test_columns_that_are_missing_or_unknown_are_no_trouble(tmp_path):
    old = {"problem": "linear", "method": "m", "rtol": 1e-3, "status": "ok", "long_gone": 1}
    (row,) = read_rows(write_rows(tmp_path / "rows.jsonl", [old])).rows
    assert (row.device, row.seconds, row.exception) == ("cpu", None, False)
    file = read_rows(write_rows(tmp_path / "rows.jsonl", [old, {"problem": "linear"}]))
    assert (len(file.rows), file.broken) == (1, 1)


def test_rows_of_other_code_are_not_the_same_run(tmp_path):
    assert not same_run(read_rows(write_rows(tmp_path / "rows.jsonl")), quick=False)


def test_pick_orders_by_tolerance():
    rows = measured(
        [line("linear", m, r) for m in ("jax-gauss", "jax-discrete") for r in (1e-9, 1e-3)]
    )
    picked = pick(rows, "linear", "jax-discrete", "cpu")
    assert [(r.method, r.rtol) for r in picked] == [
        ("jax-discrete", 1e-3),
        ("jax-discrete", 1e-9),
    ]


def test_the_variable_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ADJOINTBENCH_ROWS", str(tmp_path / "mine.jsonl"))
    assert chosen_path(tmp_path) == (tmp_path / "mine.jsonl", False)


@pytest.mark.parametrize("complete", [True, False])
def test_only_a_run_that_was_cut_off_is_gone_on_with(tmp_path, monkeypatch, complete):
    monkeypatch.delenv("ADJOINTBENCH_ROWS", raising=False)
    monkeypatch.setenv("ASV_COMMIT", "f" * 40)
    path = write_rows(default_path(tmp_path), end=complete)
    assert path.name == "ffffffff-rows.jsonl"
    assert chosen_path(tmp_path) == (path, complete)


def test_every_line_is_json(tmp_path):
    with RowWriter(tmp_path / "rows.jsonl", anew=True, quick=True) as writer:
        writer.row(*measured([line("linear", "jax-discrete", 1e-3, settings={"odd": 1j})]))
        writer.end()
    kinds = [json.loads(line)["kind"] for line in writer.path.read_text().splitlines()]
    assert kinds == ["run", "row", "end"]
