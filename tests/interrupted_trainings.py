"""Trainings that are interrupted after their first epoch."""

import pytest

from adjointbench.training import train


class Interrupted(Exception):
    pass


def interrupt(row):
    if row["epoch"] == 1:
        raise Interrupted


def train_until_interrupted(task, out, **options):
    """Leave in `out` what a training has come to when it is interrupted."""
    with pytest.raises(Interrupted):
        train(task, out=out, say=interrupt, **options)
