"""``gradient`` and ``prepare``: one problem, one method, one result."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..problems import Problem
from ..problems.validation import did_you_mean
from .arguments import check_name, positive, positive_int, tolerance
from .equations import check_equations, explained
from .error_bars.estimate import compared, flagged
from .error_bars.program import ErrorBarProgram, by_second_method, by_steps_again
from .error_bars.to_accuracy import ToAccuracy
from .linear_systems.choice import CHOICES
from .methods import get_method, method_of
from .options import (
    check_device_name,
    check_error_bar,
    check_installed,
    check_model,
    check_regularizer,
    check_supported,
    choose_solver,
)
from .program import Program, Refinable, Settings, scaled
from .regularizers.extended_state import ExtendedProgram
from .regularizers.regularized import regularized, shares_of_steps
from .regularizers.regularizer import ALONG_PATH, Regularizer, as_coefficients, as_regularizer
from .result import GradientResult
from .run import Run

#: Attempted steps allowed in one solve, accepted and rejected together.
DEFAULT_MAX_STEPS = 16384

#: How much tighter the tolerance is of a second gradient that steps cannot be shared with.
TIGHTER = 32.0


def gradient(
    problem: Problem,
    method: str,
    *,
    params: Mapping[str, Any] | None = None,
    y0: Any | None = None,
    **options: Any,
) -> GradientResult:
    """Loss and gradient of `problem` by one adjoint method.

    Parameters
    ----------
    problem : Problem
        From the zoo (``adjointbench.problems.get``) or your own.
    method : str
        A name of :func:`~adjointbench.methods`, for example ``"jax-discrete"``.
    params, y0 : optional
        Other values than the problem's own, as for a call of :func:`prepare`'s
        :class:`~adjointbench.adjoints.run.Run`, which compiles once for many of them.
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
    known = tuple(inspect.signature(prepare).parameters)
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known)
            raise TypeError(
                f"gradient() got an unexpected keyword argument {name!r}; {hint}"
                f"it takes params, y0, {', '.join(known[2:])}"
            )
    return prepare(problem, method, **options)(params, y0)


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
    engine: str | None = None,
    linear_solver: str | None = None,
    error_bar: bool | str = False,
    gradient_rtol: float | None = None,
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
        Attempted steps allowed, accepted and rejected together. ``solve`` alone allows 4096 by
        default; here there is room for the tightest tolerances of a benchmark. It does not change
        the time of a gradient, but what JAX keeps for one: a state for every 256 attempts allowed
        (Lotka-Volterra: 55 kB at 16384, 25 kB at 4096).
    compile : bool
        Compile the solver's loops, on PyTorch: seconds once, then an order of magnitude faster.
        Where no compiler is found the eager loops run, and ``stats.compiled`` says why. JAX
        always compiles.
    engine : {"auto", "native", "xla"}, optional
        What runs a discrete adjoint: a program in C that the equations are translated to, what the
        framework compiles, or by default the first where it can be: ``stats.engine`` tells.
    linear_solver : {"auto", "dense", "banded", "sparse", "gmres"}, optional
        How an implicit solver solves its linear systems; by default as fits the places where the
        Jacobian may have entries, which are found from the equations: ``stats.linear_solver``.
    error_bar : bool or str
        Estimate how far the gradient is off, at three times the cost, from the gradient of the
        same steps cut in two: ``result.gradient_error``, and the better gradient in
        ``result.refined``. A method whose steps cannot be taken again is compared with another
        one. The status is ``"inaccurate"`` where the gradient is more than 10 % off.
        ``"joined"`` compares with the same steps joined in pairs: half as dear again as the
        gradient alone, a rougher estimate, and no better gradient.
    gradient_rtol : float, optional
        The relative error that the gradient may have: tolerances are tightened, and steps cut,
        until the estimate says that it is reached, and ``rtol`` and ``atol`` are read for their
        ratio alone. The status is ``"inaccurate"`` where it cannot be.

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
    check_installed(entry)
    check_equations(problem, entry)
    chosen = choose_solver(problem, entry, solver)
    if adjoint_solver is not None:
        check_name("adjoint_solver", adjoint_solver, entry.solvers)
    shape, penalty = problem.y0.shape, as_regularizer(regularizer)
    reverse_rtol = rtol if adjoint_rtol is None else adjoint_rtol
    reverse_atol = atol if adjoint_atol is None else adjoint_atol
    settings = Settings(
        method=entry,
        solver=chosen,
        rtol=tolerance("rtol", rtol, shape, problem.dtype),
        atol=tolerance("atol", atol, shape, problem.dtype),
        device=check_device_name(entry, device),
        regularizer=penalty,
        coefficient=as_coefficients(penalty, coefficient),
        adjoint_solver=adjoint_solver or chosen,
        adjoint_rtol=tolerance("adjoint_rtol", reverse_rtol, shape, problem.dtype),
        adjoint_atol=tolerance("adjoint_atol", reverse_atol, shape, problem.dtype),
        checkpoints=None if checkpoints is None else positive_int("checkpoints", checkpoints),
        differentiate_step_size=bool(differentiate_step_size),
        first_step=None if first_step is None else positive("first_step", first_step),
        max_steps=positive_int("max_steps", max_steps),
        compile=bool(compile),
        error_bar=True if gradient_rtol is not None else error_bar,
        engine="auto" if engine is None else engine,
        linear_solver="auto" if linear_solver is None else linear_solver,
    )
    check_name("linear_solver", settings.linear_solver, CHOICES)
    check_regularizer(entry, penalty)
    check_model(problem, entry, penalty)
    check_supported(
        entry,
        adjoint_solver=adjoint_solver,
        adjoint_rtol=adjoint_rtol,
        adjoint_atol=adjoint_atol,
        checkpoints=settings.checkpoints,
        differentiate_step_size=settings.differentiate_step_size or None,
        first_step=settings.first_step,
        compile=settings.compile or None,
        engine=engine,
        linear_solver=linear_solver,
    )
    check_error_bar(settings.error_bar, penalty)
    with explained(problem, entry):
        return _built(problem, settings, gradient_rtol)


def with_error_bar(run: Run) -> Run:
    """The same gradient, prepared once more, with an estimate of its error.

    On PyTorch the loops run eagerly: what is compiled for a gradient is not for its error bar.

    Raises
    ------
    ValueError
        Where its regulariser is made of the solver's own steps.
    """
    check_error_bar(True, run.settings.regularizer)
    return _built(run.problem, replace(run.settings, error_bar=True, compile=False), None)


def _built(problem: Problem, settings: Settings, gradient_rtol: float | None) -> Run:
    """The run of what the method's own module makes of checked settings."""
    penalty = settings.regularizer
    prepared, plain = problem, settings
    if penalty is not None and not penalty.terms:
        prepared, plain = _with_penalty(problem, settings, penalty)
    program = _program(prepared, plain)
    if gradient_rtol is not None:
        asked = positive("gradient_rtol", gradient_rtol)
        program = ErrorBarProgram(program, ToAccuracy(asked, _by_tolerance(prepared, plain)))
    elif settings.error_bar:
        program = _with_error_bar(prepared, plain, program)
    if penalty is not None and penalty.name in ALONG_PATH:
        program = ExtendedProgram(program)
    return Run(problem, settings, program, prepared)


def _program(problem: Problem, settings: Settings) -> Program:
    """What the method's own module makes of checked settings."""
    module, function = settings.method.target.split(":")
    build = getattr(importlib.import_module(f".{module}", __package__), function)
    return build(problem, settings)


def _with_error_bar(problem: Problem, settings: Settings, program: Program) -> Program:
    """The same, with estimates by halved steps, by an open method, or by a tighter tolerance."""
    if isinstance(program, Refinable):
        compare = flagged if settings.error_bar == "joined" else compared
        return ErrorBarProgram(program, by_steps_again(program, compare))
    tight = scaled(settings, 1 / TIGHTER)
    for name in ("jax-discrete", "torch-discrete"):
        limits = {"rtol": tight.rtol, "atol": tight.atol, "max_steps": settings.max_steps}
        try:
            second = prepare(problem, name, error_bar=True, **limits)
        except ValueError:
            continue
        how = f"{name} at 1/{TIGHTER:.0f} of the tolerance"
        return ErrorBarProgram(program, by_second_method(program, second, how))
    tighter = _program(problem, tight).gradient
    how = f"the same at 1/{TIGHTER:.0f} of the tolerance"
    return ErrorBarProgram(program, by_second_method(program, tighter, how))


def _by_tolerance(
    problem: Problem, settings: Settings
) -> Callable[[float], tuple[Program, Program]]:
    """Programs with error bars by their tolerance, each built once."""

    @functools.cache
    def program_at(rtol: float) -> tuple[Program, Program]:
        tighter = scaled(settings, rtol / float(np.max(settings.rtol)))
        program = _program(problem, tighter)
        return _with_error_bar(problem, tighter, program), program

    return program_at


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
    solver = choose_solver(problem, open_method, solver)
    module = importlib.import_module(f".{backend}.program", __package__)
    return module.accepted_times(problem, solver, settings.rtol, settings.atol)
