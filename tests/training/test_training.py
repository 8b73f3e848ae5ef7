"""Training: the same on both frameworks, resumable to the same numbers, failures kept."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
from interrupted_trainings import train_until_interrupted

from adjointbench import Regularizer
from adjointbench.training import (
    PRESETS,
    Optimizer,
    Schedule,
    presets,
    run_settings,
    train,
    train_grid,
)
from adjointbench.training.run_folder import read_rows
from adjointbench.training.tasks import TASKS

SMALL = {"batch": 8, "samples": 16}
#: What depends on the machine.
TIMES = ("train_seconds", "predict_seconds", "steps_per_second", "compile_seconds")


@pytest.fixture
def tiny(monkeypatch):
    """The two spirals in float64, at a loose tolerance."""
    preset = dataclasses.replace(
        PRESETS["two_spirals"], dtype="float64", rtol=1e-3, atol=1e-3, max_steps=64
    )
    monkeypatch.setitem(presets.PRESETS, "two_spirals", preset)
    return preset


def without_times(rows):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def same(one, other):
    for a, b in zip(without_times(one), without_times(other), strict=True):
        for key in a:
            np.testing.assert_equal(a[key], b[key], err_msg=key)


@pytest.mark.parametrize("regularizer", ["none", "error", "jacobian"])
def test_both_frameworks_train_alike(tiny, regularizer):
    options = {"regularizer": regularizer, "epochs": 1, **SMALL}
    if regularizer == "error":
        options["coefficient"] = [1.0]
    jax_run = train("two_spirals", backend="jax", **options)
    torch_run = train("two_spirals", backend="torch", adjoint="tape", **options)
    for key in ("loss", "train_loss", "test_loss", "nfe", "forward_evals", "steps", "rejected"):
        assert torch_run.rows[-1][key] == pytest.approx(jax_run.rows[-1][key], rel=1e-9), key
    for name, value in jax_run.params.items():
        np.testing.assert_allclose(torch_run.params[name], value, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"regularizer": "local-biased"},
        {"backend": "torch", "adjoint": "tape", "gradient_error": True},
    ],
    ids=["jax", "torch"],
)
def test_an_interrupted_training_goes_on_to_the_same_numbers(tiny, tmp_path, options):
    options = {"epochs": 2, **SMALL, **options}
    whole = train("two_spirals", out=tmp_path / "whole", **options)
    train_until_interrupted("two_spirals", tmp_path / "cut", **options)
    # A row without its checkpoint, as an interruption between the two leaves it, and half a file.
    file = tmp_path / "cut" / "epochs.csv"
    file.write_text(file.read_text() + file.read_text().splitlines()[-1].replace("1,", "2,", 1))
    (tmp_path / "cut" / "checkpoint.npz.part").write_bytes(b"PK")
    resumed = train("two_spirals", out=tmp_path / "cut", resume=True, **options)
    same(resumed.rows, whole.rows)
    same(read_rows(file), read_rows(tmp_path / "whole" / "epochs.csv"))
    for name in whole.params:
        np.testing.assert_array_equal(resumed.params[name], whole.params[name])
    assert resumed.rows[-1]["compile_seconds"] > whole.rows[-1]["compile_seconds"] * 0.1
    with pytest.raises(ValueError, match="pass resume=True"):
        train("two_spirals", out=tmp_path / "cut", **options)


@pytest.mark.parametrize("how", [{}, {"backend": "torch", "adjoint": "tape"}], ids=["jax", "torch"])
def test_a_diverged_training_keeps_its_rows_and_says_so(tiny, monkeypatch, tmp_path, how):
    wild = dataclasses.replace(tiny, optimizer=Optimizer("sgd", 1e30))
    monkeypatch.setitem(presets.PRESETS, "two_spirals", wild)
    training = train("two_spirals", epochs=4, out=tmp_path, **SMALL, **how)
    assert training.status in ("nonfinite", "step_too_small", "max_steps")
    assert 2 <= len(training.rows) < 5
    assert training.rows[-1]["status"] == training.status
    assert read_rows(tmp_path / "epochs.csv")[0]["epoch"] == 0
    again = train("two_spirals", epochs=4, out=tmp_path, resume=True, **SMALL, **how)
    assert again.status == training.status
    assert len(again.rows) == len(training.rows)


def test_a_grid_goes_on_where_it_stopped(tiny, tmp_path):
    specs = ("none", "error+stiffness=1:0.1 0.01")
    options = {"out": tmp_path, "regularizers": specs, "seeds": (0,)}
    said = []
    folders = train_grid(
        "two_spirals", epochs=1, say=lambda name, row: said.append(name), **options, **SMALL
    )
    assert tuple(folder.parent.name for folder in folders) == specs
    record = json.loads((folders[1] / "settings.json").read_text())
    assert record["coefficients"] == [[1.0, 0.1], [0.01, None]]
    assert len(said) == 4
    train_grid("two_spirals", epochs=1, say=lambda *row: said.append(row), **options, **SMALL)
    assert len(said) == 4


def test_peers_and_the_black_box_see_the_batch(tiny):
    """The first step's loss is that of the open solver, to the tolerance."""
    ours = train("two_spirals", epochs=1, **SMALL).rows[-1]["loss"]
    for how in (
        {"adjoint": "diffrax"},
        {"adjoint": "blackbox", "regularizer": "local", "coefficient": [0.0]},
        {"backend": "torch", "adjoint": "torchdiffeq"},
    ):
        theirs = train("two_spirals", epochs=1, **SMALL, **how).rows[-1]["loss"]
        assert theirs == pytest.approx(ours, rel=2e-3)


def test_local_biased_is_local_from_the_accepted_times():
    short, long = (
        run_settings("digits", regularizer=form, coefficient=["2.5:1"])
        for form in ("local-biased", Regularizer("local", reduction="mean", sampling="accepted"))
    )
    assert short == long
    with pytest.raises(ValueError, match="did you mean 'local-biased'"):
        run_settings("digits", regularizer="local-biassed")


def test_schedules():
    annealed = Schedule(100.0, 10.0)
    assert annealed.at(0, 75) == 100.0
    assert annealed.at(75, 75) == pytest.approx(10.0)
    assert annealed.at(37, 74) == pytest.approx(np.sqrt(1000.0))
    assert Schedule(0.3).at(5, 10) == 0.3
    assert Optimizer("sgd", 0.1, decay=1e-2).rate(100) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "digit"}, "did you mean 'digits'"),
        ({"task": "digits", "regularizer": "eror"}, "did you mean 'error'"),
        ({"task": "digits", "adjoint": "backsolv"}, "use one of: backsolve"),
        ({"task": "digits", "backend": "numpy"}, "use one of: jax, torch"),
        ({"task": "digits", "regularizer": "error", "coefficient": ["a:b"]}, "pass a number"),
        ({"task": "digits", "regularizer": "stiffness", "adjoint": "diffrax"}, "cannot be trained"),
        ({"task": "digits", "regularizer": "steer", "adjoint": "diffrax"}, "draws some anew"),
        ({"task": "digits", "regularizer": "steer", "adjoint": "blackbox"}, "draws some anew"),
        ({"task": "digits", "epochs": 0}, "epochs=0 must be positive"),
        ({"task": "digits", "epochs": 2.5}, "epochs=2.5 must be a whole number"),
        ({"task": "digits", "epochs": "a"}, "epochs='a' is not a number"),
        ({"task": "digits", "seed": -1}, "seed=-1 must be a whole number from 0"),
        ({"task": "digits", "seed": 0.5}, "seed=0.5 must be a whole number from 0"),
        ({"task": "digits", "device": "tpu"}, "device='tpu' is not known"),
        ({"task": "digits", "coefficient": ["1"]}, "there is no regularizer to multiply"),
        ({"task": "digits", "regularizer": "error", "coefficient": ["nan"]}, "pass a number"),
        ({"task": "digits", "regularizer": "error", "coefficient": ["1:"]}, "pass a number"),
        ({"task": "digits", "regularizer": "error", "coefficient": ["1:0"]}, "both ends must be"),
        ({"task": "digits", "batc": 3}, "it has: batch, hidden"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        run_settings(**arguments)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("two_spirals", {"batch": 600}, "must lie between 1 and the number of samples"),
        ("two_spirals", {"batch": 0}, "batch=0 must be positive"),
        ("two_spirals", {"batch": True}, "batch=True is not a number"),
        ("two_spirals", {"samples": "a"}, "samples='a' is not a number"),
        ("digits", {"hidden": 1.5}, "hidden=1.5 must be a whole number"),
        ("mnist", {"pool": 0}, "pool=0 must be positive"),
        ("mnist", {"path": 5}, "path=5 does not exist"),
    ],
)
def test_an_option_of_a_task_that_makes_no_sense_is_refused(task, options, message):
    with pytest.raises(ValueError, match=message):
        TASKS[task](**options)


def test_a_training_compiles_the_gradient_within_its_step_alone(tiny, monkeypatch):
    def refuse(*_):
        raise AssertionError("the gradient was compiled by itself")

    for module in ("program", "compiled_loss"):
        jax_module = importlib.import_module(f"adjointbench.adjoints.jax.{module}")
        name = "build" if module == "program" else "built_once"
        monkeypatch.setattr(jax_module, name, refuse)
    for method in ("jax-discrete", "diffrax-direct"):
        assert train("two_spirals", adjoint=method, epochs=1, **SMALL).rows[-1]["status"] == "ok"
