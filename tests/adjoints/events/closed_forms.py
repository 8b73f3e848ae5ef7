"""Solves with events and moving times whose times and states have closed forms.

The formulas are analytic, so that a complex step through them gives derivatives to rounding.
"""

from collections.abc import Callable

import numpy as np

#: Of a ball that is dropped: gravity, restitution and height.
BALL = (9.81, 0.9, 1.0)
#: Of a drug that is given whenever it has fallen to a threshold: rate of clearance, threshold,
#: dose, and what there is at the start.
DOSED = (0.7, 0.4, 0.5, 1.3)
#: Of decay whose rate changes, and to which is added: the time of the change, the rates before and
#: behind, the time at which something is added, how much, and the start.
SWITCHED = (0.7, 0.5, 2.0, 1.2, 0.3, 1.3)


def bounces(x: np.ndarray, count: int) -> np.ndarray:
    """The times of the first bounces of a ball, and its speeds upwards just after them."""
    gravity, restitution, height = x
    times, speeds = [np.sqrt(2 * height / gravity)], [restitution * np.sqrt(2 * gravity * height)]
    for _ in range(count - 1):
        times.append(times[-1] + 2 * speeds[-1] / gravity)
        speeds.append(restitution * speeds[-1])
    return np.array([times, speeds])


def flight(x: np.ndarray, count: int, t: float) -> np.ndarray:
    """Height and speed at a time after so many bounces, and before the next."""
    time, speed = bounces(x, count)[:, -1]
    since = t - time
    return np.array([speed * since - x[0] * since**2 / 2, speed - x[0] * since])


def dosed(x: np.ndarray, end: float) -> np.ndarray:
    """The first two times of a dose, and what there is at the end."""
    clearance, threshold, dose, start = x
    first = np.log(start / threshold) / clearance
    period = np.log((threshold + dose) / threshold) / clearance
    given = int((end - first.real) / period.real)
    left = (threshold + dose) * np.exp(-clearance * (end - first - given * period))
    return np.array([first, first + period, left])


def switched(x: np.ndarray) -> np.ndarray:
    """The states at 0.5, 1 and 2: the rate changes after the first, the addition is after both."""
    change, before, behind, time, amount, start = x
    early = start * np.exp(-before * 0.5)
    at_change = start * np.exp(-before * change)
    at_addition = at_change * np.exp(-behind * (time - change)) + amount * time
    return np.array(
        [
            early,
            at_change * np.exp(-behind * (1 - change)),
            at_addition * np.exp(-behind * (2 - time)),
        ]
    )


def slopes(function: Callable[[np.ndarray], np.ndarray], x: tuple[float, ...]) -> np.ndarray:
    """The derivatives of what `function` returns, one column for each number of `x`."""
    at = np.array(x)
    columns = [function(at + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(x))]
    return np.stack(columns, axis=-1)
