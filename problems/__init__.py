"""The problems: what is solved, and which gradient is asked for.

``names()`` lists the zoo, ``get(name, **settings)`` makes one of its problems, ``Problem`` makes
your own, and ``load("file.py:problem")`` fetches it from a file or a module.
"""

from .event import Event
from .locate import load
from .problem import Problem
from .registry import entry, get, names

__all__ = ["Event", "Problem", "entry", "get", "load", "names"]
