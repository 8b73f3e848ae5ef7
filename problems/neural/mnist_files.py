"""Reading the full MNIST from files: Keras' archive, or the four IDX files."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

_KERAS = ("x_train", "y_train", "x_test", "y_test")
_IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_WHAT_WOULD_DO = (
    f"pass an .npz file with {', '.join(_KERAS)}, or a folder with {', '.join(_IDX)}, each with "
    "or without .gz"
)
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, ValueError)
_PIXELS = 28 * 28

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def read(path: str) -> Arrays:
    """Images and labels of the training set and of the test set.

    Parameters
    ----------
    path : str
        An ``.npz`` file with Keras' names, ``x_train``, ``y_train``, ``x_test``, ``y_test``, or a
        folder with the four IDX files under their published names, each with or without ``.gz``.

    Returns
    -------
    tuple of ndarray
        Images of shape ``(n, 784)`` with grey values from 0 to 255, and labels, int64, of shape
        ``(n,)``; training, then test.

    Raises
    ------
    ValueError
        Where a file is missing, cannot be read or is not what its name says, with what was found
        and what would do.
    """
    place = Path(str(path)).expanduser()
    if not place.exists():
        raise ValueError(f"path={path!r} does not exist; {_WHAT_WOULD_DO}")
    arrays = _from_folder(place) if place.is_dir() else _from_npz(place)
    train, test = (
        _checked(path, kind, *arrays[i : i + 2]) for i, kind in ((0, "training"), (2, "test"))
    )
    return (*train, *test)


def _checked(
    path: str, kind: str, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    fits = images.ndim > 1 and images.size == len(images) * _PIXELS
    if not fits or labels.shape != images.shape[:1] or not len(images):
        raise ValueError(
            f"path={path!r}: the {kind} images have shape {images.shape} and their labels "
            f"{labels.shape}; images of shape (n, 28, 28) and labels of shape (n,) are needed"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"path={path!r}: the {kind} labels are {labels.dtype} from {labels.min()} to "
            f"{labels.max()}; integers from 0 to 9 are needed"
        )
    if images.dtype.kind not in "biuf" or images.min() < 0 or not 1 < images.max() <= 255:
        raise ValueError(
            f"path={path!r}: the {kind} images are {images.dtype} from {images.min()} to "
            f"{images.max()}; grey values from 0 to 255 are needed"
        )
    return images.reshape(len(images), _PIXELS), labels.astype(np.int64)


def _from_npz(file: Path) -> Arrays:
    try:
        # A plain .npy file is loaded as an array, which is no context.
        with file.open("rb") as stream, np.load(stream) as archive:
            found = {name: archive[name] for name in archive.files}
    except (*_BROKEN, AttributeError, TypeError) as error:
        raise ValueError(
            f"path={str(file)!r} cannot be read as .npz ({error}); {_WHAT_WOULD_DO}"
        ) from error
    missing = [name for name in _KERAS if name not in found]
    if missing:
        raise ValueError(
            f"path={str(file)!r} lacks {', '.join(missing)} and has "
            f"{', '.join(found) or 'no arrays'}; {_WHAT_WOULD_DO}"
        )
    train_x, train_y, test_x, test_y = (found[name] for name in _KERAS)
    return train_x, train_y, test_x, test_y


def _from_folder(folder: Path) -> Arrays:
    train_x, train_y, test_x, test_y = (_read_idx(_one_of(folder, name)) for name in _IDX)
    return train_x, train_y, test_x, test_y


def _one_of(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    here = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
    raise ValueError(f"path={str(folder)!r} has no {name}, it has {here}; {_WHAT_WOULD_DO}")


def _read_idx(file: Path) -> np.ndarray:
    """An array of bytes: two zero bytes, the type 8, the number of axes, their sizes, the data."""
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except _BROKEN as error:
        raise ValueError(f"path: {file} cannot be read ({error}); fetch it again") from error
    axes = 3 if "images" in file.name else 1
    magic = bytes((0, 0, 8, axes))
    if data[:4] != magic:
        raise ValueError(
            f"path: {file} begins with {data[:4].hex(' ') or 'nothing'}, and IDX of {axes} axes "
            f"with {magic.hex(' ')}; fetch it again"
        )
    head = 4 + 4 * axes
    sizes = struct.unpack(f">{axes}I", data[4:head]) if len(data) >= head else ()
    values = np.frombuffer(data[head:], dtype=np.uint8)
    if values.size != int(np.prod(sizes)):
        raise ValueError(
            f"path: {file} has {values.size} values, and its head says "
            f"{' x '.join(map(str, sizes)) or 'nothing'}; fetch it again"
        )
    return values.reshape(sizes)
