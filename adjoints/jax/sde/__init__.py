"""Stochastic differential equations: solved, and differentiated over the accepted steps."""

from .path import BrownianPath
from .solution import StochasticSolution
from .solve import solve_sde

__all__ = ["BrownianPath", "StochasticSolution", "solve_sde"]
