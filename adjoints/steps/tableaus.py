"""The one-step methods by their names."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..arguments import check_name
from .dirk_tableaus import DIAGONALLY_IMPLICIT
from .explicit_tableaus import EXPLICIT
from .rosenbrock_tableaus import ROSENBROCK
from .tableau import Tableau


@cache
def tableau(name: str, argument: str = "solver") -> Tableau:
    """The coefficients of the method called `name`; ``ValueError`` for an unknown name."""
    makers = {**EXPLICIT, **ROSENBROCK, **DIAGONALLY_IMPLICIT, "auto": _auto}
    check_name(argument, name, tuple(makers))
    return makers[name]()


def _auto() -> Tableau:
    """The two methods between which a solve switches, in one form.

    The "stages" of a step are the embedded error and the powers of the dense output, which both
    methods have of the same degree.
    """
    degree = ROSENBROCK["rodas5p"]().dense.shape[1]
    return Tableau(
        name="auto",
        order=5,
        error_order=4,
        c=np.zeros(1 + degree),
        a=np.zeros((1 + degree, 1 + degree)),
        steps=1 + degree,
        error=np.eye(1 + degree)[0],
        dense=np.eye(1 + degree)[:, 1:],
        stiffness_stages=(0, 0),
        source="tsit5 and rodas5p; L. Petzold, SIAM J. Sci. Stat. Comput. 4 (1983) 136-148",
        kind="auto",
        weights=np.zeros(1 + degree),
    )
