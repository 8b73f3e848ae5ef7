"""The adjoints on SciPy's solvers, and the baselines."""

from __future__ import annotations

from .method import ADJOINT_OPTIONS, CVODES, JAX_OPTIONS, SCIPY_OPTIONS, Method

#: Whatever happens at times that are not known beforehand.
EVENTS = frozenset({"events", "moving times"})

#: Adjoints on SciPy's solvers, and the baselines.
ON_SCIPY = (
    Method(
        name="scipy-forward",
        family="continuous",
        backend="scipy",
        adjoint="sensitivities",
        summary="Forward sensitivity equations, integrated with the state under one error control.",
        cost="one solve of n(1+n+p) equations; implicit: O(n^3(n+p))",
        reference=CVODES,
        target="scipy.forward:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="radau",
        supports=SCIPY_OPTIONS,
        models=EVENTS,
        requires=("scipy",),
    ),
    Method(
        name="scipy-adjoint",
        family="continuous",
        backend="scipy",
        adjoint="interpolating",
        summary="Continuous adjoint with its quadrature, backwards along the dense output.",
        cost="one solve of n and one of n+p equations; memory O(nN) for the dense output",
        reference="Cao, Li, Petzold, Serban, SIAM J. Sci. Comput. 24 (2003) 1076",
        target="scipy.continuous:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="radau",
        supports=SCIPY_OPTIONS | ADJOINT_OPTIONS,
        models=EVENTS,
        requires=("scipy",),
    ),
    Method(
        name="jax-blackbox",
        family="blackbox",
        backend="jax",
        adjoint="blackbox",
        summary="SciPy's solvers behind a callback, with the continuous adjoint as their gradient.",
        cost="as scipy-adjoint and one more forward solve; memory O(1) between the passes",
        reference="the adjoint of scipy-adjoint; jax.pure_callback with jax.custom_vjp",
        target="jax.blackbox_program:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="lsoda",
        supports=JAX_OPTIONS | ADJOINT_OPTIONS,
        models=EVENTS,
        requires=("jax", "scipy"),
    ),
    Method(
        name="finite-difference",
        family="blackbox",
        backend="scipy",
        adjoint="finite-difference",
        summary="Central differences of the whole adaptive solve.",
        cost="1+2(n+p) solves; memory O(1)",
        reference="Gill, Murray, Wright, Practical Optimization (1981), section 8.6",
        target="scipy.finite_difference:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="radau",
        supports=SCIPY_OPTIONS,
        models=EVENTS,
        requires=("scipy",),
    ),
    Method(
        name="complex-step",
        family="blackbox",
        backend="scipy",
        adjoint="complex-step",
        summary="One solve in the complex plane a component; for analytic equations only.",
        cost="1+n+p solves; memory O(1)",
        reference="Squire, Trapp, SIAM Review 40 (1998) 110",
        target="scipy.complex_step:prepare",
        solvers=("dop853", "rk45", "bdf"),
        stiff_solver="bdf",
        supports=SCIPY_OPTIONS,
        models=EVENTS,
        requires=("scipy",),
    ),
)

#: SciPy's solvers inside PyTorch programs.
INSIDE_TORCH = (
    Method(
        name="torch-blackbox",
        family="blackbox",
        backend="torch",
        adjoint="blackbox",
        summary="SciPy's solvers as one operation of autograd, with the continuous adjoint.",
        cost="as scipy-adjoint; memory O(nN) for the dense output",
        reference="the adjoint of scipy-adjoint; torch.autograd.Function",
        target="torch.blackbox_program:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="lsoda",
        supports=frozenset({"first_step", "max_steps", "device"}) | ADJOINT_OPTIONS,
        models=EVENTS,
        requires=("torch", "scipy"),
    ),
)

ON_SCIPY += INSIDE_TORCH
