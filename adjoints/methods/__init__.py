"""The table of adjoint methods."""

from .method import Method
from .table import METHODS, get_method, method_of, methods

__all__ = ["METHODS", "Method", "get_method", "method_of", "methods"]
