"""The adjoints of the open PyTorch solver."""

from __future__ import annotations

from .method import ADJOINT_OPTIONS, CHEN, EXPLICIT_SOLVERS, SANDU, Method

_COMMON = ("device", "first_step", "max_steps")


def _torch(
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
        name=f"torch-{adjoint}",
        family=family,
        backend="torch",
        adjoint=adjoint,
        summary=summary,
        cost=cost,
        reference=reference,
        target="torch.program:prepare",
        solvers=(*EXPLICIT_SOLVERS, "rodas5p", "rodas4p", "kvaerno5", "implicit_midpoint"),
        stiff_solver="rodas5p",
        supports=frozenset({*_COMMON, *extra}),
        models=frozenset({"events", "moving times", *(("mass",) if mass else ())}),
        requires=("torch",),
        version=version,
    )


ON_TORCH = (
    _torch(
        "discrete",
        "discrete",
        "Exact derivative of the accepted steps, by a reverse sweep over them: as a native loop "
        "where the equations are small and can be translated, else by PyTorch, eager or compiled.",
        "one forward and about one more pass, on PyTorch three; memory O(n) a step, or n "
        "checkpoints",
        SANDU,
        *("regularizer", "checkpoints", "compile", "engine", "linear_solver"),
        mass=True,
        version=2,
    ),
    _torch(
        "tape",
        "discrete",
        "The same by autograd's tape of every operation of the eager solver: the baseline.",
        "one forward pass and two in reverse; memory O(stages n) a step and all that rhs keeps",
        "Griewank, Walther, Evaluating Derivatives, 2nd ed. (2008)",
        *("regularizer", "differentiate_step_size", "linear_solver"),
        mass=True,
    ),
    _torch(
        "forward",
        "discrete",
        "Forward mode through the accepted steps of the eager solver.",
        "n+p times the forward pass, in one sweep; memory O(n+p)",
        "Griewank, Walther, Evaluating Derivatives, 2nd ed. (2008)",
        *("regularizer", "differentiate_step_size", "linear_solver"),
        mass=True,
    ),
    _torch(
        "backsolve",
        "continuous",
        "State, adjoint and quadrature integrated backwards together. Not recommended: the "
        "state's own backward equation can be unstable, and the status does not tell.",
        "one solve of n and one of 2n+p equations; memory O(1)",
        CHEN,
        *("compile", "linear_solver", *sorted(ADJOINT_OPTIONS)),
    ),
    _torch(
        "backsolve-seminorm",
        "continuous",
        "Backsolve with the quadrature left out of the error norm.",
        "as backsolve, with fewer reverse steps; memory O(1)",
        "Kidger, Chen, Lyons, ICML 2021",
        *("compile", "linear_solver", *sorted(ADJOINT_OPTIONS)),
    ),
    _torch(
        "interpolating",
        "continuous",
        "Adjoint and quadrature integrated backwards against the forward dense output.",
        "one solve of n and one of n+p equations; memory O(n) a step",
        "Rackauckas et al., arXiv 2001.04385",
        *("compile", "linear_solver", *sorted(ADJOINT_OPTIONS)),
    ),
    _torch(
        "quadrature",
        "continuous",
        "Adjoint alone integrated backwards; the parameters' gradient by quadrature afterwards, "
        "its error controlled.",
        "two solves of n equations and one quadrature; memory O(n) a step of either",
        "Rackauckas et al., arXiv 2001.04385; Kim et al., Chaos 31 (2021) 093122",
        *("compile", "linear_solver", *sorted(ADJOINT_OPTIONS)),
        version=2,
    ),
)
