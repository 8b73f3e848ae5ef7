"""The table of adjoint methods: one entry a method."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

EXPLICIT_SOLVERS = ("tsit5", "dopri5", "dop853", "rk4", "euler")
IMPLICIT_SOLVERS = ("rodas5p", "rodas4p", "kvaerno5", "implicit_midpoint", "auto")
SCIPY_SOLVERS = ("rk45", "dop853", "radau", "bdf", "lsoda")

FAMILIES = ("discrete", "continuous", "blackbox", "peers")
BACKENDS = ("jax", "torch", "scipy")


@dataclass(frozen=True)
class Method:
    """One adjoint method.

    Attributes
    ----------
    name, family, backend : str
        How it is called; one of :data:`FAMILIES`; one of :data:`BACKENDS`.
    summary : str
        One sentence: what it does.
    cost : str
        Work and memory, in the field's notation (n states, p parameters, N steps).
    reference : str
        Where it comes from.
    target : str
        ``"module:function"`` below this package; the function takes ``(problem, settings)``
        and returns a :class:`~adjointbench.adjoints.gradient.Program`.
    solvers : tuple of str
        The forward solvers that it can use; the first is the default for non-stiff problems.
    stiff_solver : str or None
        The default for stiff problems; ``None`` where it has no implicit solver.
    supports : frozenset of str
        The optional arguments of :func:`~adjointbench.gradient` that it honours.
    requires : tuple of str
        The packages that it imports.
    version : int
        Raised when its numbers may change: retires old benchmark results.
    """

    name: str
    family: str
    backend: str
    summary: str
    cost: str
    reference: str
    target: str
    solvers: tuple[str, ...]
    stiff_solver: str | None = None
    supports: frozenset[str] = field(default_factory=frozenset)
    requires: tuple[str, ...] = ()
    version: int = 1

    @property
    def stiff(self) -> bool:
        """Whether it has a solver fit for stiff problems."""
        return self.stiff_solver is not None


_JAX_COMMON = frozenset({"device", "first_step", "max_steps"})
_ADJOINT_SOLVE = frozenset({"adjoint_solver", "adjoint_rtol", "adjoint_atol"})


_SANDU = "Sandu, ICCS 2006; Zhang, Sandu, SIAM J. Sci. Comput. 36 (2014) C504"
_CHEN = "Chen, Rubanova, Bettencourt, Duvenaud, NeurIPS 2018"


def _jax(name: str, family: str, summary: str, cost: str, reference: str, *extra: str) -> Method:
    return Method(
        name=name,
        family=family,
        backend="jax",
        summary=summary,
        cost=cost,
        reference=reference,
        target="jax.program:prepare",
        solvers=EXPLICIT_SOLVERS + IMPLICIT_SOLVERS,
        stiff_solver="rodas5p",
        supports=_JAX_COMMON | set(extra),
        requires=("jax", "scipy"),
    )


#: Adjoints of the open JAX solver.
_ON_JAX = (
    _jax(
        "jax-discrete",
        "discrete",
        "Exact derivative of the accepted steps, by a reverse sweep written out over them.",
        "one forward and about three more passes; memory O(n) a step, or n checkpoints",
        _SANDU,
        *("regularizer", "differentiate_step_size", "checkpoints"),
    ),
    _jax(
        "jax-forward",
        "discrete",
        "Forward mode through the accepted steps.",
        "n+p times the forward pass, in one sweep; memory O(1)",
        "Griewank, Walther, Evaluating Derivatives, 2nd ed. (2008)",
        *("regularizer", "differentiate_step_size"),
    ),
    _jax(
        "jax-backsolve",
        "continuous",
        "State, adjoint and quadrature integrated backwards together. Not recommended: the "
        "state's own backward equation can be unstable, and the status does not tell.",
        "one solve of n and one of 2n+p equations; memory O(1)",
        _CHEN,
        *_ADJOINT_SOLVE,
    ),
    _jax(
        "jax-backsolve-seminorm",
        "continuous",
        "Backsolve with the quadrature left out of the error norm.",
        "as backsolve, with fewer reverse steps; memory O(1)",
        "Kidger, Chen, Lyons, ICML 2021",
        *_ADJOINT_SOLVE,
    ),
    _jax(
        "jax-interpolating",
        "continuous",
        "Adjoint and quadrature integrated backwards against the forward dense output.",
        "one solve of n and one of n+p equations; memory O(n) a step, or n checkpoints",
        "Rackauckas et al., arXiv 2001.04385",
        *_ADJOINT_SOLVE,
        "checkpoints",
    ),
    _jax(
        "jax-quadrature",
        "continuous",
        "Adjoint alone integrated backwards; the parameters' gradient by quadrature afterwards.",
        "two solves of n equations and one quadrature; memory O(n) a step of either",
        "Rackauckas et al., arXiv 2001.04385; Kim et al., Chaos 31 (2021) 093122",
        *_ADJOINT_SOLVE,
        "checkpoints",
    ),
    _jax(
        "jax-gauss",
        "continuous",
        "Adjoint alone integrated backwards; Gauss quadrature on each of its steps.",
        "two solves of n equations and one quadrature; memory O(n) a step",
        "Norcliffe, Deisenroth, arXiv 2301.12420",
        *_ADJOINT_SOLVE,
        "checkpoints",
    ),
)

_SCIPY_COMMON = frozenset({"first_step", "max_steps"})

#: Adjoints on SciPy's solvers, and the baselines.
_ON_SCIPY = (
    Method(
        name="scipy-forward",
        family="continuous",
        backend="scipy",
        summary="Forward sensitivity equations, integrated with the state under one error control.",
        cost="one solve of n(1+n+p) equations; implicit: O(n^3(n+p))",
        reference="Hindmarsh et al., ACM Trans. Math. Softw. 31 (2005) 363 (CVODES)",
        target="scipy.forward:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="radau",
        supports=_SCIPY_COMMON,
        requires=("scipy",),
    ),
    Method(
        name="scipy-adjoint",
        family="continuous",
        backend="scipy",
        summary="Continuous adjoint with its quadrature, backwards along the dense output.",
        cost="one solve of n and one of n+p equations; memory O(nN) for the dense output",
        reference="Cao, Li, Petzold, Serban, SIAM J. Sci. Comput. 24 (2003) 1076",
        target="scipy.continuous:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="radau",
        supports=_SCIPY_COMMON | _ADJOINT_SOLVE,
        requires=("scipy",),
    ),
    Method(
        name="jax-blackbox",
        family="blackbox",
        backend="jax",
        summary="SciPy's solvers behind a callback, with the continuous adjoint as their gradient.",
        cost="as scipy-adjoint and one more forward solve; memory O(1) between the passes",
        reference="the adjoint of scipy-adjoint; jax.pure_callback with jax.custom_vjp",
        target="jax.blackbox_program:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="lsoda",
        supports=_JAX_COMMON | _ADJOINT_SOLVE,
        requires=("jax", "scipy"),
    ),
    Method(
        name="finite-difference",
        family="blackbox",
        backend="scipy",
        summary="Central differences of the whole adaptive solve.",
        cost="1+2(n+p) solves; memory O(1)",
        reference="Gill, Murray, Wright, Practical Optimization (1981), section 8.6",
        target="scipy.finite_difference:prepare",
        solvers=("dop853", "rk45", "radau", "bdf", "lsoda"),
        stiff_solver="radau",
        supports=_SCIPY_COMMON,
        requires=("scipy",),
    ),
    Method(
        name="complex-step",
        family="blackbox",
        backend="scipy",
        summary="One solve in the complex plane a component; for analytic equations only.",
        cost="1+n+p solves; memory O(1)",
        reference="Squire, Trapp, SIAM Review 40 (1998) 110",
        target="scipy.complex_step:prepare",
        solvers=("dop853", "rk45", "bdf"),
        stiff_solver="bdf",
        supports=_SCIPY_COMMON,
        requires=("scipy",),
    ),
)

_DIFFRAX = "Kidger, On Neural Differential Equations (2021); Diffrax"
_DIFFRAX_SOLVERS = ("tsit5", "dopri5", "dopri8", "kvaerno5")

#: What a user would pick instead, through the public interface of its library.
_CVODES_SOLVERS = ("cvodes-adams", "cvodes", "cvodes-mumps", "cvodes-gmres")
_CVODES_COMMON = frozenset({"first_step", "max_steps"})
_CVODES = "Hindmarsh et al., ACM TOMS 31 (2005) 363; Andersson et al., Math. Prog. Comp. 11 (2019)"

_PEERS = (
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
        supports=_JAX_COMMON | {"checkpoints"},
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
        supports=_JAX_COMMON,
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
        supports=_JAX_COMMON | _ADJOINT_SOLVE,
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
        supports=_JAX_COMMON,
        requires=("jax", "diffrax"),
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


METHODS: tuple[Method, ...] = (*_ON_JAX, *_ON_SCIPY, *_PEERS)


def methods(
    *, family: str | None = None, backend: str | None = None, stiff: bool | None = None
) -> tuple[Method, ...]:
    """The table of methods, or the part of it that matches.

    Parameters
    ----------
    family : {"discrete", "continuous", "blackbox", "peers"}, optional
    backend : {"jax", "torch", "scipy"}, optional
    stiff : bool, optional
        Only methods that have (or lack) a solver for stiff problems.

    Returns
    -------
    tuple of Method

    Raises
    ------
    ValueError
        Where a family or backend is unknown.
    """
    if family is not None:
        check_name("family", family, FAMILIES)
    if backend is not None:
        check_name("backend", backend, BACKENDS)
    return tuple(
        m
        for m in METHODS
        if (family is None or m.family == family)
        and (backend is None or m.backend == backend)
        and (stiff is None or m.stiff == stiff)
    )


def get_method(name: str) -> Method:
    """The entry of the method called `name`; ``ValueError`` with close matches otherwise."""
    check_name("method", name, tuple(m.name for m in METHODS))
    return next(m for m in METHODS if m.name == name)


def check_name(argument: str, name: object, known: tuple[str, ...]) -> None:
    """Refuse a `name` that is not among the `known`, and suggest the closest."""
    if name in known:
        return
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise ValueError(f"{argument}={name!r} is not known; {hint}known: {', '.join(known)}")
