"""Adjoints in JAX."""

from .solution import Solution
from .solve import solve
from .value_and_gradient import value_and_gradient

__all__ = ["Solution", "solve", "value_and_gradient"]
