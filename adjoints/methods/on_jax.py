"""The adjoints of the open JAX solver."""

from __future__ import annotations

from .method import (
    ADJOINT_OPTIONS,
    CHEN,
    EXPLICIT_SOLVERS,
    IMPLICIT_SOLVERS,
    JAX_OPTIONS,
    SANDU,
    Method,
)


def _jax(
    adjoint: str,
    family: str,
    summary: str,
    cost: str,
    reference: str,
    *extra: str,
    mass: bool = False,
    version: int = 1,
) -> Method:
    return Method(
        name=f"jax-{adjoint}",
        family=family,
        backend="jax",
        adjoint=adjoint,
        summary=summary,
        cost=cost,
        reference=reference,
        target="jax.program:prepare",
        solvers=EXPLICIT_SOLVERS + IMPLICIT_SOLVERS,
        stiff_solver="rodas5p",
        supports=JAX_OPTIONS | {"linear_solver"} | set(extra),
        models=frozenset({"events", "moving times", *(("mass",) if mass else ())}),
        requires=("jax", "scipy"),
        version=version,
    )


#: Adjoints of the open JAX solver.
ON_JAX = (
    _jax(
        "discrete",
        "discrete",
        "Exact derivative of the accepted steps, by a reverse sweep written out over them: as a "
        "native loop where the equations are small and can be translated, else compiled by XLA.",
        "one forward and about one more pass, on XLA three; memory O(n) a step, or n checkpoints",
        SANDU,
        *("regularizer", "differentiate_step_size", "checkpoints", "engine"),
        mass=True,
        version=2,
    ),
    _jax(
        "forward",
        "discrete",
        "Forward mode through the accepted steps.",
        "n+p times the forward pass, in one sweep; memory O(1)",
        "Griewank, Walther, Evaluating Derivatives, 2nd ed. (2008)",
        *("regularizer", "differentiate_step_size"),
        mass=True,
    ),
    _jax(
        "backsolve",
        "continuous",
        "State, adjoint and quadrature integrated backwards together. Not recommended: the "
        "state's own backward equation can be unstable, and the status does not tell.",
        "one solve of n and one of 2n+p equations; memory O(1)",
        CHEN,
        *ADJOINT_OPTIONS,
    ),
    _jax(
        "backsolve-seminorm",
        "continuous",
        "Backsolve with the quadrature left out of the error norm.",
        "as backsolve, with fewer reverse steps; memory O(1)",
        "Kidger, Chen, Lyons, ICML 2021",
        *ADJOINT_OPTIONS,
    ),
    _jax(
        "interpolating",
        "continuous",
        "Adjoint and quadrature integrated backwards against the forward dense output.",
        "one solve of n and one of n+p equations; memory O(n) a step, or n checkpoints",
        "Rackauckas et al., arXiv 2001.04385",
        *ADJOINT_OPTIONS,
        "checkpoints",
    ),
    _jax(
        "quadrature",
        "continuous",
        "Adjoint alone integrated backwards; the parameters' gradient by quadrature afterwards, "
        "its error controlled.",
        "two solves of n equations and one quadrature; memory O(n) a step of either",
        "Rackauckas et al., arXiv 2001.04385; Kim et al., Chaos 31 (2021) 093122",
        *ADJOINT_OPTIONS,
        "checkpoints",
        version=2,
    ),
    _jax(
        "gauss",
        "continuous",
        "Adjoint alone integrated backwards; Gauss quadrature on each of its steps, its error "
        "controlled.",
        "two solves of n equations and one quadrature; memory O(n) a step",
        "Norcliffe, Deisenroth, arXiv 2301.12420",
        *ADJOINT_OPTIONS,
        "checkpoints",
        version=2,
    ),
)
