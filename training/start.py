"""``Start``: start values that an encoder makes of the samples, and that are drawn around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

Array = Any
Named = Mapping[str, Array]

NOISE, WEIGHT = "start_noise", "start_weight"
#: Epochs that the divergence waits for, and by what it lags behind its full weight in each after.
_WAITING, _LAG = 10, 0.99


@dataclass(frozen=True)
class Start:
    """The variational part of a model whose start values are inferred.

    Attributes
    ----------
    params : mapping of str to ndarray
        The encoder's first weights, by names that no parameter of the problem has.
    encode : callable
        ``encode(params, p, scan)``: mean and logarithm of the variance of the start values, both
        of the shape of the problem's ``y0``, in the array API; ``scan(cell, state, inputs)`` is
        the loop of the framework.

    References
    ----------
    D. P. Kingma, M. Welling, Auto-encoding variational Bayes, ICLR 2014, arXiv:1312.6114.
    """

    params: Mapping[str, np.ndarray]
    encode: Callable[[Named, Named, Callable[..., Array]], tuple[Array, Array]]

    def __call__(self, params: Named, p: Named, scan: Callable[..., Array]) -> tuple[Array, Array]:
        """Start values, and what they add to the loss: their divergence from normal ones.

        The Kullback-Leibler divergence from independent standard normal numbers, as its mean over
        samples and components, as published by Rubanova et al. (2019) and Pal et al. (2021), times
        its weight.
        """
        mean, log_variance = self.encode(params, p, scan)
        xp = array_namespace(mean)
        y0 = mean + xp.exp(0.5 * log_variance) * p[NOISE]
        divergence = 0.5 * xp.mean(xp.exp(log_variance) + mean**2 - 1.0 - log_variance)
        return y0, p[WEIGHT] * divergence

    def mean(self, params: Named, p: Named, scan: Callable[..., Array]) -> Array:
        """The start values that are most likely: what is predicted from."""
        return self.encode(params, p, scan)[0]


@dataclass(frozen=True)
class LinearStart:
    """Start values that are linear in the samples, with nothing drawn and nothing added.

    Attributes
    ----------
    params : mapping of str to ndarray
        ``first_w`` and ``first_b``.
    samples : str
        The constant that has the samples in its rows.
    trajectories : int
        How often each sample is started in a prediction, which is the mean over them.
    """

    params: Mapping[str, np.ndarray]
    samples: str
    trajectories: int

    def __call__(self, params: Named, p: Named, scan: Callable[..., Array]) -> tuple[Array, Array]:
        """Start values of a training, one a sample, and nothing that they add to the loss."""
        y0 = p[self.samples] @ params["first_w"] + params["first_b"]
        return y0, array_namespace(y0).zeros((), dtype=y0.dtype)

    def mean(self, params: Named, p: Named, scan: Callable[..., Array]) -> Array:
        """Start values of a prediction, all samples once and then again."""
        y0, _ = self(params, p, scan)
        return array_namespace(y0).tile(y0, (self.trajectories, 1))


def draws(
    shape: tuple[int, ...], dtype: np.dtype, epoch: int, random: np.random.RandomState
) -> dict[str, np.ndarray]:
    """What a step draws: noise, and the weight of the divergence, annealed over the epochs.

    As published by Rubanova et al. and Pal et al.: none for ten epochs, and then 1 - 0.99^n.
    """
    weight = max(0.0, 1.0 - _LAG ** (epoch - _WAITING))
    return {
        NOISE: random.standard_normal(shape).astype(dtype),
        WEIGHT: np.asarray(weight, dtype),
    }


def looped(cell: Callable[[Array, Array], Array], state: Array, inputs: Array) -> Array:
    """``scan`` of NumPy and PyTorch."""
    for i in range(inputs.shape[0]):
        state = cell(state, inputs[i, ...])
    return state
