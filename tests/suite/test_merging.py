"""Files of rows as one: the newest of a place on each machine, and what differs."""

import json

from synthetic import row, write_rows
from typer.testing import CliRunner

from adjointbench.command_line import app
from adjointbench.suite.measuring.rows import read_rows
from adjointbench.suite.merging import merge


def ladder(*rtols, **changes):
    return [row("linear", "jax-discrete", rtol) | changes for rtol in rtols]


def write(path, rows, machine="alpha", day=20, **about):
    return write_rows(path, rows, machine=machine, date=f"2026-11-{day}T12:00:00+0000", **about)


def test_the_newest_of_a_place_stands_whatever_the_order(tmp_path):
    older = write(tmp_path / "older.jsonl", ladder(1e-3, 1e-5, seconds=1.0))
    newer = write(tmp_path / "newer.jsonl", ladder(1e-5, 1e-7, seconds=2.0), day=21)
    for number, files in enumerate(([older, newer], [newer, older])):
        found = merge(files, tmp_path / f"{number}.jsonl")
        rows = read_rows(tmp_path / f"{number}.jsonl").rows
        assert {r.rtol: r.seconds for r in rows} == {1e-3: 1.0, 1e-5: 2.0, 1e-7: 2.0}
        assert found.rows == 3
        assert f"{older}: 1 row of alpha replaced by newer ones" in found.sentences


def test_machines_stay_apart_and_keep_what_they_say_of_themselves(tmp_path):
    alpha = write(tmp_path / "a.jsonl", ladder(1e-3), versions=(("jax", "0.9.0"),))
    beta = write(tmp_path / "b.jsonl", ladder(1e-3), machine="beta", commit="b" * 40)
    found = merge([alpha, beta], tmp_path / "out.jsonl")
    file = read_rows(tmp_path / "out.jsonl")
    told = [(run.machine["machine"], run.commit[:1], len(rows)) for run, rows, _ in file.parts()]
    assert told == [("alpha", "a", 1), ("beta", "b", 1)]
    assert file.complete
    assert "commits differ: aaaaaaaa on alpha; bbbbbbbb on beta" in found.sentences
    assert "jax differs: 0.9.0 on alpha; 0.10.2 on beta" in found.sentences
    again = merge([tmp_path / "out.jsonl"], tmp_path / "again.jsonl")
    assert again.rows == 2
    assert read_rows(tmp_path / "again.jsonl").rows == file.rows


def test_verdicts_that_differ_are_told(tmp_path):
    alpha = write(tmp_path / "a.jsonl", ladder(1e-3, 1e-5))
    wrong = [*ladder(1e-3), *ladder(1e-5, error=0.9)]
    beta = write(tmp_path / "b.jsonl", wrong, machine="beta")
    found = merge([alpha, beta], tmp_path / "out.jsonl")
    assert found.sentences[-2:] == [
        "verdicts differ in 1 of 2 places that several have measured",
        "linear jax-discrete at rtol 1e-5: right on alpha, wrong on beta",
    ]


def test_a_run_that_was_cut_off_leaves_the_whole_unfinished(tmp_path):
    whole = write(tmp_path / "a.jsonl", ladder(1e-3))
    cut = write(tmp_path / "b.jsonl", ladder(1e-3), machine="beta", end=False)
    found = merge([whole, cut], tmp_path / "out.jsonl")
    assert not read_rows(tmp_path / "out.jsonl").complete
    assert any(f"{cut}: the run was cut off" in line for line in found.sentences)


def test_one_of_the_files_may_be_the_one_that_is_written(tmp_path):
    alpha, beta = (
        write(tmp_path / f"{name}.jsonl", ladder(1e-3), machine=name) for name in ("alpha", "beta")
    )
    merge([alpha, beta], alpha)
    assert {r.machine for r in read_rows(alpha).rows} == {"alpha", "beta"}


def of_a_user(path, definition):
    header, *lines = write(path, ladder(1e-3)).read_text().splitlines()
    header = json.dumps(json.loads(header) | {"definition": definition})
    path.write_text("\n".join([header, *lines]))
    return path


def refused(*arguments):
    result = CliRunner().invoke(app, ["merge", *map(str, arguments)])
    assert result.exit_code == 2
    return result.stderr


def test_what_is_no_file_of_rows_is_refused(tmp_path):
    good = write(tmp_path / "a.jsonl", ladder(1e-3))
    notes = tmp_path / "notes.txt"
    notes.write_text("not rows\n")
    out = tmp_path / "out.jsonl"
    assert "notes.txt: no file of rows" in refused(good, notes, "--out", out)
    assert "no such file" in refused(good, tmp_path / "none.jsonl", "--out", out)
    assert "is there already" in refused(good, "--out", notes)
    assert notes.read_text() == "not rows\n"
    empty = write(tmp_path / "empty.jsonl", [])
    assert "holds no measured row" in refused(good, empty, "--out", out)
    (tmp_path / "folder").mkdir()
    assert "no file of rows (.jsonl) is in this folder" in refused(
        tmp_path / "folder", "--out", out
    )
    two = [of_a_user(tmp_path / f"{name}.jsonl", name) for name in ("x", "y")]
    assert "different problems that are both called linear" in refused(*two, "--out", out)
    assert not out.exists()


def test_the_command_takes_folders_and_tells_as_json(tmp_path):
    for name in ("alpha", "beta"):
        write(tmp_path / "results" / name / "rows.jsonl", ladder(1e-3), machine=name)
    out = tmp_path / "all.jsonl"
    arguments = ["merge", str(tmp_path / "results"), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    told = json.loads(result.stdout)
    assert (told["count"], told["machines"]) == (2, ["alpha", "beta"])
    result = CliRunner().invoke(app, arguments)
    assert "is there already" in result.stderr
