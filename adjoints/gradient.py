"""``gradient`` and ``prepare``: one problem, one method, one result."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..problems import Problem
from .arguments import check_name, like, positive, positive_int, tolerance
from .methods import METHODS, get_method, method_of
from .methods.method import Method
from .program import Program, Settings
from .regularizers.extended_state import ExtendedProgram
from .regularizers.regularized import regularized, shares_of_steps
from .regularizers.regularizer import ALONG_PATH, Regularizer, as_coefficients, as_regularizer
from .result import GradientResult

#: Attempted steps allowed in one solve, accepted and rejected together.
DEFAULT_MAX_STEPS = 16384


class Run:
    """A prepared gradient: compiled once, called often.

    Call it for a :class:`GradientResult`, with other parameters or start values if wanted;
    nothing is compiled again.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        program: Program,
        prepared: Problem | None = None,
    ) -> None:
        self.problem = problem
        #: What the program computes: the problem, with a regulariser in it where there is one.
        self.prepared = problem if prepared is None else prepared
        self.settings = settings
        self._program = program

    @property
    def program(self) -> Any:
        """What the backend made of it; with no wrapping for a component of the state added."""
        program = self._program
        return program.inner if isinstance(program, ExtendedProgram) else program

    def __call__(
        self, params: Mapping[str, Any] | None = None, y0: Any | None = None
    ) -> GradientResult:
        """Loss and gradient, at the problem's own parameters and start value by default.

        Parameters
        ----------
        params : mapping of str to array_like, optional
            New values for some or all parameters, in the problem's shapes.
        y0 : array_like, optional
            A new start value, in the problem's shape.

        Raises
        ------
        ValueError
            Where a name is unknown, a shape does not fit, or a value is not finite.
        """
        return self._program.gradient(*self._inputs(params, y0))

    def primal(self, params: Mapping[str, Any] | None = None, y0: Any | None = None) -> float:
        """The loss alone: same solver, same settings, no gradient. NaN after a breakdown."""
        return self._program.primal(*self._inputs(params, y0))

    @property
    def compiled(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        """The bare compiled call on backend arrays, ``(params, y0) -> (loss, dparams, dy0)``."""
        return self._program.compiled

    @property
    def compiled_primal(self) -> Callable[[Any, Any], Any]:
        """The bare compiled loss on backend arrays, ``(params, y0) -> loss``."""
        return self._program.compiled_primal

    def _inputs(
        self, params: Mapping[str, Any] | None, y0: Any | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        problem = self.problem
        merged = dict(problem.params)
        for name, value in (params or {}).items():
            check_name("params", name, tuple(problem.params))
            merged[name] = like(f"params[{name!r}]", value, problem.params[name])
        start = problem.y0 if y0 is None else like("y0", y0, problem.y0)
        return merged, start


def gradient(problem: Problem, method: str, **options: Any) -> GradientResult:
    """Loss and gradient of `problem` by one adjoint method.

    Parameters
    ----------
    problem : Problem
        From the zoo (``adjointbench.problems.get``) or your own.
    method : str
        A name of :func:`~adjointbench.methods`, for example ``"jax-discrete"``.
    **options
        The keyword arguments of :func:`prepare`.

    Returns
    -------
    GradientResult
        A solver that breaks down is a result too: see its ``status``.

    Raises
    ------
    ValueError
        For arguments that make no sense, naming the argument, the value and the remedy.
    """
    return prepare(problem, method, **options)()


def prepare(
    problem: Problem,
    method: str,
    *,
    solver: str | None = None,
    rtol: float | np.ndarray = 1e-6,
    atol: float | np.ndarray = 1e-9,
    device: str = "cpu",
    regularizer: str | Regularizer | None = None,
    coefficient: float | tuple[float, ...] = 0.0,
    adjoint_solver: str | None = None,
    adjoint_rtol: float | np.ndarray | None = None,
    adjoint_atol: float | np.ndarray | None = None,
    checkpoints: int | None = None,
    differentiate_step_size: bool = False,
    first_step: float | None = None,
    max_steps: int = DEFAULT_MAX_STEPS,
    compile: bool = False,
) -> Run:
    """Check the arguments and build the gradient of `problem`, compiled once.

    Parameters
    ----------
    problem : Problem
    method : str
        A name of :func:`~adjointbench.methods`.
    solver : str, optional
        The forward solver; by default the method's own for the problem (an implicit one
        where ``problem.stiff``).
    rtol, atol : float or ndarray
        Tolerances of the forward solve; arrays of the shape of ``problem.y0`` set them per
        component.
    device : str
        ``"cpu"``, ``"cpu:1"``, ``"gpu"``, ``"cuda"``, ``"cuda:1"``.
    regularizer : str or Regularizer, optional
        Adds ``coefficient`` times a regulariser to the loss: ``"error"``, ``"error_squared"``,
        ``"stiffness"``, ``"error+stiffness"`` (the solver's own estimates, for methods that see
        into the solver), ``"kinetic"``, ``"jacobian"``, ``"taylor"``, ``"local"``; ``"steer"``
        moves the end of the span. See :class:`~adjointbench.Regularizer` for their choices.
    coefficient : float or tuple of float
        For ``"error+stiffness"`` one for each, if not the same for both.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        Solver and tolerances of the reverse solve of a continuous adjoint; the forward ones
        by default.
    checkpoints : int, optional
        States kept from the forward pass, between which the reverse pass recomputes.
    differentiate_step_size : bool
        Differentiate through the step-size controller as well.
    first_step : float, optional
        The first step size; Hairer's estimate by default. The size of every step for a
        fixed-step solver.
    max_steps : int
        Attempted steps allowed, accepted and rejected together.
    compile : bool
        Compile the solver's loops, on PyTorch: seconds once, then an order of magnitude faster.
        Where no compiler is found the eager loops run, and ``stats.compiled`` says why. JAX
        always compiles.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        For arguments that make no sense, naming the argument, the value and the remedy.
    """
    if not isinstance(problem, Problem):
        raise ValueError(
            f"problem={problem!r} is not a Problem; "
            "pass adjointbench.problems.get(name) or an adjointbench.Problem(...)"
        )
    entry = get_method(method)
    _check_installed(entry)
    penalty = as_regularizer(regularizer)
    settings = Settings(
        method=entry,
        solver=_choose_solver(problem, entry, solver),
        rtol=tolerance("rtol", rtol, problem.y0.shape),
        atol=tolerance("atol", atol, problem.y0.shape),
        device=_check_device_name(entry, device),
        regularizer=penalty,
        coefficient=as_coefficients(penalty, coefficient),
        adjoint_solver="",
        adjoint_rtol=tolerance(
            "adjoint_rtol", rtol if adjoint_rtol is None else adjoint_rtol, problem.y0.shape
        ),
        adjoint_atol=tolerance(
            "adjoint_atol", atol if adjoint_atol is None else adjoint_atol, problem.y0.shape
        ),
        checkpoints=None if checkpoints is None else positive_int("checkpoints", checkpoints),
        differentiate_step_size=bool(differentiate_step_size),
        first_step=None if first_step is None else positive("first_step", first_step),
        max_steps=positive_int("max_steps", max_steps),
        compile=bool(compile),
    )
    if adjoint_solver is not None:
        check_name("adjoint_solver", adjoint_solver, entry.solvers)
    settings = replace(settings, adjoint_solver=adjoint_solver or settings.solver)
    _check_supported(entry, settings, adjoint_solver, adjoint_rtol, adjoint_atol)
    module, function = entry.target.split(":")
    build = getattr(importlib.import_module(f".{module}", __package__), function)
    if penalty is None or penalty.terms:
        return Run(problem, settings, build(problem, settings))
    prepared, plain = _with_penalty(problem, settings, penalty)
    program = build(prepared, plain)
    if penalty.name in ALONG_PATH:
        program = ExtendedProgram(program)
    return Run(problem, settings, program, prepared)


def _with_penalty(
    problem: Problem, settings: Settings, penalty: Regularizer
) -> tuple[Problem, Settings]:
    """A problem that has the regulariser in it, and settings that need not know of it."""
    shares = None
    if penalty.sampling == "accepted" and penalty.name == "local":
        shares = shares_of_steps(problem, penalty, accepted_times(problem, settings))
    changed = regularized(
        problem,
        penalty,
        settings.coefficient[0],
        solver=settings.solver,
        rtol=settings.rtol,
        atol=settings.atol,
        shares=shares,
    )
    return changed, replace(settings, regularizer=None, coefficient=(0.0,))


def accepted_times(problem: Problem, settings: Settings) -> np.ndarray:
    """The times to which an open solver steps, with the solver and tolerances of `settings`.

    Where the method's own solver is no open one, the default of the open ones takes its place.
    """
    backend = settings.method.backend
    open_method = method_of("discrete", backend)
    solver = settings.solver if settings.solver in open_method.solvers else None
    module = importlib.import_module(f".{backend}.accepted", __package__)
    return module.accepted_times(
        problem, _choose_solver(problem, open_method, solver), settings.rtol, settings.atol
    )


def _check_supported(
    entry: Method,
    settings: Settings,
    adjoint_solver: str | None,
    adjoint_rtol: Any,
    adjoint_atol: Any,
) -> None:
    """Refuse what was asked for and the method cannot do, and name methods that can."""
    _check_regularizer(entry, settings.regularizer)
    asked = {
        "adjoint_solver": adjoint_solver,
        "adjoint_rtol": adjoint_rtol,
        "adjoint_atol": adjoint_atol,
        "checkpoints": settings.checkpoints,
        "differentiate_step_size": settings.differentiate_step_size or None,
        "first_step": settings.first_step,
        "compile": settings.compile or None,
    }
    for option, value in asked.items():
        if value is not None and option not in entry.supports:
            able = [m.name for m in METHODS if option in m.supports]
            raise ValueError(
                f"{option}={value!r} is not supported by method={entry.name!r}; "
                f"leave it out, or use one of: {', '.join(able)}"
            )


def _check_regularizer(entry: Method, regularizer: Regularizer | None) -> None:
    """Refuse what a method cannot see, or cannot differentiate."""
    if regularizer is None or entry.regularizes(regularizer):
        return
    able = ", ".join(m.name for m in METHODS if m.regularizes(regularizer))
    reason = "differentiates through its equations, on JAX or PyTorch"
    if regularizer.terms:
        reason = "is made of the solver's own steps, which only a discrete adjoint sees"
    raise ValueError(
        f"regularizer={regularizer.name!r} is not supported by method={entry.name!r}: it "
        f"{reason}; leave it out, or use one of: {able}"
    )


def _choose_solver(problem: Problem, entry: Method, solver: str | None) -> str:
    if solver is not None:
        check_name("solver", solver, entry.solvers)
        return solver
    if not problem.stiff:
        return entry.solvers[0]
    if entry.stiff_solver is None:
        able = ", ".join(m.name for m in METHODS if m.stiff)
        raise ValueError(
            f"solver=None asks for an implicit solver, as problem {problem.name!r} is stiff, and "
            f"method={entry.name!r} has only explicit ones; pass solver={entry.solvers[0]!r} to "
            f"try an explicit one all the same, or use one of: {able}"
        )
    return entry.stiff_solver


def _check_installed(entry: Method) -> None:
    for package in entry.requires:
        if importlib.util.find_spec(package) is None:
            extra = {"jax": "jax", "torch": "torch", "scipy": "jax"}.get(package, "peers")
            raise ValueError(
                f"method={entry.name!r} needs the package {package}, which is not installed; "
                f"pip install 'adjointbench[{extra}]'"
            )


def _check_device_name(entry: Method, device: str) -> str:
    kind, _, index = str(device).partition(":")
    if kind not in ("cpu", "gpu", "cuda") or (":" in str(device) and not index.isdigit()):
        raise ValueError(
            f"device={device!r} is not known; use 'cpu', 'gpu', 'cuda', or one of several by "
            "its number, as 'cuda:1'"
        )
    if "device" not in entry.supports and kind != "cpu":
        raise ValueError(f"device={device!r}: method={entry.name!r} runs on 'cpu' only")
    return str(device)
