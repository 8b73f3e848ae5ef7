"""The table of adjoint methods."""

from .method import Method
from .table import METHODS, find_method, get_method, kinds, method_of, methods, peers_on

__all__ = [
    "METHODS",
    "Method",
    "find_method",
    "get_method",
    "kinds",
    "method_of",
    "methods",
    "peers_on",
]
