"""The folder of a run: what is broken in it is told, and nobody's rows are lost."""

import dataclasses
import errno
import json
import subprocess
import sys

import numpy as np
import pytest

from adjointbench.training import run_settings, train, train_grid, training
from adjointbench.training.records import COLUMNS
from adjointbench.training.run_folder import (
    as_csv,
    begin,
    held,
    read_rows,
    standing,
    write_epoch,
)

SETTINGS = run_settings("two_spirals", epochs=2)


def row(epoch):
    made = dict.fromkeys(COLUMNS) | {"epoch": epoch, "status": "ok", "train_seconds": 0.5 * epoch}
    return made | {"loss": 1.0 / (1 + epoch)}


@pytest.fixture
def folder(tmp_path):
    """A run that came to its second epoch."""
    begin(tmp_path, SETTINGS)
    write_epoch(tmp_path, [row(0), row(1), row(2)], {"w": np.arange(3.0)}, "ok")
    return tmp_path


def test_what_was_written_is_read_again(folder):
    found = standing(folder, SETTINGS, resume=True)
    assert (found.epoch, found.status, found.rows) == (2, "ok", [row(0), row(1), row(2)])
    np.testing.assert_array_equal(found.arrays["w"], np.arange(3.0))
    assert (folder / "epochs.csv").read_bytes().decode() == as_csv(found.rows)


def test_all_machines_that_trained_a_run_are_told(folder, monkeypatch):
    def machine():
        return json.loads((folder / "settings.json").read_text())["made_with"]["machine"]

    first = machine()
    begin(folder, SETTINGS)
    assert machine() == first
    for _ in range(2):
        monkeypatch.setattr("platform.node", lambda: "another")
        begin(folder, SETTINGS)
        assert machine() == f"{first}, another"


def test_a_column_that_older_rows_lack_is_not_known(folder):
    file = folder / "epochs.csv"
    short = [",".join(line.split(",")[:-1]) for line in file.read_text().splitlines()]
    file.write_text("\n".join(short) + "\n")
    assert [row["compile_seconds"] for row in read_rows(file)] == [None] * 3
    assert standing(folder, SETTINGS, resume=True).epoch == 2


def cut(file):
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize(
    ("name", "harm", "told"),
    [
        ("checkpoint.npz", cut, r"checkpoint.npz there cannot be read \(File is not a zip file\)"),
        ("checkpoint.npz", lambda file: file.write_bytes(b""), "checkpoint.npz there cannot be"),
        ("checkpoint.npz", lambda file: np.savez(file, w=1), "checkpoint.npz there cannot be"),
        ("settings.json", lambda file: file.write_text(""), "settings.json there cannot be read"),
        ("settings.json", lambda file: file.write_text("[1]"), "no settings in it"),
        ("settings.json", lambda file: file.unlink(), "settings.json there cannot be read"),
        ("epochs.csv", lambda file: file.write_text("garbage\n1\n"), "no rows of epochs in it"),
        ("epochs.csv", lambda file: file.write_bytes(b"\xff\0"), "epochs.csv there cannot be read"),
        ("epochs.csv", cut, "lacks some of the epochs 0 to 2"),
        ("epochs.csv", lambda file: file.write_text("epoch,status\nx,ok\n"), "could not convert"),
    ],
)
def test_what_is_broken_is_told_with_what_to_do(folder, name, harm, told):
    harm(folder / name)
    with pytest.raises(ValueError, match=told) as refused:
        standing(folder, SETTINGS, resume=True)
    assert "name another folder, or delete this one to begin anew" in str(refused.value)


def test_a_folder_with_no_rows_is_anybodys(tmp_path):
    begin(tmp_path, run_settings("digits"))
    assert standing(tmp_path, SETTINGS, resume=False) is None


@pytest.mark.parametrize(
    ("other", "resume", "told"),
    [
        ({"seed": 1}, True, r"other settings \(seed\)"),
        ({"epochs": 3}, False, "pass resume=True"),
        ({"epochs": 1}, True, "epochs=1: .* holds 2 already; pass a larger number"),
    ],
)
def test_another_run_is_refused(folder, other, resume, told):
    with pytest.raises(ValueError, match=told):
        standing(folder, run_settings("two_spirals", **{"epochs": 2, **other}), resume)


def test_a_run_is_made_longer_where_nothing_anneals(folder):
    longer = dataclasses.replace(SETTINGS, epochs=5)
    assert standing(folder, longer, resume=True).epoch == 2
    annealed = run_settings("two_spirals", epochs=2, regularizer="error")
    begin(folder, annealed)
    with pytest.raises(ValueError, match="annealed over 2 epochs"):
        standing(folder, dataclasses.replace(annealed, epochs=5), resume=True)


HOLDS = """
import sys, time
from pathlib import Path
from adjointbench.training.run_folder import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_do_not_share_a_folder_and_a_dead_one_holds_none(tmp_path):
    pytest.importorskip("fcntl")
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="is being written by another run"), held(tmp_path):
            pass
        other.kill()
    with held(tmp_path):
        assert not list(tmp_path.iterdir())


def test_a_full_disk_loses_nothing_and_is_told_once(tmp_path, monkeypatch):
    written = []

    def write(folder, rows, arrays, status):
        if len(rows) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append([row["epoch"] for row in rows])

    class Trainer:
        def arrays(self):
            return {}

    monkeypatch.setattr(training, "write_epoch", write)
    told, said = [], []
    run = training.Training(SETTINGS, folder=tmp_path, say=said.append, tell=told.append)
    for epoch in (0, 1):
        run.add(row(epoch), Trainer())
    assert (run.unsaved, len(run.rows), len(said)) == (2, 2, 2)
    assert len(told) == 1
    assert "epoch 0 could not be written (No space left on device)" in told[0]
    run.add(row(2), Trainer())
    assert run.unsaved == 0
    assert written == [[0, 1, 2]]
    assert "all epochs are written again" in told[1]
    quiet = training.Training(SETTINGS, folder=tmp_path)
    with pytest.warns(RuntimeWarning, match="could not be written"):
        quiet.add(row(0), Trainer())


def test_going_on_needs_a_folder():
    with pytest.raises(ValueError, match="pass out="):
        train("two_spirals", resume=True)


def test_a_grid_refuses_before_it_trains(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'error'"):
        train_grid("two_spirals", out=tmp_path, regularizers=("none", "eror"))
    assert not list(tmp_path.iterdir())
    name = "two_spirals/jax-discrete/none/seed0"
    begin_at = tmp_path / name
    begin_at.mkdir(parents=True)
    begin(begin_at, SETTINGS)
    write_epoch(begin_at, [row(0), row(1), row(2)], {}, "ok")
    options = {"out": tmp_path, "regularizers": ("none",), "seeds": (0,)}
    assert train_grid("two_spirals", epochs=2, **options) == [begin_at]
    with pytest.raises(ValueError, match=r"other settings \(task_options\)"):
        train_grid("two_spirals", epochs=2, batch=64, **options)


def test_a_device_that_is_none_is_no_run(tmp_path):
    with pytest.raises(ValueError, match="device='gpuu'"):
        train("two_spirals", device="gpuu", out=tmp_path)
    assert not list(tmp_path.iterdir())
