"""Images to tell apart: where they come from, and which are kept for the test."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_DATA = Path(__file__).parents[1] / "data"
#: Of the shuffle that splits what comes as one set: the same whatever is trained.
_SPLIT_SEED = 2021


class Images(NamedTuple):
    """Images as rows of numbers between 0 and 1, float64, and their labels, int64."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def split(images: np.ndarray, labels: np.ndarray) -> Images:
    """Four fifths to train and one fifth to test, of every class, in a fixed random order."""
    order = np.random.RandomState(_SPLIT_SEED).permutation(len(images))
    images, labels = images[order], np.asarray(labels, dtype=np.int64)[order]
    # Every fifth of a stable sort by class: as even in each class as in all together.
    test = np.zeros(len(labels), dtype=bool)
    test[np.argsort(labels, kind="stable")[::5]] = True
    return Images(images[~test], labels[~test], images[test], labels[test])


def shipped(name: str, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """The first training images and their labels, as they are kept beside the problems.

    Parameters
    ----------
    name : str
        The file ``data/<name>.json``, which says what it is.
    levels : int
        The grey value of white.

    Returns
    -------
    tuple of ndarray
        So few that the problems of the zoo need nothing but NumPy.
    """
    record = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    return np.asarray(record["images"]) / levels, np.asarray(record["labels"], dtype=np.int64)


def library(module: str, package: str, images: str) -> Any:
    """The module that has the images.

    Raises
    ------
    ValueError
        Where its package is not installed, with what installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{images} come with the package {package}, which cannot be imported ({error}); "
            "pip install 'adjointbench[train]'"
        ) from error


def first(images: np.ndarray, labels: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `batch` of them.

    Raises
    ------
    ValueError
        Where there are not so many.
    """
    if not 1 <= batch <= len(images):
        raise ValueError(
            f"batch={batch!r} must lie between 1 and {len(images)}, the number of training images"
        )
    return images[:batch], labels[:batch]
