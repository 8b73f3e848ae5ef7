"""The latent ODE: its gradient goes through the encoder, on both frameworks, with any adjoint."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from interrupted_trainings import train_until_interrupted

from adjointbench.training import PRESETS, jax_start, presets, run_settings, torch_start, train
from adjointbench.training.gradient_error import GradientError
from adjointbench.training.latent_task import latent_ode
from adjointbench.training.loss_gradient import LossGradient
from adjointbench.training.start import WEIGHT

#: Weights and series few enough to compile and train in no time.
SMALL = {"samples": 20, "times": 7, "batch": 4, "latent": 3, "hidden": 4, "layers": 1}
SMALL |= {"memory": 2, "recurrent": 3}
EXACT = {"rtol": 1e-9, **SMALL}
PULSES = ("HR", "Temp")


@pytest.fixture(autouse=True)
def loose(monkeypatch):
    """A loose tolerance where none is asked for."""
    preset = dataclasses.replace(PRESETS["latent_ode"], rtol=1e-3, atol=1e-3, max_steps=128)
    monkeypatch.setitem(presets.PRESETS, "latent_ode", preset)


def loss_gradient(**options):
    settings = run_settings("latent_ode", **{**EXACT, **options})
    return LossGradient(latent_ode(**{k: SMALL[k] for k in SMALL}), settings)


def inputs(made):
    """Slightly other weights, the second batch, and draws with the divergence at work."""
    random, task = np.random.RandomState(1), made.task
    params = {k: v + 0.1 * random.standard_normal(v.shape) for k, v in task.params.items()}
    batch = {name: values[4:8] for name, values in task.train.items()}
    drawn = made.drawn(60, random)
    assert float(drawn[WEIGHT]) == pytest.approx(1 - 0.99**50)
    return params, {**made.fixed_constants(), **batch, **drawn}


def on_jax(made):
    def call(params, constants):
        return jax_start.training_gradient(made, params, None, constants, (0.0,))

    call = jax.jit(call)

    def found(params, constants):
        with jax.enable_x64(True):
            return jax.device_get(call(*jax.tree.map(jnp.asarray, (params, constants))))

    return found


def test_the_gradient_goes_through_the_encoder():
    """Its slopes along random directions are differences of the whole loss; PyTorch agrees."""
    made = loss_gradient()
    found_at = on_jax(made)
    params, constants = inputs(made)
    found = found_at(params, constants)
    assert found.status == 0
    assert found.dparams.keys() == params.keys()
    random, step = np.random.RandomState(2), 1e-6
    for part in ("encoder_", "decoder_", "w"):
        along = {
            name: random.standard_normal(value.shape) * name.startswith(part)
            for name, value in params.items()
        }
        ahead, back = (
            found_at({k: v + s * along[k] for k, v in params.items()}, constants).loss
            for s in (step, -step)
        )
        slope = sum(np.sum(found.dparams[name] * along[name]) for name in params)
        assert slope == pytest.approx((ahead - back) / (2 * step), rel=1e-4), part
    tensors = [{k: torch.tensor(v) for k, v in x.items()} for x in (params, constants)]
    ours = loss_gradient(backend="torch", adjoint="torchdiffeq")
    same = torch_start.training_gradient(ours, tensors[0], None, tensors[1], (0.0,))
    assert float(same.loss) == pytest.approx(found.loss, rel=1e-7)
    for name, value in found.dparams.items():
        np.testing.assert_allclose(same.dparams[name], value, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", ["sinusoids", "spirals"])
def test_samples_fit_the_problem(data, dtype):
    task = latent_ode(data=data, dtype=dtype, **SMALL)
    problem = task.problem
    assert task.steps_per_epoch == 4
    assert problem.dtype == problem.loss(problem.y0[None].repeat(7, 0), problem.merged()).dtype
    assert problem.dtype == dtype
    for samples in (task.train, task.test):
        for name, values in samples.items():
            assert values.dtype == problem.constants[name].dtype
            assert values.shape[1:] == problem.constants[name].shape[1:]
    assert {value.dtype for value in task.params.values()} == {problem.dtype}
    assert len(task.params) == len(problem.params) + len(task.start.params)
    other = latent_ode(data=data, dtype=dtype, seed=1, **SMALL)
    assert not any(np.array_equal(value, other.params[name]) for name, value in task.params.items())
    np.testing.assert_array_equal(task.train["values"], other.train["values"])


def test_records_of_patients_are_trained_on(tmp_path):
    for number in range(6):
        lines = [f"{7 * hour:02}:30,{name},{number + hour}" for hour in range(4) for name in PULSES]
        (tmp_path / f"{number}.txt").write_text("\n".join(["Time,Parameter,Value", *lines]))
    small = {k: v for k, v in SMALL.items() if k not in ("samples", "times")} | {"batch": 2}
    training = train(
        "latent_ode-physionet",
        backend="torch",
        adjoint="torchdiffeq",
        path=str(tmp_path),
        epochs=1,
        rtol=1e-3,
        **small,
    )
    assert training.status == "ok"
    assert training.rows[1]["train_loss"] < training.rows[0]["train_loss"]


def test_both_frameworks_train_alike():
    options = {"epochs": 2, "seed": 3, **SMALL}
    one = train("latent_ode", **options)
    other = train("latent_ode", backend="torch", adjoint="tape", **options)
    for key in ("loss", "train_loss", "test_loss", "nfe", "steps", "rejected"):
        assert other.rows[-1][key] == pytest.approx(one.rows[-1][key], rel=1e-7), key
    assert one.rows[-1]["train_accuracy"] is None
    assert one.rows[-1]["train_loss"] < one.rows[0]["train_loss"]
    for name, value in one.params.items():
        np.testing.assert_allclose(other.params[name], value, rtol=1e-6, atol=1e-9)


def test_an_interrupted_training_goes_on_to_the_same_numbers(tmp_path):
    options = {"epochs": 2, "backend": "torch", "adjoint": "tape", **SMALL}
    whole = train("latent_ode", **options)
    train_until_interrupted("latent_ode", tmp_path, **options)
    resumed = train("latent_ode", out=tmp_path, resume=True, **options)
    assert [row["train_loss"] for row in resumed.rows] == [row["train_loss"] for row in whole.rows]
    for name in whole.params:
        np.testing.assert_array_equal(resumed.params[name], whole.params[name])


@pytest.mark.parametrize(
    "how",
    [
        {"adjoint": "diffrax"},
        {"backend": "torch", "adjoint": "torchdiffeq"},
        {"backend": "torch", "adjoint": "tape", "regularizer": "kinetic", "coefficient": ["0"]},
    ],
    ids=["diffrax", "torchdiffeq", "kinetic"],
)
def test_peers_and_regularisers_train_it_too(how):
    training = train("latent_ode", epochs=1, **how, **SMALL)
    plain = train("latent_ode", epochs=1, backend="torch", adjoint="tape", **SMALL)
    assert training.status == "ok"
    assert training.rows[-1]["loss"] == pytest.approx(plain.rows[-1]["loss"], rel=2e-3)
    assert training.params.keys() == plain.params.keys()


def test_the_gradients_error_is_estimated_where_the_batch_starts():
    made = loss_gradient(rtol=1e-3)
    params = inputs(made)[0]
    found = GradientError(made)(params)
    assert 0 < found["gradient_error"] < 0.1
    own, start = made.first(params)
    assert own.keys() == made.task.problem.params.keys()
    assert not np.isclose(start, made.task.problem.y0).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "sinusoid"}, "did you mean 'sinusoids'"),
        ({"path": "set-a"}, "path='set-a' says nothing of data='sinusoids', but of 'physionet'"),
        (
            {"data": "physionet", "times": 9},
            "times=9 says nothing of .* of 'sinusoids' or 'spirals",
        ),
        ({"samples": "a"}, "samples='a' is not a number"),
        ({"data": "physionet"}, "path='' does not exist; pass the folder"),
        ({"data": "physionet", "hours": 0}, "hours=0 must be positive"),
        ({"samples": 20, "batch": 5}, "series to train on and of those to test, 16 and 4"),
        ({"latent": 0}, "latent=0 must be positive"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        latent_ode(**options)
