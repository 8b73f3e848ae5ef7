"""What is known of each kind of adjoint, whatever method is of it: one line a kind.

A kind that is not here is shown like all others, and nothing is said of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...adjoints.methods.method import BACKWARD
from ...suite.measuring.names import adjoint_of
from . import published

COSTS_SOURCE = (
    "F. Sapienza et al., Differentiable programming for differential equations: a review, "
    "arXiv:2406.09699"
)


@dataclass(frozen=True)
class Attributed:
    """What the literature says of kinds on stiff problems, n states, p parameters.

    Attributes
    ----------
    name, stability, cost, memory : str
        As in :data:`COSTS_SOURCE`; K is the number of checkpoints.
    """

    name: str
    stability: str
    cost: str
    memory: str


REVERSE_AD = Attributed("reverse-mode AD of the solver", "good", "O(n³ + p)", "high")
SENSITIVITY = Attributed("forward sensitivity", "good", "O(n³ p³), less where staggered", "O(1)")
BACKSOLVE = Attributed("backsolve", "poor", "O((n + p)³)", "O(1)")
INTERPOLATING = Attributed("interpolating", "good", "O((n + p)³)", "high, O(nK) with checkpoints")
QUADRATURE = Attributed("quadrature, Gauss", "good", "O(n³ + p)", "high")

#: Why kinds break on stiff problems: said where they did.
STATE_BACKWARDS = (
    "Backsolve reconstructs the state backwards in time, and what decays fast forwards grows "
    "as fast backwards: rounding and truncation swamp the state, whatever the tolerance. The "
    "solver meets its tolerance on the wrong path, or gives up."
)
NOISE_DIVIDED = (
    "Finite differences divide the noise of an adaptive solve by the change of a parameter."
)


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of adjoint; empty where nothing is.

    Attributes
    ----------
    published : str
        The published method that comes closest, of :data:`~.published.TABLE`.
    attributed : Attributed or None
        What the literature says of its stability and cost.
    breaks : str
        Why it breaks on stiff problems.
    """

    published: str = ""
    attributed: Attributed | None = None
    breaks: str = ""


#: By the ``adjoint`` of the table of methods, in the order in which a report tells of them.
KINDS = {
    "discrete": Kind(published.TAPE, REVERSE_AD),
    "tape": Kind(published.TAPE, REVERSE_AD),
    "forward": Kind(published.FORWARD, SENSITIVITY),
    "sensitivities": Kind(attributed=SENSITIVITY),
    "backsolve": Kind(published.BACKSOLVE, BACKSOLVE, STATE_BACKWARDS),
    "backsolve-seminorm": Kind(published.BACKSOLVE, BACKSOLVE, STATE_BACKWARDS),
    "interpolating": Kind(published.INTERPOLATING, INTERPOLATING),
    "quadrature": Kind(published.QUADRATURE, QUADRATURE),
    "gauss": Kind(attributed=QUADRATURE),
    "finite-difference": Kind(published.DIFFERENCES, breaks=NOISE_DIVIDED),
}


def kind_of(method: str) -> Kind:
    """What is known of the kind of the method that a name begins with."""
    return KINDS.get(adjoint_of(method), Kind())


def silently_wrong(method: str) -> bool:
    """Whether the method that a name begins with may say ``ok`` and be wrong.

    It goes back along the state itself, which can be unstable at one parameter and not at another,
    and its status does not tell. Such a method may be the fastest; it is not recommended.
    """
    return adjoint_of(method) in BACKWARD
