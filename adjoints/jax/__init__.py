"""Adjoints in JAX."""

from .sde import BrownianPath, StochasticSolution, solve_sde
from .second_order import gauss_newton_product, hessian, hessian_vector_product
from .solution import Solution
from .solve import solve
from .value_and_gradient import value_and_gradient

__all__ = [
    "BrownianPath",
    "Solution",
    "StochasticSolution",
    "gauss_newton_product",
    "hessian",
    "hessian_vector_product",
    "solve",
    "solve_sde",
    "value_and_gradient",
]
