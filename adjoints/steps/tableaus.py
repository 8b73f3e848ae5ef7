"""The one-step methods by their names."""

from __future__ import annotations

from functools import cache

from ..arguments import check_name
from .explicit_tableaus import EXPLICIT
from .implicit_tableaus import IMPLICIT
from .tableau import Tableau


@cache
def tableau(name: str) -> Tableau:
    """The coefficients of the method called `name`; ``ValueError`` for an unknown name."""
    makers = EXPLICIT | IMPLICIT
    check_name("solver", name, tuple(makers))
    return makers[name]()
