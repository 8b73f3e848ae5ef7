"""The problems: what is solved, and which gradient is asked for.

``names()`` lists the zoo, ``get(name, **settings)`` makes one of its problems, ``Problem`` makes
your own.
"""

from .problem import Problem
from .registry import entry, get, names

__all__ = ["Problem", "entry", "get", "names"]
