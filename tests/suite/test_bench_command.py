"""``adjointbench bench``, and ``--cluster`` of all commands that measure."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from adjointbench.command_line import app
from adjointbench.suite.measuring import campaign
from adjointbench.suite.measuring.rows import read_rows


class Measures:
    """A worker for which every tolerance is ok."""

    def measure(self, job):
        for row in job.unmeasured([], "ok", ""):
            yield replace(row, error=1e-4)

    def close(self):
        pass


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("FULL", "QUICK", "ROWS", "METHODS"):
        monkeypatch.delenv(f"ADJOINTBENCH_{name}", raising=False)
    # What the command sets is taken back with it.
    for name in ("FULL", "QUICK"):
        monkeypatch.setenv(f"ADJOINTBENCH_{name}", "0")
    monkeypatch.setenv("ADJOINTBENCH_PROBLEMS", "linear")
    monkeypatch.setenv("ADJOINTBENCH_METHODS", "scipy-adjoint,scipy-forward")
    monkeypatch.setattr(campaign, "make_workers", lambda jobs, alone: [Measures()])
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments])


@pytest.mark.parametrize(("option", "tolerances"), [((), 3), (("--quick",), 3), (("--full",), 8)])
def test_the_part_is_the_quick_one_unless_all_is_asked_for(here, option, tolerances):
    result = run(*option, "--out", "rows.jsonl", "--json")
    assert result.exit_code == 0, result.output
    file = read_rows(here / "rows.jsonl")
    assert file.complete
    assert file.run.quick is (tolerances == 3)
    told = json.loads(result.stdout)
    assert (told["count"], told["rows"]) == (2 * tolerances, "rows.jsonl")
    assert "[  2/2] linear" in result.stderr


def test_all_of_the_environment_stays_all(here, monkeypatch):
    monkeypatch.setenv("ADJOINTBENCH_FULL", "1")
    assert run("--out", "rows.jsonl").exit_code == 0
    assert read_rows(here / "rows.jsonl").run.quick is False


def test_what_is_measured_is_kept_and_gone_on_with(here, monkeypatch):
    def interrupt(*line):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("adjointbench.suite.collect._line", interrupt)
        result = run("--out", "rows.jsonl")
    assert result.exit_code == 130
    assert "interrupted; what was measured is in rows.jsonl" in result.stderr
    assert len(read_rows(here / "rows.jsonl").done) == 1
    result = run("--out", "rows.jsonl")
    assert "1 of 2 are measured already" in result.stderr
    assert result.stdout == "6 rows in rows.jsonl\n"
    result = run("--out", "rows.jsonl", "--anew")
    assert "are kept in rows.jsonl." in result.stderr


def test_a_file_of_something_else_is_left_alone(here):
    (here / "notes.txt").write_text("mine\n")
    result = run("--out", "notes.txt")
    assert result.exit_code == 2
    assert "holds something else than rows" in result.stderr
    assert (here / "notes.txt").read_text() == "mine\n"


@pytest.mark.parametrize("problem", ["linaer"])
def test_an_unknown_name_is_one_line(here, monkeypatch, problem):
    monkeypatch.setenv("ADJOINTBENCH_PROBLEMS", problem)
    result = run("--out", "rows.jsonl")
    assert result.exit_code == 2
    assert "did you mean" in result.stderr


@pytest.mark.parametrize("command", ["bench", "claims", "compare", "train"])
def test_a_cluster_that_is_not_there_is_one_sentence(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("adjointbench.suite.cluster.connection._CONNECT_S", 0.2)
    monkeypatch.setenv("ADJOINTBENCH_PROBLEMS", "linear")
    arguments = {
        "bench": ["--out", "rows.jsonl"],
        "claims": ["--number", "6"],
        "compare": ["linear", "--methods", "scipy-adjoint"],
        "train": ["two_spirals", "--grid", "none", "--seeds", "0", "--out", "runs"],
    }[command]
    result = CliRunner().invoke(app, [command, *arguments, "--cluster", "tcp://127.0.0.1:1"])
    assert result.exit_code == 2, result.output
    assert "cluster='tcp://127.0.0.1:1': no scheduler answers there" in result.stderr
