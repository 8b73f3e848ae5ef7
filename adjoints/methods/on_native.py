"""The adjoints of the native loop."""

from __future__ import annotations

from .method import EXPLICIT_SOLVERS, SANDU, SCIPY_OPTIONS, Method

#: The equations traced, written as C and compiled: NumPy's users need no framework.
ON_NATIVE = (
    Method(
        name="native-discrete",
        family="discrete",
        backend="native",
        adjoint="discrete",
        summary="Exact derivative of the accepted steps, as one compiled C program: the steps of "
        "jax-discrete with no framework around them, for small systems.",
        cost="one forward and about one more pass; memory O(n) a step",
        reference=SANDU,
        target="native.program:prepare",
        solvers=(*EXPLICIT_SOLVERS, "rodas5p", "rodas4p"),
        stiff_solver="rodas5p",
        supports=SCIPY_OPTIONS,
        models=frozenset({"moving times"}),
        estimates=(),
    ),
)
