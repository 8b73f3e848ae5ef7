"""The quick part of the suite: which methods, at which tolerances."""

from __future__ import annotations

#: One of each kind, and the peers a user would pick instead; what takes longest comes first, so
#: that no core is left with it in the end.
QUICK_METHODS = (
    "jax-odeint",
    "diffrax-backsolve",
    "diffrax-recursive-checkpoint",
    "jax-gauss",
    "jax-backsolve",
    "torchode-autodiff",
    "torchdiffeq-backprop",
    "finite-difference",
    "torch-blackbox",
    "jax-forward",
    "scipy-adjoint",
    "scipy-forward",
    "torch-discrete",
    "jax-discrete",
    "cvodes-adjoint",
)

QUICK_LADDER = (1e-3, 1e-6, 1e-9)

#: Those whose error bars are measured, too: a method that is compiled is compiled once more for
#: it, and other discrete adjoints take the same steps.
QUICK_ERROR_BARS = ("jax-discrete", "torch-discrete")
