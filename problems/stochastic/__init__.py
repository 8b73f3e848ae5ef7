"""Stochastic differential equations: what is solved, and which pathwise gradient is asked for.

``names()`` lists them, ``get(name, **settings)`` makes one, ``SdeProblem`` makes your own.
"""

from .problem import PathwiseGradient, SampledPath, SdeProblem
from .table import get, names

__all__ = ["PathwiseGradient", "SampledPath", "SdeProblem", "get", "names"]
