"""The quick part of the suite: which methods, at which tolerances."""

from __future__ import annotations

#: One of each kind, and the peers a user would pick instead.
QUICK_METHODS = (
    "torch-discrete",
    "torchode-autodiff",
    "torchdiffeq-backprop",
    "torch-blackbox",
    "diffrax-backsolve",
    "diffrax-recursive-checkpoint",
    "jax-odeint",
    "jax-gauss",
    "jax-discrete",
    "jax-forward",
    "jax-backsolve",
    "finite-difference",
    "scipy-adjoint",
    "scipy-forward",
    "cvodes-adjoint",
)

QUICK_LADDER = (1e-3, 1e-6, 1e-9)

#: Those whose error bars are measured, too: a method that is compiled is compiled once more for
#: it, and other discrete adjoints take the same steps.
QUICK_ERROR_BARS = ("jax-discrete", "torch-discrete")
