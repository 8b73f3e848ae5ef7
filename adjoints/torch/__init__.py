"""Adjoints in PyTorch."""

from .solve import Solution, solve

__all__ = ["Solution", "solve"]
