"""What classifiers share: a linear head on the end points, and how wrong its answers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from array_api_compat import array_namespace


def cross_entropy(ys: Any, p: Mapping[str, Any]) -> Any:
    r"""The loss of a classifier: the mean of :math:`-\log \mathrm{softmax}(V^T y(T) + c)_l`.

    Parameters
    ----------
    ys : array, shape (saves, batch, n)
        The last save counts.
    p : mapping of str to array
        ``head_w`` V of shape ``(n, classes)``, ``head_b`` c, and ``labels`` l, integers of shape
        ``(batch,)`` from 0 on.

    Returns
    -------
    array
        A scalar, analytic in `ys` and the head.
    """
    xp = array_namespace(ys)
    logits = _logits(ys, p)
    # The shift keeps exp in range and cancels; as a real number it leaves the loss analytic.
    shift = xp.max(_real(logits), axis=-1, keepdims=True)
    log_sum = shift[:, 0] + xp.log(xp.sum(xp.exp(logits - shift), axis=-1))
    return xp.mean(log_sum - _picked(logits, p["labels"]))


def correct(ys: Any, p: Mapping[str, Any]) -> Any:
    """For each sample whether its largest logit is that of its label; boolean, ``(batch,)``."""
    xp = array_namespace(ys)
    return xp.argmax(_logits(ys, p), axis=-1) == p["labels"]


def _logits(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, ...] @ p["head_w"] + p["head_b"]


def _picked(logits: Any, labels: Any) -> Any:
    """The logit of each sample's own class.

    By comparisons with numbers: an index array would not do on every backend, and a range of
    classes would have to be made on the device of the logits.
    """
    xp = array_namespace(logits)
    right = logits[:, 0]
    for k in range(1, logits.shape[-1]):
        right = xp.where(labels == k, logits[:, k], right)
    return right


def _real(x: Any) -> Any:
    """Real part; the standard's `real` refuses numbers that are real already."""
    xp = array_namespace(x)
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x
