"""Series that are seen at irregular times, on the union of the times of all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Of the series that are made, and of the shuffle that splits: the same whatever is trained.
_DATA_SEED = 2019
#: Of the span that made series fill: a rate bounded by 1 gets far enough in it.
_T_END = 5.0


class IrregularSeries(NamedTuple):
    """Series to train on and to test, all on the union of their times.

    ``times`` of shape ``(times,)`` rises from 0 or later; values and masks are of shape
    ``(series, times, features)``, float64, and both are 0 where nothing was seen. In every series
    something was.
    """

    times: np.ndarray
    train_values: np.ndarray
    train_mask: np.ndarray
    test_values: np.ndarray
    test_mask: np.ndarray


def split(times: np.ndarray, values: np.ndarray, mask: np.ndarray) -> IrregularSeries:
    """Four fifths of the series to train on and one fifth to test, in a fixed random order."""
    order = np.random.RandomState(_DATA_SEED).permutation(len(values))
    train, test = np.split(order, [len(order) * 4 // 5])
    return IrregularSeries(times, values[train], mask[train], values[test], mask[test])


def gaps(times: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """For each series and time how long it is until the series is seen next; 0 at its last time.

    Returns
    -------
    ndarray, shape (series, times)
        What an encoder that runs backwards has waited for since its last observation.
    """
    seen = mask.any(axis=-1)
    upcoming = np.where(seen, times, np.inf)[:, 1:]
    following = np.minimum.accumulate(upcoming[:, ::-1], axis=1)[:, ::-1]
    found = np.zeros(seen.shape)
    found[:, :-1] = np.where(np.isfinite(following), following - times[:-1], 0.0)
    return found


def sinusoids(
    *, samples: int = 1000, times: int = 100, seen: float = 0.3, noise: float = 0.01
) -> IrregularSeries:
    """Periodic series whose frequency drifts, each seen at a random part of random times.

    The toy data of Rubanova, Chen, Duvenaud (NeurIPS 2019, arXiv:1907.03907, section 4.1, in the
    form of its code): sin of a phase whose frequency goes linearly from one uniform number in
    [0.4, 0.8] to another, around a level of 1 with standard deviation 0.1; the noise is normal
    here, as the likelihood has it.
    """
    random = np.random.RandomState(_DATA_SEED)
    grid = _random_times(times, random)
    first, last = random.uniform(0.4, 0.8, size=(2, samples, 1))
    phase = 2.0 * np.pi * (first * grid + (last - first) * grid**2 / (2.0 * _T_END))
    values = np.sin(phase) + random.normal(1.0, 0.1, size=(samples, 1))
    return _seen_in_part(grid, values[..., None], seen, noise, random)


def spirals(
    *, samples: int = 1000, times: int = 100, seen: float = 0.3, noise: float = 0.03
) -> IrregularSeries:
    """Spirals in the plane, half of them clockwise, each seen at a random part of random times.

    After Chen, Rubanova, Bettencourt, Duvenaud (NeurIPS 2018, arXiv:1806.07366, section 5.1), a
    tenth as large: the radius grows with the angle, or shrinks like one over it, from a random
    start on one and a half turns of the same two spirals.
    """
    random = np.random.RandomState(_DATA_SEED)
    grid = _random_times(times, random)
    start = random.uniform(1.5 * np.pi, 3.0 * np.pi, size=(samples, 1))
    angle = start + 3.0 * np.pi * grid / _T_END
    clockwise = (np.arange(samples) % 2 == 0)[:, None]
    radius = np.where(clockwise, 5.0 / angle, 0.1 * angle)
    turned = np.where(clockwise, -angle, angle)
    values = radius[..., None] * np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    return _seen_in_part(grid, values, seen, noise, random)


def _random_times(times: int, random: np.random.RandomState) -> np.ndarray:
    """Uniform over the span, the first one 0."""
    return np.concatenate([[0.0], np.sort(random.uniform(0.0, _T_END, size=times - 1))])


def _seen_in_part(
    times: np.ndarray,
    values: np.ndarray,
    seen: float,
    noise: float,
    random: np.random.RandomState,
) -> IrregularSeries:
    """Noisy, and hidden but for a share of the times, at least one, of each series."""
    noisy = values + noise * random.standard_normal(values.shape)
    count = max(1, round(seen * len(times)))
    ranks = random.uniform(size=values.shape[:2]).argsort(axis=1).argsort(axis=1)
    mask = np.broadcast_to((ranks < count)[..., None], values.shape).astype(np.float64)
    return split(times, noisy * mask, mask)
