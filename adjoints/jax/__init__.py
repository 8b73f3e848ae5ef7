"""Adjoints in JAX."""

from .second_order import gauss_newton_product, hessian, hessian_vector_product
from .solution import Solution
from .solve import solve
from .value_and_gradient import value_and_gradient

__all__ = [
    "Solution",
    "gauss_newton_product",
    "hessian",
    "hessian_vector_product",
    "solve",
    "value_and_gradient",
]
