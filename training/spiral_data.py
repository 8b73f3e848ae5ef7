"""Means and variances of the noisy spiral, which neural SDEs are trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .. import problems
from ..problems import stochastic

#: The file that keeps them.
FILE = Path(problems.__file__).parent / "data" / "spiral_sde.json"

#: What the data are of.
_TRUE = stochastic.get("stochastic_spiral")
#: Trajectories that are in memory at once.
_TOGETHER = 50_000


def spiral_data() -> dict[str, np.ndarray]:
    """``t`` of shape (30,), ``mean`` and ``variance`` of shape (30, 2), as they are kept.

    Made as the file says, of 500,000 trajectories: as many others differ by 0.004 in a mean and
    by 1 % in a variance at most. The published ones were of 10,000.
    """
    record = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: np.asarray(record[name]) for name in ("t", "mean", "variance")}


def simulated(trajectories: int, pieces: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Means and variances over trajectories of the true spiral.

    .. math:: dy = A^T y^3 dt + 0.2\, y \odot dW, \quad y(0) = (2, 0)

    By Strang's splitting into the drift, by the classical Runge-Kutta method, and the noise, which
    has a closed form: of weak order 2, and with no part of the solvers that learn from it.

    Parameters
    ----------
    trajectories : int
    pieces : int
        Steps between two of the 30 times.
    seed : int
    """
    rng, times = np.random.default_rng(seed), _TRUE.save_at
    sums = np.zeros((2, len(times), 2))
    for first in range(0, trajectories, _TOGETHER):
        y = np.repeat(_TRUE.y0, min(_TOGETHER, trajectories - first), axis=0)
        for i, step in enumerate(np.diff(times, append=np.nan) / pieces):
            sums[:, i] += y.sum(axis=0), (y**2).sum(axis=0)
            for _ in range(pieces if np.isfinite(step) else 0):
                y = _with_noise(y, step / 2, rng)
                y = _with_noise(_turned(y, step), step / 2, rng)
    mean = sums[0] / trajectories
    return mean, (sums[1] - trajectories * mean**2) / (trajectories - 1)


def _with_noise(y: np.ndarray, h: float, rng: np.random.Generator) -> np.ndarray:
    """Geometric Brownian motion without drift, over `h`."""
    volatility, w = _TRUE.params["volatility"], np.sqrt(h) * rng.standard_normal(y.shape)
    return y * np.exp(volatility * w - volatility**2 * h / 2)


def _turned(y: np.ndarray, h: float) -> np.ndarray:
    """One step of the drift alone."""

    def drift(y: np.ndarray) -> np.ndarray:
        return _TRUE.drift(0.0, y, _TRUE.params)

    k1 = drift(y)
    k2 = drift(y + h / 2 * k1)
    k3 = drift(y + h / 2 * k2)
    k4 = drift(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
