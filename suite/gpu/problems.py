"""Problems in sizes that fill a card: many systems as one, and a network of MNIST's size."""

from __future__ import annotations

import numpy as np

from ... import problems
from ...problems import Problem
from ...problems.neural.image_classifier import image_classifier
from ..measuring.studies.lanes import factors


def lotka_volterra_lanes(*, lanes: int = 8) -> Problem:
    """Many pairs of predator and prey as one system, with the step size of the hardest.

    State ``(2, lanes)``, parameters ``(4, lanes)``; the loss is the sum of theirs.
    """
    one = problems.get("lotka_volterra")
    return Problem(
        name="lotka_volterra_lanes",
        rhs=one.rhs,
        y0=np.repeat(one.y0[:, None], lanes, axis=1),
        params={"p": one.params["p"][:, None] * factors(lanes)},
        t_span=one.t_span,
        loss=one.loss,
    )


def images(*, batch: int = 512, hidden: int = 100, pixels: int = 784) -> Problem:
    """The classifier of ``mnist`` on random images, in float32: its size, without its files."""
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(batch, pixels)).astype(np.float32)
    labels = np.arange(batch) % 10
    return image_classifier("images", values, labels, hidden=hidden, biases=0.1)
