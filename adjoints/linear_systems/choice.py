"""Which linear systems serve implicit steps, whatever the framework."""

from __future__ import annotations

from .colored_pattern import ColoredPattern
from .fill import fills_up

#: Those with the few entries of a pattern, which a native loop does not have.
OF_FEW_ENTRIES = ("banded", "sparse", "gmres")

CHOICES = ("auto", "dense", *OF_FEW_ENTRIES)

#: Systems of fewer unknowns are dense without a look at the equations.
FEWEST_UNKNOWNS = 32

#: Sparse is what has no more entries than this share of all, and no more products than this share
#: of the columns; banded what has no more diagonals than this.
MOST_ENTRIES, MOST_PRODUCTS, MOST_DIAGONALS = 0.2, 0.5, 16

#: Fewer unknowns are eliminated sooner by LAPACK's dense factors than by SuperLU on the host.
FEWEST_FOR_SUPERLU = 100

#: GMRES is faster where complete factors have more entries than so many times those of the matrix:
#: from 20 points a side on in space; in the plane there are 25 with 256 a side and two components.
MOST_FILL = 30


def is_dense(choice: str, size: int) -> bool:
    """Whether the system is dense, whatever the equations are."""
    return choice == "dense" or (choice == "auto" and size < FEWEST_UNKNOWNS)


def has_few_entries(found: ColoredPattern) -> bool:
    """Whether a matrix is formed sooner by its entries than by all its columns."""
    size = found.pattern.size
    few = found.pattern.entries <= MOST_ENTRIES * size**2
    return few and found.products <= MOST_PRODUCTS * size


def kind_for(choice: str, found: ColoredPattern, *, bands: bool = True) -> str:
    """``"dense"``, ``"banded"``, ``"sparse"`` or ``"gmres"``, for a pattern.

    Parameters
    ----------
    choice : str
        One of :data:`CHOICES`.
    found : ColoredPattern
    bands : bool
        Whether there is something that factorises bands.

    Raises
    ------
    ValueError
        Where a banded system is asked for and cannot be had.
    """
    pattern, size = found.pattern, found.pattern.size
    if choice == "auto" and not has_few_entries(found):
        return "dense"
    can_be_banded = bands and sum(pattern.bands) < MOST_DIAGONALS
    if choice == "banded" and not can_be_banded:
        below, above = pattern.bands
        raise ValueError(
            refusal(choice, f"the Jacobian has {below} diagonals below, {above} above")
        )
    if can_be_banded and choice in ("auto", "banded"):
        return "banded"
    if choice != "auto":
        return choice
    if size < FEWEST_FOR_SUPERLU:
        return "dense"
    return "gmres" if fills_up(pattern, MOST_FILL) else "sparse"


def refusal(choice: str, reason: str) -> str:
    """In words, that a choice cannot be had, and what can."""
    return f"linear_solver={choice!r}: {reason}; use linear_solver='auto' or 'dense'"
