"""``SdeProblem``: a stochastic differential equation with diagonal noise, and a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..function_checks import A_SCALAR, LIKE_Y0, check_function, checked_function
from ..initial_value import Array, InitialValue, Loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: ``drift(t, y, p)``, and ``diffusion(t, y, p)``.
Coefficient = Callable[[Array, Array, Mapping[str, Array]], Array]


class SampledPath(NamedTuple):
    r"""A Brownian path on a grid of `m` intervals.

    Attributes
    ----------
    times : ndarray of shape (m + 1,)
    increments : ndarray of shape (m, *y0.shape)
        ``W(t[k+1]) - W(t[k])``.
    areas : ndarray of shape (m, *y0.shape)
        The space-time Lévy area of each interval of length h,
        :math:`\frac{1}{h} \int (W_s - W_{t_k} - \frac{s - t_k}{h} W_{t_k, t_{k+1}})\,ds`
        (J. Foster, T. Lyons, H. Oberhauser, SIAM J. Numer. Anal. 58(3), 2020).
    """

    times: np.ndarray
    increments: np.ndarray
    areas: np.ndarray


class PathwiseGradient(NamedTuple):
    """What a path gives: the states at the save times, the loss, and its derivatives."""

    ys: np.ndarray
    loss: float
    dparams: dict[str, np.ndarray]
    dy0: np.ndarray


#: ``exact(params, y0, path) -> PathwiseGradient``; the save times are on the grid of the path.
Exact = Callable[[Mapping[str, np.ndarray], np.ndarray, SampledPath], PathwiseGradient]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class SdeProblem(InitialValue):
    """The Itô equation ``dy = drift(t, y, p) dt + diffusion(t, y, p) dW``, and a loss.

    The noise is diagonal: each component of the state has a Brownian motion of its own, and
    ``diffusion`` is multiplied with it by elements. The functions are written in the Python array
    API standard, as those of :class:`adjointbench.Problem`.

    Parameters
    ----------
    name : str
    drift, diffusion : callable
        ``(t, y, p) -> array``, in the shape and dtype of ``y``.
    y0 : array_like
        Start value, of any shape. Integers become float64.
    params : mapping of str to array_like
        What the gradient is taken to, arrays of any shape.
    t_span : (float, float)
        Start and end, increasing.
    save_at : array_like, optional
        The times, strictly increasing and inside the span, whose states the loss sees; the end
        of the span by default.
    loss : callable
        ``loss(ys, p) -> scalar``, with ``ys`` of shape ``(len(save_at), *y0.shape)``.
    constants : mapping of str to array_like
        Named arrays that are not differentiated.
    additive : bool
        Whether ``diffusion`` does not depend on ``y``, so that methods for additive noise apply.
    exact : callable, optional
        ``exact(params, y0, path)``: the :class:`PathwiseGradient` of a :class:`SampledPath`.

    Raises
    ------
    ValueError
        Where something does not fit, naming the argument, what it got and what would do.
    """

    drift: Coefficient
    diffusion: Coefficient
    additive: bool
    exact: Exact | None

    def __init__(
        self,
        *,
        name: str,
        drift: Coefficient,
        diffusion: Coefficient,
        y0: ArrayLike,
        params: Mapping[str, ArrayLike],
        t_span: Sequence[float],
        loss: Loss,
        save_at: ArrayLike | None = None,
        constants: Mapping[str, ArrayLike] | None = None,
        additive: bool = False,
        exact: Exact | None = None,
    ) -> None:
        self._set_values(name, y0, params, constants, t_span, save_at)
        if exact is not None:
            check_function("exact", exact)
        start, p = self.y0, self.merged()
        at = (np.asarray(self.t_span[0], dtype=self.dtype), start, p)
        like_y0 = (start.shape, LIKE_Y0, self.dtype)
        noise = checked_function("diffusion", diffusion, *like_y0, *at)
        if additive:
            _check_additive(noise, *at)
        saved = np.stack([start] * len(self.save_at))
        self._set(
            drift=checked_function("drift", drift, *like_y0, *at),
            diffusion=noise,
            loss=checked_function("loss", loss, (), A_SCALAR, self.dtype, saved, p),
            additive=bool(additive),
            exact=exact,
        )

    def __repr__(self) -> str:
        return (
            f"SdeProblem({self.name!r}: {self.n_states} states {self.y0.shape}, "
            f"{self.n_params} parameters, {self.dtype}, t in {list(self.t_span)}, "
            f"{len(self.save_at)} saves{', additive noise' if self.additive else ''})"
        )


def _check_additive(
    diffusion: Coefficient, t: np.ndarray, y: np.ndarray, p: Mapping[str, np.ndarray]
) -> None:
    elsewhere = y + (np.abs(y) + 1) / 8
    if not np.array_equal(diffusion(t, y, p), diffusion(t, elsewhere, p)):
        raise ValueError("additive=True, but diffusion(t, y, p) changes with y; leave additive out")
