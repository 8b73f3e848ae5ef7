"""CVODES and IDAS of SUNDIALS [1]_ through CasADi [2]_: the peers for stiff problems.

The equations are those of the problem, written as CasADi expressions (:mod:`.casadi_array`), with
CasADi's own derivatives; a problem's ``jacobian`` is not used. What is mapped to what:

- ``solver="cvodes"``: BDF of orders 1 to 5, Newton, a sparse direct factorisation, which one is
  told by the pattern of the Jacobian (:mod:`.cvodes_linear_systems`); the default for stiff
  problems. ``"cvodes-mumps"``: the same with MUMPS, whatever the pattern. ``"cvodes-adams"``:
  Adams' methods with functional iteration, what the SUNDIALS manual advises for others, and
  faster there. ``"cvodes-gmres"``: BDF, Newton with GMRES and no preconditioner. In CasADi 3.8.2
  GMRES only serves forward solves: backwards the Newton iteration fails the more often the stiffer
  the problem is, as with a product of the wrong sign, and the solve takes many times the steps of
  ``"cvodes"`` or gives up.
- ``solver="idas"``: IDAS, SUNDIALS' solver for differential-algebraic equations, BDF as well, and
  the one that takes a mass matrix (:mod:`.semi_explicit`). Its adjoint gives up on Robertson,
  whose backward solve it cannot start (``IDACalcICB``).
- ``rtol``, ``atol``: forwards, backwards and (here ``quad_err_con`` is on, as in the examples of
  SUNDIALS) for the gradient's quadrature, in scaled variables (:mod:`.cvodes_integrators`).
- ``max_steps``: CVODES counts from one save to the next, and the whole is checked at the end. In a
  taped solve CasADi leaves it out, so :meth:`CvodesProgram.gradient` solves without taping first.
  Backwards the limit is the 500 of CVODES from a checkpoint or save to the one before.

The adjoint keeps every step of the forward solve where that limit allows it at the problem's own
parameters, found out by one gradient in advance; elsewhere there is a checkpoint every 20 steps,
CasADi's default, and the forward solve is done once more on the way back (Robertson at rtol 1e-6:
2.1 against 3.4 ms). The forward method puts all sensitivities into the error test.

Of algebraic equations, CasADi 3.8.2 gets two things wrong in its adjoint, and neither is left to
it. A seed in the algebraic variables (``adj_zf``) gives derivatives off by about the share of the
last step in their time scale, 0.4 % at rtol 1e-10 on a linear equation, and says nothing (its issue
3104): here the saved z is an implicit function of x and the parameters, and seeds are those of x
alone. And after a seed between the ends of the backward solve there are no consistent costates,
from which IDAS fails (``IDA_ERR_FAIL``): the adjoint's solves stop at every save. Its forward
sensitivities have neither trouble.

References
----------
.. [1] A. C. Hindmarsh et al., "SUNDIALS: Suite of nonlinear and differential/algebraic equation
   solvers", ACM Trans. Math. Softw. 31 (2005) 363-396.
.. [2] J. A. E. Andersson et al., "CasADi: a software framework for nonlinear optimization and
   optimal control", Math. Prog. Comp. 11 (2019) 1-36; https://web.casadi.org.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import casadi as ca
import numpy as np

from ...problems import Problem
from ..events.held_program import with_held_times
from ..program import (
    Program,
    Settings,
    TrainingGradient,
    failed_result,
    gradient_result,
    refuse_training,
)
from ..result import GradientResult, Stats
from ..scipy.flat import pack, unpack
from . import cvodes_calls
from .cvodes_breakdown import breakdown
from .cvodes_integrators import Call, Solve

Params = Mapping[str, np.ndarray]

#: CasADi's default.
SHORT_STRETCH = 20
#: Room for steps kept without a checkpoint between them: at most so many, and so many bytes.
LONGEST_STRETCH, ROOM = 16384, 2**30


def prepare_adjoint(problem: Problem, settings: Settings) -> Program:
    """CVODES' adjoint sensitivity analysis."""
    return _prepared(problem, settings, _adjoint_call, stop_at_saves=problem.mass is not None)


def prepare_forward(problem: Problem, settings: Settings) -> Program:
    """Forward sensitivities, all at once with the state."""
    return _prepared(problem, settings, lambda solve, primal: cvodes_calls.forward(solve))


def _prepared(
    problem: Problem,
    settings: Settings,
    build: Callable[[Solve, Call], Call],
    *,
    stop_at_saves: bool = False,
) -> Program:
    def held(problem: Problem, settings: Settings) -> CvodesProgram:
        return CvodesProgram(problem, settings, build, stop_at_saves=stop_at_saves)

    return with_held_times(held)(problem, settings)


class CvodesProgram:
    """A gradient by CVODES, written down as one CasADi function."""

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        build: Callable[[Solve, Call], Call],
        *,
        stop_at_saves: bool = False,
    ) -> None:
        start = time.perf_counter()
        solve = Solve(problem, settings, stop_at_saves=stop_at_saves)
        self._problem = problem
        self._settings = settings
        self._primal = cvodes_calls.primal(solve)
        self._gradient = build(solve, self._primal)
        self._compile_s = time.perf_counter() - start
        self._shapes = {name: value.shape for name, value in problem.params.items()}

    def gradient(self, params: Params, y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        inputs = self._flat(params, y0)
        try:
            self._solve_forward(inputs)
            found = self._gradient(*inputs)
        except RuntimeError as error:
            status, phase, message = breakdown(str(error))
            return failed_result(
                self._problem, status, phase, message, Stats(compile_s=self._compile_s)
            )
        stats = _stats(self._gradient, self._settings.solver, self._compile_s)
        loss, dparams, dy0 = self._shaped(found)
        return gradient_result(self._problem, loss, dparams, dy0, stats=stats)

    def primal(self, params: Params, y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        try:
            return float(self._problem.dtype.type(self._solve_forward(self._flat(params, y0))))
        except RuntimeError:
            return float("nan")

    def compiled(self, params: Params, y0: Any) -> tuple[Any, Any, Any]:
        """``(params, y0) -> (loss, dparams, dy0)`` on NumPy arrays, NaN after a breakdown."""
        try:
            return self._shaped(self._gradient(*self._flat(params, y0)))
        except RuntimeError:
            failed = failed_result(self._problem, "failed", "reverse")
            return self._problem.dtype.type(np.nan), failed.dparams, failed.dy0

    def compiled_primal(self, params: Params, y0: Any) -> Any:
        """``(params, y0) -> loss`` on NumPy arrays, NaN after a breakdown."""
        try:
            loss = float(self._primal(*self._flat(params, y0))[0][0])
        except RuntimeError:
            loss = np.nan
        return self._problem.dtype.type(loss)

    def training_gradient(
        self, params: Any, y0: Any, constants: Any, coefficients: Any
    ) -> TrainingGradient:
        """Refused."""
        refuse_training()

    def _solve_forward(self, inputs: tuple[np.ndarray, np.ndarray]) -> float:
        loss = float(self._primal(*inputs)[0][0])
        counts = _total(self._primal.forward)
        if counts["nsteps"] + counts["netfails"] + counts["nncfails"] > self._settings.max_steps:
            raise RuntimeError('CVode returned "CV_TOO_MUCH_WORK"')
        return loss

    def _flat(self, params: Params, y0: Any) -> tuple[np.ndarray, np.ndarray]:
        start = np.asarray(y0, dtype=np.float64).ravel()
        return start, pack({name: params[name] for name in self._shapes})

    def _shaped(self, found: Sequence[np.ndarray]) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
        dtype = self._problem.dtype
        loss, dy0, dtheta = (value.astype(dtype, copy=False) for value in found)
        return loss[0], unpack(dtheta, self._shapes), dy0.reshape(self._problem.y0.shape)


def _adjoint_call(solve: Solve, primal: Call) -> Call:
    """The adjoint with as few checkpoints as CVODES' limit of backward steps allows."""
    problem = solve.problem
    stretch = min(solve.max_steps, LONGEST_STRETCH, ROOM // (16 * problem.n_states))
    call = cvodes_calls.adjoint(solve, max(stretch, SHORT_STRETCH))
    inputs = problem.y0.ravel().astype(np.float64), pack(problem.params)
    if _works(primal, inputs) and not _works(call, inputs):
        return cvodes_calls.adjoint(solve, SHORT_STRETCH)
    return call


def _works(call: Call, inputs: tuple[np.ndarray, np.ndarray]) -> bool:
    try:
        call(*inputs)
    except RuntimeError:
        return False
    return True


def _total(integrators: Sequence[ca.Function]) -> Counter[str]:
    """The counts of the last call, all segments together."""
    total: Counter[str] = Counter()
    for integrator in integrators:
        counts = _counts(integrator)
        total.update({name: n for name, n in counts.items() if isinstance(n, int)})
    return total


def _counts(integrator: ca.Function) -> dict[str, Any]:
    # A function that was never called itself keeps its counts in its second memory.
    try:
        return integrator.stats(1)
    except RuntimeError:
        return integrator.stats(0)


def _stats(call: Call, solver: str, compile_s: float) -> Stats:
    """CasADi's counts by our names.

    What a taped solve evaluates beyond a forward solve is recomputation. CasADi asks for the
    vector-Jacobian products in state and parameters apart, and both count. Solves with the
    factorised matrix while recomputing are not told; those of GMRES are products.
    """
    taped, plain = _total(call.reverse), _total(call.forward)
    # The segments that were solved with taping only.
    only = _total(call.reverse[len(call.forward) :])
    both = taped + plain
    newton = None if solver == "cvodes-gmres" else both["nniters"] + both["nnitersB"]
    return Stats(
        steps=plain["nsteps"] + only["nsteps"],
        rejected=sum((plain + only)[name] for name in ("netfails", "nncfails")),
        rhs_evals=plain["nfevals"] + only["nfevals"],
        jacobian_evals=both["n_call_jacF"] + both["n_call_jacB"],
        linear_solves=0 if solver == "cvodes-adams" else newton,
        reverse_steps=taped["nstepsB"],
        reverse_rejected=taped["netfailsB"] + taped["nncfailsB"],
        reverse_rhs_evals=taped["n_call_daeF"] - only["nfevals"],
        vjp_evals=taped["n_call_daeB"] + taped["n_call_quadB"],
        jvp_evals=_directions(both),
        compile_s=compile_s,
        derivatives="casadi",
    )


def _directions(counts: Mapping[str, int]) -> int:
    """Jacobian-vector products, every direction counted."""
    found = (
        (re.fullmatch(r"n_call_(?:fwd(\d+)_daeF|jtimes[FB])", k), n) for k, n in counts.items()
    )
    return sum(n * int(match[1] or 1) for match, n in found if match)
