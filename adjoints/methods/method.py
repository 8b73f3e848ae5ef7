"""``Method``: one entry of the table of adjoint methods, and what the entries share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..arguments import check_name
from ..mass.solvers import OPEN_SOLVERS

if TYPE_CHECKING:
    from ..regularizers.regularizer import Regularizer

EXPLICIT_SOLVERS = ("tsit5", "dopri5", "dop853", "rk4", "euler")
IMPLICIT_SOLVERS = ("rodas5p", "rodas4p", "kvaerno5", "implicit_midpoint", "auto")
#: Of all solvers those that take a mass matrix.
SOLVERS_WITH_MASS = (*OPEN_SOLVERS, "idas")
SCIPY_SOLVERS = ("rk45", "dop853", "radau", "bdf", "lsoda")

#: Methods of other libraries are a family of their own.
PEERS = "peers"
FAMILIES = ("discrete", "continuous", "blackbox", PEERS)
BACKENDS = ("jax", "torch", "scipy", "native")

#: What a problem may have that only some methods can take, in words: :attr:`Method.models`.
MODELS = {
    "events": "events",
    "moving times": "discontinuities or jump times that move with the parameters",
    "mass": "a mass matrix",
}

#: The kinds of adjoints that integrate the state itself backwards.
BACKWARD = ("backsolve", "backsolve-seminorm")

#: Packages that get the equations as CasADi traces them.
TRACED_BY_CASADI = ("casadi", "pydiffsol")


@dataclass(frozen=True)
class Method:
    """One adjoint method.

    Attributes
    ----------
    name, family, backend : str
        How it is called; one of :data:`FAMILIES`; one of :data:`BACKENDS`.
    adjoint : str
        What kind it is of, whatever its name: methods of one kind do the same on another backend
        or in another library. ``"discrete"``, ``"tape"``, ``"forward"`` (forward mode through the
        steps), ``"sensitivities"`` (forward sensitivity equations), ``"backsolve"``,
        ``"backsolve-seminorm"``, ``"interpolating"``, ``"quadrature"``, ``"gauss"``,
        ``"blackbox"``, ``"finite-difference"``, ``"complex-step"``, or one of its own.
    summary : str
        One sentence: what it does.
    cost : str
        Work and memory, in the field's notation (n states, p parameters, N steps).
    reference : str
        Where it comes from.
    target : str
        ``"module:function"`` below this package; the function takes ``(problem, settings)``
        and returns a :class:`~adjointbench.adjoints.program.Program`.
    solvers : tuple of str
        The forward solvers that it can use; the first is the default for non-stiff problems.
    stiff_solver : str or None
        The default for stiff problems; ``None`` where it has no implicit solver.
    supports : frozenset of str
        The optional arguments of :func:`~adjointbench.gradient` that it honours.
    models : frozenset of str
        Which of :data:`MODELS` it can take.
    estimates : tuple of str
        The solver's own estimates that a regulariser may be made of, where it ``supports`` one.
    requires : tuple of str
        The packages that it imports.
    library : str
        Of a peer, and of no other: the package whose solver and derivative it is.
    version : int
        Raised when its numbers may change: retires old benchmark results.
    """

    name: str
    family: str
    backend: str
    adjoint: str
    summary: str
    cost: str
    reference: str
    target: str
    solvers: tuple[str, ...]
    stiff_solver: str | None = None
    supports: frozenset[str] = field(default_factory=frozenset)
    models: frozenset[str] = field(default_factory=frozenset)
    estimates: tuple[str, ...] = ("error", "error_squared", "stiffness")
    requires: tuple[str, ...] = ()
    library: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse an entry that reports could not place."""
        check_name(f"{self.name}: family", self.family, FAMILIES)
        check_name(f"{self.name}: backend", self.backend, BACKENDS)
        if self.is_peer != bool(self.library):
            raise ValueError(
                f"{self.name}: library={self.library!r} must name the package of a peer, and is "
                f"empty of all others; family={self.family!r}"
            )

    @property
    def is_peer(self) -> bool:
        """Whether it is another library's, taken as it is."""
        return self.family == PEERS

    @property
    def stiff(self) -> bool:
        """Whether it has a solver fit for stiff problems."""
        return self.stiff_solver is not None

    @property
    def goes_back(self) -> bool:
        """Whether it integrates the state itself backwards.

        That can be unstable, and its status does not tell.
        """
        return self.adjoint in BACKWARD

    @property
    def keeps_steps(self) -> bool:
        """Whether it takes the steps that were chosen at other parameters.

        Its time is not that of a gradient at new ones, and nothing controls its error there.
        """
        return self.adjoint == "frozen-steps"

    @property
    def keeps_constants(self) -> bool:
        """Whether its equations keep the constants that they were prepared with.

        The loss sees others where they are given; equations behind a callback, or closed over by
        a peer on JAX, do not.
        """
        return self.family == "blackbox" or (self.is_peer and self.backend == "jax")

    def arrays(self, part: str) -> tuple[str, ...]:
        """What a function of the problem is called with: the frameworks that it has to run on.

        Parameters
        ----------
        part : {"rhs", "loss", "jump"}

        Returns
        -------
        tuple of str
            ``"jax"``, ``"torch"``; ``"numpy"`` where it is NumPy's arrays or their like, and
            nothing else will do. Empty where any function will do.
        """
        traced = self.backend == "native" or self.library in TRACED_BY_CASADI
        if traced or self.adjoint == "complex-step":
            return ("numpy",)
        if self.backend == "scipy":
            return ()
        if self.adjoint != "blackbox" or part == "loss":
            return (self.backend,)
        # JAX inside of a callback of JAX may wait for itself forever.
        return ("jax", "numpy") if self.backend == "jax" else ()

    def takes(self, part: str, written_for: str) -> bool:
        """Whether a function will do that is written for one framework alone, or (empty) for none.

        Parameters
        ----------
        part : {"rhs", "loss", "jump"}
        written_for : {"", "jax", "torch"}
        """
        return not written_for or all(kind == written_for for kind in self.arrays(part))

    def regularizes(self, regularizer: Regularizer) -> bool:
        """Whether it can differentiate a loss with this regulariser."""
        if regularizer.terms:
            return "regularizer" in self.supports and {*regularizer.terms} <= {*self.estimates}
        if regularizer.needs_autodiff == "equations" and self.family == "blackbox":
            return False
        return not regularizer.needs_autodiff or self.backend in ("jax", "torch")


#: Optional arguments of ``prepare`` that methods honour: on an accelerator, of SciPy's solvers,
#: of a second solve in reverse.
JAX_OPTIONS = frozenset({"device", "first_step", "max_steps"})
SCIPY_OPTIONS = frozenset({"first_step", "max_steps"})
ADJOINT_OPTIONS = frozenset({"adjoint_solver", "adjoint_rtol", "adjoint_atol"})

#: References that several methods share.
SANDU = "Sandu, ICCS 2006; Zhang, Sandu, SIAM J. Sci. Comput. 36 (2014) C504"
CHEN = "Chen, Rubanova, Bettencourt, Duvenaud, NeurIPS 2018"
CVODES = "Hindmarsh et al., ACM Trans. Math. Softw. 31 (2005) 363"
