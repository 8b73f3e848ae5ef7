"""Adjoints in JAX."""

from .solve import Solution, solve

__all__ = ["Solution", "solve"]
