"""Equations that hold programs: calls, branches, loops, functions with rules of their own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, Var, jaxpr_as_fun

from ...native.differentiation import coefficients
from ...native.expressions import Expression, inputs
from ...native.symbolic_array import array_of
from .cases import chosen, integer_of, one_of
from .equation import Equation, Rule, evaluated, is_known, told, with_reason

#: Rounds of a loop that are written out.
MOST_ROUNDS = 64

#: Derivatives of a function that has a rule for them: each output may have one by each input.
MOST_DERIVATIVES = 2**20


def _call(name: str) -> Rule:
    return lambda equation: equation.run(equation[name], equation.inputs)


def _cond(equation: Equation) -> list[np.ndarray]:
    which, *given = equation.inputs
    (number,) = equation.expressions(which)
    if told(equation.written.invars[0]).dtype == np.bool_:
        number = integer_of(number)
    if number.number is not None:
        return equation.run(equation["branches"][int(number.number)], given)

    @functools.cache
    def outputs(branch: int) -> list[list[Expression]]:
        found = equation.run(equation["branches"][branch], given)
        return [equation.expressions(array) for array in found]

    elements = (e for x in given if not is_known(x) for e in equation.expressions(x))
    by = list(dict.fromkeys(e for e in elements if e.number is None))

    def one(output: int, element: int) -> Expression:
        def value(branch: int) -> Expression:
            return outputs(branch)[output][element]

        is_real = told(equation.written.outvars[output]).dtype.kind == "f"
        return one_of(value, number, by) if is_real else chosen(value, number)

    return [
        array_of([one(i, k) for k in range(told(variable).size)], told(variable).shape)
        for i, variable in enumerate(equation.written.outvars)
    ]


def _scan(equation: Equation) -> list[np.ndarray]:
    """A loop of a known number of rounds, written out."""
    rounds, constants, carried = equation["length"], equation["num_consts"], equation["num_carry"]
    if all(map(is_known, equation.inputs)):
        return evaluated(equation.written, equation.inputs)
    if not 1 <= rounds <= MOST_ROUNDS:
        raise TypeError(f"a loop has {rounds} rounds; it may have 1 to {MOST_ROUNDS}")
    fixed, given = equation.inputs[:constants], equation.inputs[constants:]
    carry, slices = given[:carried], given[carried:]
    found: list[list[np.ndarray]] = [[] for _ in equation.written.outvars[carried:]]
    backwards = equation["reverse"]
    for i in reversed(range(rounds)) if backwards else range(rounds):
        rows = (np.asarray(x[i]) for x in slices)
        outputs = equation.run(equation["jaxpr"], [*fixed, *carry, *rows])
        carry = outputs[:carried]
        for column, row in zip(found, outputs[carried:], strict=True):
            column.append(row)
    return [*carry, *(np.stack(rows[::-1] if backwards else rows) for rows in found)]


def _own_rule(equation: Equation) -> list[np.ndarray]:
    """A function whose derivative is not that of what it computes but one that it brings along."""
    values = equation.run(equation["call_jaxpr"], equation.inputs)
    moving, _ = _read(equation)
    at = [e for x in moving.values() for e in equation.expressions(x)]
    if not at:
        return values
    if any(told(variable).dtype.kind != "f" for variable in equation.written.outvars):
        raise TypeError("a function with a derivative rule of its own gives more than real numbers")
    if len(at) * sum(value.size for value in values) > MOST_DERIVATIVES:
        raise TypeError("a function with a derivative rule of its own takes too many numbers")
    slopes = functools.cache(lambda: _slopes(equation))
    found, first = [], 0
    for value in values:
        elements = equation.expressions(value)
        ruled = [
            equation.make.given(functools.partial(_slopes_of, slopes, first + i), e, *at)
            for i, e in enumerate(elements)
        ]
        found.append(array_of(ruled, value.shape))
        first += len(elements)
    return found


def _slopes_of(
    slopes: Callable[[], list[dict[int, Expression]]], output: int, *_: Expression
) -> tuple[Expression | None, ...]:
    return tuple(row.get(output) for row in slopes())


def _read(equation: Equation) -> tuple[dict[Var, np.ndarray], dict[Var, np.ndarray]]:
    """What it reads, each variable once: real numbers that are not known, and the rest."""
    moving, fixed = {}, {}
    for variable, value in zip(equation.written.invars, equation.inputs, strict=True):
        if not isinstance(variable, Literal):
            moves = not is_known(value) and told(variable).dtype.kind == "f"
            (moving if moves else fixed)[variable] = value
    return moving, fixed


@with_reason()
def _slopes(equation: Equation) -> list[dict[int, Expression]]:
    """Of each unknown input the derivatives that the rule gives it, by the numbers of outputs."""
    make, written = equation.make, equation.written
    moving, fixed = _read(equation)
    alone = equation["call_jaxpr"].jaxpr.replace(
        constvars=[], invars=[*moving, *fixed], outvars=written.outvars, eqns=[written]
    )
    function = jaxpr_as_fun(ClosedJaxpr(alone, ()))

    def back(moving: Any, fixed: Any, cotangents: Any) -> Any:
        return jax.vjp(lambda *moving: function(*moving, *fixed), *moving)[1](cotangents)

    shapes = [[told(v) for v in some] for some in (moving, fixed, written.outvars)]
    program = jax.make_jaxpr(back)(*shapes)
    # A name that nothing else has.
    name, sizes = f"cotangent {len(make)} ", [told(v).size for v in written.outvars]
    entering = list(inputs(make, name, sum(sizes)))
    ends = itertools.accumulate(sizes)
    cotangents = [
        array_of(entering[end - told(v).size : end], told(v).shape)
        for v, end in zip(written.outvars, ends, strict=True)
    ]
    found = equation.run(program, [*moving.values(), *fixed.values(), *cotangents])
    return coefficients(make, [e for x in found for e in equation.expressions(x)], entering)


CALLS: dict[str, Rule] = {
    **{name: _call("jaxpr") for name in ("jit", "pjit", "remat2", "checkpoint", "remat")},
    **{name: _call("call_jaxpr") for name in ("closed_call", "core_call")},
    **dict.fromkeys(("custom_jvp_call", "custom_vjp_call"), _own_rule),
    "cond": _cond,
    "scan": _scan,
}
