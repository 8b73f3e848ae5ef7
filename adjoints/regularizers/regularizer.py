"""``Regularizer``: what is added to a loss so that the equations become easy to solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import ERROR_NORMS, REDUCTIONS, check_name

#: The solver's own estimates that each of these adds; they depend on the accepted steps.
ON_STEPS = {
    "error": ("error",),
    "error_squared": ("error_squared",),
    "stiffness": ("stiffness",),
    "error+stiffness": ("error", "stiffness"),
}
#: Integrated along the solution, as one more component of the state.
ALONG_PATH = ("kinetic", "jacobian", "taylor")
NAMES = (*ON_STEPS, *ALONG_PATH, "steer", "local")

SAMPLINGS = ("uniform", "accepted")


@dataclass(frozen=True)
class Regularizer:
    r"""A regulariser R of neural ODEs; the gradient is that of ``loss + coefficient * R``.

    ========================  ====================================================================
    ``"error"``               R_E: the embedded error E_j of each accepted step times ``|h_j|``
    ``"error_squared"``       R_E2: the squares :math:`E_j^2`
    ``"stiffness"``           R_S: Shampine's stiffness estimate S_j of each step times ``|h_j|``
    ``"error+stiffness"``     both, each with its own coefficient
    ``"kinetic"``             :math:`\int \overline{f^2}\,dt` (RNODE)
    ``"jacobian"``            :math:`\int \overline{(\partial f/\partial y\;\epsilon)^2}\,dt`
                              with a random sign in each component of ε (RNODE, Hutchinson)
    ``"taylor"``              :math:`\int \overline{(d^K y/dt^K)^2}\,dt`, K = `order` (TayNODE)
    ``"steer"``               none: the end of the span is drawn from
                              :math:`T (1 \pm \mathrm{coefficient})` at each step (STEER)
    ``"local"``               E h of one step from a time drawn at random, with state, first
                              slope and step size there taken as constants
    ========================  ====================================================================

    The bar is the mean over the components of the state, so that coefficients do not depend on
    the batch; multiply by the number of components of a sample for sums over them.

    Parameters
    ----------
    name : str
        One of the table.
    norm : {"scaled", "absolute"}
        Of an error: the root mean square after division by the tolerances, or the Euclidean norm.
    reduction : {"sum", "mean", "max"}
        Over the accepted steps. ``norm="absolute", reduction="sum"`` is what the paper of error
        regularisation writes; ``norm="scaled", reduction="mean"`` is what its code computes, and
        what its tables were made with, coefficients included. Its code takes the largest
        stiffness estimate (``reduction="max"``), divided by 3.5068.
    order : int
        K of ``"taylor"``, at least 2.
    times : int
        Times that ``"local"`` draws from, in the middles of so many equal parts of the span.
    sampling : {"uniform", "accepted"}
        Whether ``"local"`` draws all times alike (unbiased), or as the solver's own steps lie
        (biased).
    seed : int
        Of the draws, where they are made once.

    Raises
    ------
    ValueError
        Where a name is unknown or a number makes no sense.

    References
    ----------
    A. Pal, Y. Ma, V. Shah, C. Rackauckas, ICML 2021, arXiv:2105.03918 (error, stiffness); A. Pal,
    A. Edelman, C. Rackauckas, ICML 2023, arXiv:2303.02262 (local); J. Kelly, J. Bettencourt,
    M. J. Johnson, D. Duvenaud, NeurIPS 2020, arXiv:2007.04504 (taylor); C. Finlay, J.-H. Jacobsen,
    L. Nurbekyan, A. Oberman, ICML 2020, arXiv:2002.02798 (kinetic, jacobian); A. Ghosh,
    H. S. Behl, E. Dupont, P. Torr, V. Namboodiri, NeurIPS 2020, arXiv:2006.10711 (steer).
    """

    name: str
    norm: str = "scaled"
    reduction: str = "sum"
    order: int = 3
    times: int = 8
    sampling: str = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("regularizer", self.name, NAMES)
        check_name("norm", self.norm, ERROR_NORMS)
        check_name("reduction", self.reduction, REDUCTIONS)
        check_name("sampling", self.sampling, SAMPLINGS)
        if self.order < 2:
            raise ValueError(f"order={self.order!r} must be at least 2; order 1 is 'kinetic'")
        if self.times < 1:
            raise ValueError(f"times={self.times!r} must be at least 1")

    @property
    def terms(self) -> tuple[str, ...]:
        """The solver's estimates that it adds; none where it does not depend on the steps."""
        return ON_STEPS.get(self.name, ())

    @property
    def needs_autodiff(self) -> str:
        """What must run on a framework that differentiates: ``"equations"``, ``"loss"``, ``""``."""
        if self.name in ("jacobian", "taylor"):
            return "equations"
        return "loss" if self.name == "local" else ""


def as_regularizer(value: str | Regularizer | None) -> Regularizer | None:
    """The regulariser of this name, with its defaults, or as it is."""
    if value is None or isinstance(value, Regularizer):
        return value
    return Regularizer(value)


def as_coefficients(regularizer: Regularizer | None, value: Any) -> tuple[float, ...]:
    """One coefficient for each term.

    Raises
    ------
    ValueError
        Where they are not finite numbers, or not as many as the regulariser has terms.
    """
    wanted = 1 if regularizer is None else max(1, len(regularizer.terms))
    try:
        numbers = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise ValueError(f"coefficient={value!r} is not a number") from error
    if numbers.size == 1:
        numbers = np.repeat(numbers, wanted)
    if numbers.size != wanted or not np.isfinite(numbers).all():
        some = "one finite number" if wanted == 1 else f"one finite number, or {wanted}"
        raise ValueError(f"coefficient={value!r} must be {some}")
    if regularizer is None and numbers[0] != 0.0:
        raise ValueError(
            f"coefficient={value!r} needs a regularizer; "
            f"pass regularizer= one of: {', '.join(NAMES)}"
        )
    if regularizer is not None and regularizer.name == "steer" and not 0 <= numbers[0] < 1:
        raise ValueError(
            f"coefficient={value!r} must lie between 0 and 1 for 'steer': half the width of the "
            "interval of end times, as a share of the span; 0.5 is published"
        )
    return tuple(numbers.tolist())


def estimates_of(regularizer: Regularizer | None) -> tuple[str, str]:
    """``error_norm`` and ``reduction`` by which a solver forms the estimates of a regulariser."""
    if regularizer is None:
        return "scaled", "sum"
    return regularizer.norm, regularizer.reduction
