"""The peers: what a user would pick instead, through the public interface of its library."""

from __future__ import annotations

from .method import ADJOINT_OPTIONS, JAX_OPTIONS, Method

_DIFFRAX = "Kidger, On Neural Differential Equations (2021); Diffrax"
_DIFFRAX_SOLVERS = ("tsit5", "dopri5", "dopri8", "kvaerno5")

_CVODES_SOLVERS = ("cvodes-adams", "cvodes", "cvodes-mumps", "cvodes-gmres")
_CVODES_COMMON = frozenset({"first_step", "max_steps"})
_CVODES = "Hindmarsh et al., ACM TOMS 31 (2005) 363; Andersson et al., Math. Prog. Comp. 11 (2019)"

PEERS = (
    Method(
        name="diffrax-recursive-checkpoint",
        family="peers",
        backend="jax",
        summary="Diffrax's default: the derivative of its steps, with online checkpointing.",
        cost="about two forward passes and one reverse; memory O(n K), K checkpoints",
        reference=f"{_DIFFRAX}; Stumm, Walther, SIAM J. Sci. Comput. 32 (2010) 836",
        target="peers.diffrax:prepare_recursive_checkpoint",
        solvers=_DIFFRAX_SOLVERS,
        stiff_solver="kvaerno5",
        supports=JAX_OPTIONS | {"checkpoints"},
        requires=("jax", "diffrax"),
    ),
    Method(
        name="diffrax-direct",
        family="peers",
        backend="jax",
        summary="Diffrax's automatic differentiation of bounded loops.",
        cost="one forward pass and one reverse; memory O(n log(max_steps)) and more",
        reference=_DIFFRAX,
        target="peers.diffrax:prepare_direct",
        solvers=_DIFFRAX_SOLVERS,
        stiff_solver="kvaerno5",
        supports=JAX_OPTIONS,
        requires=("jax", "diffrax"),
    ),
    Method(
        name="diffrax-backsolve",
        family="peers",
        backend="jax",
        summary="Diffrax's continuous adjoint, state and adjoint integrated backwards together.",
        cost="one solve of n and one of 2n+p equations; memory O(1)",
        reference=f"{_DIFFRAX}; Chen et al., NeurIPS 2018",
        target="peers.diffrax:prepare_backsolve",
        solvers=_DIFFRAX_SOLVERS,
        stiff_solver="kvaerno5",
        supports=JAX_OPTIONS | ADJOINT_OPTIONS,
        requires=("jax", "diffrax"),
    ),
    Method(
        name="diffrax-forward",
        family="peers",
        backend="jax",
        summary="Diffrax's forward mode through its steps.",
        cost="n+p times the forward pass, in one sweep; memory O(1)",
        reference=_DIFFRAX,
        target="peers.diffrax:prepare_forward",
        solvers=_DIFFRAX_SOLVERS,
        stiff_solver="kvaerno5",
        supports=JAX_OPTIONS,
        requires=("jax", "diffrax"),
    ),
    Method(
        name="jax-odeint",
        family="peers",
        backend="jax",
        summary="JAX's own odeint and its continuous adjoint, backwards from save to save.",
        cost="one solve of n and one of 2n+p+1 equations; memory O(n) a save",
        reference="Chen et al., NeurIPS 2018; jax.experimental.ode",
        target="peers.jax_experimental:prepare",
        solvers=("dopri5",),
        supports=frozenset({"device", "max_steps"}),
        requires=("jax",),
    ),
    Method(
        name="cvodes-adjoint",
        family="peers",
        backend="scipy",
        summary="CVODES' adjoint sensitivity analysis, through CasADi.",
        cost="one solve of n and one of n+p equations, O(n^3+p) a stiff step; memory O(n N)",
        reference=_CVODES,
        target="peers.cvodes:prepare_adjoint",
        solvers=_CVODES_SOLVERS,
        stiff_solver="cvodes",
        supports=_CVODES_COMMON,
        requires=("casadi", "scipy"),
    ),
    Method(
        name="cvodes-forward",
        family="peers",
        backend="scipy",
        summary="Forward sensitivities by CVODES, through CasADi.",
        cost="one solve of n(1+n+p) equations that share the Jacobian; memory O(n(n+p))",
        reference=_CVODES,
        target="peers.cvodes:prepare_forward",
        solvers=_CVODES_SOLVERS,
        stiff_solver="cvodes",
        supports=_CVODES_COMMON,
        requires=("casadi", "scipy"),
    ),
)
