"""Gradients of differential-equation solvers: problems, adjoint methods, measurements.

>>> import adjointbench as ab
>>> problem = ab.problems.get("lotka_volterra")
>>> result = ab.gradient(problem, method="jax-discrete", rtol=1e-8)
>>> result.status
'ok'

Importing this loads NumPy alone; a method imports its own framework when it is prepared.
"""

# Absolute imports: below this folder's own path there is no `problems` (see pyproject.toml).
from adjointbench import problems
from adjointbench.adjoints.gradient import gradient, prepare
from adjointbench.adjoints.methods import methods
from adjointbench.adjoints.regularizers.regularizer import Regularizer
from adjointbench.adjoints.result import GradientResult
from adjointbench.problems import Problem

__version__ = "0.1.0"

__all__ = [
    "GradientResult",
    "Problem",
    "Regularizer",
    "__version__",
    "gradient",
    "methods",
    "prepare",
    "problems",
]
