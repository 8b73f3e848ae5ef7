"""A program of JAX, evaluated on expressions: what it computes, ready to be written as C.

What is known is computed as JAX computes it. What is not becomes expressions whose values, and
derivatives of any order, are those of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from ...native.expressions import Expressions
from ...native.symbolic_array import SymbolicArray, symbolic
from ...native.translation import UntranslatableError
from .calls import CALLS
from .equation import Equation, evaluated, is_known, told, with_reason
from .integers import INTEGERS, concerns
from .linear import LINEAR
from .moves import INDEXED, MOVES
from .primitives import OF_KNOWN, RULES, convert_known

_OF_UNKNOWN = {**RULES, **MOVES, **INDEXED, **LINEAR, **CALLS}


def expressions_of(
    make: Expressions,
    program: ClosedJaxpr,
    arguments: Sequence[Any],
    known: Callable[[np.ndarray], Any] = lambda value: value,
) -> list[Any]:
    """The outputs of a program.

    Parameters
    ----------
    make : Expressions
    program : ClosedJaxpr
    arguments : sequence of SymbolicArray or ndarray
        Unknown real numbers of one dtype, or known values; of the shapes of the program's inputs.
    known : callable, optional
        What a floating-point constant of the program is read as.

    Returns
    -------
    list of SymbolicArray or ndarray
        Arrays where an output is known.

    Raises
    ------
    UntranslatableError
        Where something has no counterpart in C, with the reason.
    """
    pairs = list(zip(map(told, program.jaxpr.invars), arguments, strict=True))
    dtypes = {expected.dtype for expected, given in pairs if isinstance(given, SymbolicArray)}
    if dtypes not in ({np.dtype(np.float32)}, {np.dtype(np.float64)}, set()):
        raise UntranslatableError(f"its values are of {' and '.join(sorted(map(str, dtypes)))}")
    reader = _Reader(make, known, next(iter(dtypes), np.dtype(float)))
    values = [
        np.asarray(given, object if isinstance(given, SymbolicArray) else expected.dtype)
        for expected, given in pairs
    ]
    with with_reason():
        outputs = reader.run(program, values)
    return [output if is_known(output) else symbolic(make, output) for output in outputs]


@dataclass(frozen=True)
class _Reader:
    """Evaluates programs, equation by equation."""

    make: Expressions
    known: Callable[[np.ndarray], Any]
    real: np.dtype

    def run(
        self, program: ClosedJaxpr | Jaxpr, arguments: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """The outputs of a program on some arguments."""
        closed = isinstance(program, ClosedJaxpr)
        jaxpr = program.jaxpr if closed else program
        constants = [self._constant(value) for value in program.consts] if closed else []
        values = dict(zip(jaxpr.constvars, constants, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(variable: Var | Literal) -> np.ndarray:
            if isinstance(variable, Literal):
                return self._constant(np.asarray(variable.val, told(variable).dtype))
            return values[variable]

        for equation in jaxpr.eqns:
            outputs = self._outputs(equation, [read(v) for v in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def _constant(self, value: Any) -> np.ndarray:
        if isinstance(value, Tracer):
            raise TypeError("it holds a value that somebody traces; pass it as a parameter")
        value = np.asarray(value)
        return np.asarray(self.known(value)) if value.dtype.kind == "f" else value

    def _outputs(self, equation: JaxprEqn, inputs: list[np.ndarray]) -> list[np.ndarray]:
        if equation.effects:
            raise TypeError(f"{equation.primitive.name} does something besides computing")
        found = self._found(equation, inputs)
        outputs = found if equation.primitive.multiple_results else [found]
        return [
            self._checked(equation, variable, np.asarray(output))
            for variable, output in zip(equation.outvars, outputs, strict=True)
        ]

    def _found(self, equation: JaxprEqn, inputs: list[np.ndarray]) -> Any:
        name, given = equation.primitive.name, Equation(self.make, equation, inputs, self.run)
        if name in CALLS:
            return CALLS[name](given)
        if not all(map(is_known, inputs)):
            rules = INTEGERS if concerns(given) else _OF_UNKNOWN
            if name not in rules:
                what = " of integers that are not known" if name in _OF_UNKNOWN else ""
                raise TypeError(f"{name}{what} has no counterpart in C here")
            return rules[name](given)
        if name in OF_KNOWN:
            return OF_KNOWN[name](*inputs)
        if name in MOVES:
            return MOVES[name](given)
        found = convert_known(given) if name == "convert_element_type" else None
        return evaluated(equation, inputs) if found is None else found

    def _checked(self, equation: JaxprEqn, variable: Var, output: np.ndarray) -> np.ndarray:
        """An output, of the shape and the dtype that the program tells."""
        expected, name = told(variable), equation.primitive.name
        if output.shape != expected.shape:
            raise TypeError(f"{name} gave an array of shape {output.shape}, not {expected.shape}")
        if is_known(output) and output.dtype != expected.dtype:
            raise TypeError(f"{name} gave {output.dtype}, not {expected.dtype}")
        is_real = expected.dtype.kind not in "biu"
        if not is_known(output) and is_real and expected.dtype != self.real:
            raise TypeError(f"{name} gives {expected.dtype} where the rest is {self.real}")
        return output
