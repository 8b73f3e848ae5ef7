"""Handwritten digits of 8 x 8 pixels, told apart by a neural ODE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..neural.image_classifier import image_classifier
from ..neural.image_data import Images, first, library, shipped, split
from ..problem import Problem
from ..registry import register

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: Images beside the problem, and the grey value of white.
_SHIPPED, _WHITE = 32, 16


@register(tags=("neural", "classifier"))
def digits(
    *, batch: int = 32, hidden: int = 32, seed: int = 0, dtype: DTypeLike = "float64"
) -> Problem:
    r"""A neural ODE classifier of small digits, at the start of its training.

    .. math::
        y' = \tanh(W_2^T [\tanh(W_1^T [y; t] + b_1); t] + b_2), \quad y(0) = x, \qquad
        L = -\frac{1}{N} \sum_n \log \mathrm{softmax}(V^T y_n(1) + c)_{l_n}

    The state has shape ``(batch, 64)``: every image x_n flows on its own through a network
    64-`hidden`-64, to whose layers time is one more input, and a linear head turns the end points
    into ten logits, compared with the labels l_n by cross-entropy.

    Parameters: ``w1``, ``b1``, ``w2``, ``b2``, ``head_w`` V, ``head_b`` c; seeded. Constants:
    ``labels``, integers. Non-stiff and easy to solve; states and parameters are both many, so the
    work is in the products of a few matrices, and the rate depends on time. More than 32 images
    need scikit-learn.

    References: A. Pal, Y. Ma, V. Shah, C. Rackauckas, ICML 2021, arXiv:2105.03918, for the
    network; C. Kaynak, Methods of combining multiple classifiers and their applications to
    handwritten digit recognition, MSc thesis, Bogazici University, 1995, for the images.
    """
    images, labels = shipped("digits", _WHITE) if batch <= _SHIPPED else load()[:2]
    return image_classifier(
        "digits", *first(images, labels, batch), hidden=hidden, seed=seed, biases=0.1
    ).with_dtype(dtype)


def load() -> Images:
    """All 1,797 digits of scikit-learn: 1,437 to train and 360 to test, evenly by class.

    Returns
    -------
    Images
        ``(train_x, train_y, test_x, test_y)``: rows of 64 numbers between 0 and 1, and integers.

    Raises
    ------
    ValueError
        Where scikit-learn is not installed.
    """
    found = library("sklearn.datasets", "scikit-learn", "the 8 x 8 digits").load_digits()
    return split(found.data / _WHITE, found.target)
