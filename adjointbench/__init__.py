"""Gradients of differential-equation solvers: problems, adjoint methods, measurements.

>>> import adjointbench as ab
>>> problem = ab.problems.get("lotka_volterra")
>>> result = ab.gradient(problem, method="jax-discrete", rtol=1e-8)
>>> result.status
'ok'

Importing this loads NumPy alone; a method imports its own framework when it is prepared.
"""

from pathlib import Path as _Path

# In a checkout the folders that are mounted here lie beside this one (see pyproject.toml), so
# that a Python that was started there finds all of them, installed in editable mode or not.
if not (_Path(__file__).parent / "problems").is_dir():
    __path__.append(str(_Path(__file__).parents[1]))

# Absolute imports: below this folder's own path there is no `problems`.
from adjointbench import problems
from adjointbench.adjoints.gradient import gradient, prepare
from adjointbench.adjoints.methods import methods
from adjointbench.adjoints.regularizers.regularizer import Regularizer
from adjointbench.adjoints.result import GradientResult
from adjointbench.problems import Event, Problem

__version__ = "0.1.0"

__all__ = [
    "Event",
    "GradientResult",
    "Problem",
    "Regularizer",
    "__version__",
    "gradient",
    "methods",
    "prepare",
    "problems",
]
