"""POLLU: air pollution, twenty species and twenty-five reactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: The reactions: rate constant, the species (from 1) that it is proportional to, what is used
#: up, what is made.
_REACTIONS: tuple[tuple[float, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = (
    (0.35, (1,), (1,), (2, 3)),
    (26.6, (2, 4), (2, 4), (1,)),
    (1.23e4, (5, 2), (5, 2), (6, 1)),
    (8.6e-4, (7,), (7,), (5, 5, 8)),
    (8.2e-4, (7,), (7,), (8,)),
    (1.5e4, (7, 6), (7, 6), (8, 5)),
    (1.3e-4, (9,), (9,), (10, 8, 5)),
    (2.4e4, (9, 6), (9, 6), (11,)),
    (1.65e4, (11, 2), (11, 2), (1, 10, 12)),
    (9.0e3, (11, 1), (11, 1), (13,)),
    (2.2e-2, (13,), (13,), (11, 1)),
    (1.2e4, (10, 2), (10, 2), (14, 1)),
    (1.88, (14,), (14,), (7, 5)),
    (1.63e4, (1, 6), (1, 6), (15,)),
    (4.8e6, (3,), (3,), (4,)),
    (3.5e-4, (4,), (4,), (16,)),
    (1.75e-2, (4,), (4,), (3,)),
    (1.0e8, (16,), (16,), (6, 6)),
    (4.44e11, (16,), (16,), (3,)),
    (1.24e3, (17, 6), (17, 6), (18, 5)),
    (2.1, (19,), (19,), (2,)),
    (5.78, (19,), (19,), (1, 3)),
    (4.74e-2, (1, 4), (1, 4), (19,)),
    (1.78e3, (19, 1), (19, 1), (20,)),
    (3.12, (20,), (20,), (19, 1)),
)

_START = {2: 0.2, 4: 0.04, 7: 0.1, 8: 0.3, 9: 0.01, 17: 0.007}


@register(tags=("kinetics",), stiff=True)
def pollu(*, t_end: float = 60.0, save_every: float = 0.5) -> Problem:
    r"""The chemical part of an air pollution model: 20 species, 25 rate constants.

    .. math::
        y' = S\, (k \circ r(y)), \qquad L = \frac{1}{2} \sum_i \sum_j (1 - y_j(t_i))^2

    with r_i the product of the concentrations that react in reaction i and S the stoichiometric
    matrix, saved every `save_every` from 0 to `t_end`. The rate constants ``k`` run from 8.2e-4
    to 4.44e11, and so do the time scales; most species start at zero and some stay near 1e-16,
    so that absolute tolerances matter.

    Reference: J. G. Verwer, SIAM J. Sci. Comput. 15 (1994) 1243-1250; the loss is that of
    Y. Ma, V. Dixit, M. Innes, X. Guo, C. Rackauckas, HPEC 2021, arXiv:1812.01892.
    """
    species = len(_START) + 14
    start = np.zeros(species)
    for number, value in _START.items():
        start[number - 1] = value
    return Problem(
        name="pollu",
        rhs=_rhs,
        y0=start,
        params={"k": np.array([reaction[0] for reaction in _REACTIONS])},
        constants={"stoichiometry": _stoichiometry(species)},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, round(t_end / save_every) + 1),
        loss=_loss,
    )


def _stoichiometry(species: int) -> np.ndarray:
    """What each reaction makes of each species, less what it uses up: shape (20, 25)."""
    matrix = np.zeros((species, len(_REACTIONS)))
    for column, (_, _, used, made) in enumerate(_REACTIONS):
        for number in used:
            matrix[number - 1, column] -= 1.0
        for number in made:
            matrix[number - 1, column] += 1.0
    return matrix


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    products = []
    for _, reactants, _, _ in _REACTIONS:
        product = y[reactants[0] - 1]
        for number in reactants[1:]:
            product = product * y[number - 1]
        products.append(product)
    return p["stoichiometry"] @ (p["k"] * xp.stack(products))


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum((1.0 - ys) ** 2) / 2.0
