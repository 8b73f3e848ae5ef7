"""What a tired hand does to the command line: a sentence, the right exit code, and nothing lost."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adjointbench import training
from adjointbench.command_line import app, output
from adjointbench.training.training import Training

SCIPY = ("gradient", "linear", "--method", "scipy-forward")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "two_spirals", "--resume"), "pass out="),
        (("train", "two_spirals", "--out", __file__), "cannot be a folder"),
        (("train", "two_spirals", "--epochs", "-1"), "epochs=-1 must be positive"),
        (("train", "two_spirals", "--seed", "-1"), "seed=-1 must be a whole number"),
        (("train", "two_spirals", "--seeds", "0-1"), "--seeds needs --grid"),
        (("train", "two_spirals", "--grid", "none", "--seed", "1"), "--seed is of one run"),
        (("train", "two_spirals", "--grid", "none", "--regularizer", "error"), "--regularizer is"),
        (("train", "two_spirals", "--grid", "none,eror"), "did you mean 'error'"),
        (("train", "two_spirals", "--grid", "none", "--seeds", "4-0"), "pass 0-4, or 0,3,7"),
        (("train", "two_spirals", "--set", "seed=3"), "use --seed"),
        (("train", "two_spirals", "--coefficient", "1"), "there is no regularizer"),
        (("train", ""), "task='' is not known"),
        (("train", "--epochs", "3"), "--epochs needs a task"),
        (("report", __file__, "--out", __file__), "nothing could be read"),
        (("claims", "--number", "four"), "number='four': FOUR is no claim"),
        (("claims", "--number", ""), "number='': that is no claim"),
        (("claims", "--number", "4", "--out", str(Path(__file__).parent)), "name a file"),
        (("claims", "--number", "4", "--out", __file__), "holds something else than rows"),
        (("claims", "--from", "no-such-file"), "no such file or folder"),
        (("claims", "--from", "a", "--out", "b"), "leave one of them out"),
        (("certify", ""), "''"),
        (("gradient", "łotka"), "łotka"),
        ((*SCIPY, "--rtol", "nan"), "rtol=nan must be positive and finite"),
        ((*SCIPY, "--max-steps", "0"), "max_steps=0 must be positive"),
        ((*SCIPY, "--first-step", "-1"), "first_step=-1.0 must be positive"),
        ((*SCIPY, "--set", "decay="), "decay='' must be a number"),
        ((*SCIPY, "--set", "decay=1", "--set", "decay=2"), "decay is set to 1 already"),
    ],
)
def test_a_slip_is_one_sentence(arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert result.stderr.splitlines()[0].startswith("adjointbench: ")
    assert result.stdout == ""


def test_the_sentence_about_claims_names_the_variable_where_that_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ADJOINTBENCH_CLAIMS", "four")
    assert "ADJOINTBENCH_CLAIMS='four'" in run("claims").stderr


def pretend(monkeypatch: pytest.MonkeyPatch, train) -> None:
    monkeypatch.setattr(training, "train", train)


def test_an_interrupted_training_says_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(task, *, say, **options):
        say({"epoch": 7, "status": "ok"})
        raise KeyboardInterrupt

    pretend(monkeypatch, interrupted)
    kept = run("train", "two_spirals", "--out", "runs/a")
    assert kept.exit_code == 130
    assert "interrupted after epoch 7; what was trained is in runs/a" in kept.stderr
    assert "the same command with --resume goes on from there" in kept.stderr
    assert "nothing is kept without --out" in run("train", "two_spirals").stderr
    assert "the same command goes on" in run("train", "digits", "--out", "a", "--resume").stderr


def test_an_interrupted_grid_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(task, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_grid", interrupted)
    result = run("train", "two_spirals", "--grid", "none")
    assert result.exit_code == 130
    assert "what was trained is in runs, and the same command goes on" in result.stderr


ROW = dict.fromkeys(training.training.COLUMNS) | {"epoch": 3, "status": "ok", "loss": 0.25}


def test_rows_that_could_not_be_saved_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsaved(task, *, say, tell, **options):
        tell("compiling ...")
        say(ROW)
        return Training(training.run_settings(task), rows=[ROW], folder=Path("a"), unsaved=1)

    pretend(monkeypatch, unsaved)
    result = run("train", "two_spirals", "--out", "a")
    assert result.exit_code == 2
    assert "\n3,ok,0.25," in result.stdout
    assert "adjointbench: compiling ..." in result.stderr
    assert "the same command with --resume trains them again" in result.stderr
    as_json = run("train", "two_spirals", "--out", "a", "--json")
    assert json.loads(as_json.stdout)["rows"][0]["loss"] == 0.25


def test_json_has_null_where_a_number_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(task, **options):
        rows = [ROW | {"loss": float("nan"), "train_seconds": float("inf")}]
        return Training(training.run_settings(task), status="nonfinite", rows=rows)

    pretend(monkeypatch, diverged)
    result = run("train", "two_spirals", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    assert (found["rows"][0]["loss"], found["rows"][0]["train_seconds"]) == (None, None)


def test_a_grid_as_json_is_json_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(task, *, say, tell, **options):
        say("a", ROW)
        tell("a", "compiling ...")
        return [Path("runs/a")]

    monkeypatch.setattr(training, "train_grid", trained)
    result = run("train", "two_spirals", "--grid", "none", "--json")
    assert json.loads(result.stdout) == {"runs": ["runs/a"]}


def test_a_finished_training_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda task, **options: Training(training.run_settings(task, epochs=9)))
    result = run("train", "two_spirals", "--out", "a", "--resume")
    assert result.exit_code == 0
    assert "All 9 epochs are in a; --epochs N goes on to N" in result.stdout


def test_waiting_is_told_where_it_is_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.working("Compiling ..."):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(output, "_PATIENCE_S", 0.01)
    with output.working("Compiling ..."):
        time.sleep(0.1)
    told = capsys.readouterr()
    assert "adjointbench: Compiling ... (0 s so far)" in told.err
    assert told.out == ""


def in_a_shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f'adjointbench() {{ {sys.executable} -m adjointbench "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **environment},
    )


def test_a_reader_that_has_enough_and_a_narrow_terminal() -> None:
    done = in_a_shell("adjointbench methods --json | head -1; adjointbench problems | head -1")
    assert done.stdout.startswith("[\n")
    assert done.stderr == ""
    narrow = in_a_shell("adjointbench methods --family blackbox --help", COLUMNS="40")
    assert narrow.returncode == 0
    assert max(map(len, narrow.stdout.splitlines())) <= 40


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_output_that_cannot_be_written_is_a_sentence() -> None:
    done = in_a_shell("adjointbench methods --json > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "adjointbench: the output: no space left on device\n"
