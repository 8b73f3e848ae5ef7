"""A problem's equations as CasADi functions, traced once from the definition that all share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca

from ...problems import Problem
from ..scipy.flat import FlatSystem, flat_system
from . import casadi_namespace  # noqa: F401 (gives the arrays their functions)
from .casadi_array import CasadiArray, as_array

#: Up to so many multiplications in matrix products a function is expanded to scalar operations
#: (``SX``), which have sparse derivatives and the least overhead. Networks stay matrix operations
#: (``MX``): the cubic spiral's gradient takes 27 ms so, and 66 ms expanded.
EXPANDED_UP_TO = 100


@dataclass(frozen=True)
class Equations:
    """The functions of a problem on flat CasADi vectors.

    Attributes
    ----------
    problem : Problem
    rhs : Function
        ``(t, y, theta) -> dy/dt``.
    loss : Function
        ``(ys, theta) -> loss``, the saves one after the other in one vector.
    loss_gradient : Function
        ``(ys, theta) -> (dloss/dys, dloss/dtheta)``.
    linear : bool
        Whether the derivative in the states is known before they are: the loss is linear in them.
    jump : callable
        ``jump(i) -> Function``, ``(y, theta) -> y`` just after jump `i`.
    """

    problem: Problem
    rhs: ca.Function
    loss: ca.Function
    loss_gradient: ca.Function
    linear: bool
    jump: Callable[[int], ca.Function]


def trace(problem: Problem, method: str) -> Equations:
    """The equations of `problem` in CasADi.

    Raises
    ------
    ValueError
        Where they use an operation that has no counterpart, naming it and what would do.
    """
    tracer = _Tracer(problem, method)
    system, states, saves = tracer.system, (problem.n_states,), len(problem.save_at)
    theta = (problem.n_params,)

    def rhs(t: CasadiArray, y: CasadiArray, theta: CasadiArray) -> CasadiArray:
        return system.rhs(t, y, theta, tracer.constants)

    def loss(ys: CasadiArray, theta: CasadiArray) -> CasadiArray:
        rows = ys.reshape((saves, problem.n_states))
        return system.loss(rows, theta, tracer.constants)

    @functools.cache
    def jump(i: int) -> ca.Function:
        time = as_array(problem.jump_times[i])

        def after(y: CasadiArray, theta: CasadiArray) -> CasadiArray:
            return system.jump(i, time, y, theta, tracer.constants)

        return tracer.function("jump", after, states, theta)

    traced_loss = tracer.function("loss", loss, (saves * problem.n_states,), theta)
    gradient, linear = _gradient(traced_loss)
    return Equations(
        problem=problem,
        rhs=tracer.function("rhs", rhs, (), states, theta),
        loss=traced_loss,
        loss_gradient=gradient,
        linear=linear,
        jump=jump,
    )


class _Tracer:
    """Runs the functions of one problem on symbols."""

    def __init__(self, problem: Problem, method: str) -> None:
        self.problem = problem
        self.method = method
        self.system: FlatSystem = flat_system(problem)
        self.constants = {name: as_array(c) for name, c in self.system.constants.items()}

    def function(
        self, name: str, compute: Callable[..., CasadiArray], *shapes: tuple[int, ...]
    ) -> ca.Function:
        """`compute` on symbols of the `shapes`, as a function of CasADi."""
        symbols = [ca.MX.sym(f"x{i}", *shape) for i, shape in enumerate(shapes)]
        arrays = [CasadiArray(s, shape) for s, shape in zip(symbols, shapes, strict=True)]
        try:
            result = as_array(compute(*arrays)).symbolic()
        # Whatever a user's function may do to an array that is none of NumPy's.
        except Exception as error:
            raise ValueError(
                f"method={self.method!r} cannot write the {name} of problem "
                f"{self.problem.name!r} for CasADi: {error}; keep to the functions of "
                "adjointbench.adjoints.peers.casadi_namespace, or use a method of ours, such as "
                "'scipy-adjoint'"
            ) from error
        function = ca.Function(name, symbols, [ca.densify(result)])
        if multiplications(function) > EXPANDED_UP_TO:
            return function
        return function.expand()


def multiplications(function: ca.Function) -> int:
    """Scalar multiplications in the matrix products of a function of matrices."""
    products = (
        function.instruction_MX(i)
        for i in range(function.n_instructions())
        if function.instruction_id(i) == ca.OP_MTIMES
    )
    return sum(p.dep(1).shape[0] * p.dep(1).shape[1] * p.dep(2).shape[1] for p in products)


def symbols(function: ca.Function) -> list[Any]:
    """Fresh symbols for the inputs of `function`, scalars where it is made of scalars."""
    kind = ca.SX if function.is_a("SXFunction") else ca.MX
    return [kind.sym(function.name_in(i), *function.size_in(i)) for i in range(function.n_in())]


def _gradient(loss: ca.Function) -> tuple[ca.Function, bool]:
    ys, theta = symbols(loss)
    value = loss(ys, theta)
    dys, dtheta = ca.gradient(value, ys), ca.gradient(value, theta)
    gradient = ca.Function("loss_gradient", [ys, theta], [ca.densify(dys), ca.densify(dtheta)])
    return gradient, not ca.depends_on(dys, ys)
