"""Adjoints in JAX."""

from .solution import Solution
from .solve import solve

__all__ = ["Solution", "solve"]
