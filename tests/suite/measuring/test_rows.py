import json
from dataclasses import replace

import pytest
from synthetic import measured, write_rows
from synthetic import row as line

from adjointbench.suite.measuring import rows as rows_module
from adjointbench.suite.measuring.machine import machine_name
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
    here = machine_name()
    assert file.rows == [replace(row, machine=here) for row in rows]
    assert file.claims == [replace(claim, machine=here)]
    assert file.done == {("", "linear", "jax-discrete", "cpu")}
    assert file.complete
    assert file.run.quick is True
    assert file.run.versions["numpy"]
    assert same_run(file, quick=True)
    assert not same_run(file, quick=False)


ALPHA, BETA = ({"machine": name, "python": "3.11.7"} for name in ("alpha", "beta"))


def two_machines(path, also=lambda writer, rows: None):
    """A file of rows that two machines have measured, each of another tolerance and of the same."""
    rows = measured([line("linear", "jax-discrete", rtol) for rtol in (1e-3, 1e-5)])
    with RowWriter(path, anew=True, quick=True, here=False) as writer:
        writer.row(rows[0], ALPHA)
        writer.row(rows[1], BETA)
        writer.row(rows[1], ALPHA)
        also(writer, rows)
    return read_rows(path)


def test_a_file_holds_the_rows_of_several_machines(tmp_path):
    file = two_machines(tmp_path / "rows.jsonl")
    assert [run.machine["machine"] for run in file.runs] == ["alpha", "beta"]
    assert [(row.machine, row.rtol) for row in file.rows] == [
        ("alpha", 1e-3),
        ("beta", 1e-5),
        ("alpha", 1e-5),
    ]
    parts = [(run.machine["machine"], len(rows)) for run, rows, _ in file.parts()]
    assert parts == [("alpha", 2), ("beta", 1)]


def test_a_run_goes_on_on_other_machines_only_where_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "machine", lambda: ALPHA)
    file = two_machines(tmp_path / "rows.jsonl")
    assert same_run(file, quick=True, anywhere=True)
    assert not same_run(file, quick=True)
    monkeypatch.setattr(rows_module, "machine", lambda: ALPHA | {"python": "3.12.1"})
    assert not same_run(file, quick=True, anywhere=True)


def test_what_a_lost_machine_has_measured_is_void(tmp_path):
    def lose(writer, rows):
        writer.moved(rows[0].key, "alpha")
        writer.row(rows[0], BETA)

    file = two_machines(tmp_path / "rows.jsonl", lose)
    assert [(row.machine, row.rtol) for row in file.rows] == [("beta", 1e-5), ("beta", 1e-3)]


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
