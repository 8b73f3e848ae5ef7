"""Adjoints in PyTorch."""

from .solve import Solution, solve
from .value_and_gradient import value_and_gradient

__all__ = ["Solution", "solve", "value_and_gradient"]
