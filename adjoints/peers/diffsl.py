"""A problem's equations in DiffSL, the language that diffsol compiles [1]_.

They are traced once, as for CasADi (:mod:`.casadi_equations`), and written out number by number.
The inputs are parameters and start value in units of their size, so that one absolute tolerance
is fit for the gradient by each.

References
----------
.. [1] https://martinjrobins.github.io/diffsl.
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np

from .casadi_equations import Equations, symbols

#: What CasADi's operations are in DiffSL. A tangent is written out, since diffsol 0.16 cannot
#: differentiate its own and takes the whole process down with it.
FORMS = {
    ca.OP_ASSIGN: "{0}",
    ca.OP_ADD: "{0} + {1}",
    ca.OP_SUB: "{0} - {1}",
    ca.OP_MUL: "{0} * {1}",
    ca.OP_DIV: "{0} / {1}",
    ca.OP_NEG: "-{0}",
    ca.OP_INV: "1.0 / {0}",
    ca.OP_SQ: "{0} * {0}",
    ca.OP_TWICE: "2.0 * {0}",
    ca.OP_POW: "pow({0}, {1})",
    ca.OP_CONSTPOW: "pow({0}, {1})",
    ca.OP_SQRT: "sqrt({0})",
    ca.OP_EXP: "exp({0})",
    ca.OP_LOG: "log({0})",
    ca.OP_SIN: "sin({0})",
    ca.OP_COS: "cos({0})",
    ca.OP_TAN: "sin({0}) / cos({0})",
    ca.OP_SINH: "sinh({0})",
    ca.OP_COSH: "cosh({0})",
    ca.OP_TANH: "tanh({0})",
    ca.OP_ASINH: "arcsinh({0})",
    ca.OP_ACOSH: "arccosh({0})",
    ca.OP_FABS: "abs({0})",
    ca.OP_FMIN: "min({0}, {1})",
    ca.OP_FMAX: "max({0}, {1})",
}
#: Names of the others in a refusal.
NAMES = {getattr(ca, name): name[3:].lower() for name in dir(ca) if name.startswith("OP_")}

#: More than so many operations would take minutes to compile.
MOST_OPERATIONS = 2000


@dataclass(frozen=True)
class Inputs:
    """The units of the inputs: of the parameters, and after them of the start value."""

    theta: np.ndarray
    y0: np.ndarray

    def scaled(self, theta: np.ndarray, y0: np.ndarray) -> np.ndarray:
        """What diffsol is given."""
        return np.concatenate([theta / self.theta, y0 / self.y0])


def diffsl(equations: Equations, inputs: Inputs, method: str) -> str:
    """The program of a problem in DiffSL.

    Raises
    ------
    ValueError
        Where the equations have an operation that DiffSL lacks, or too many.
    """
    rhs = equations.rhs
    name = f"problem {equations.problem.name!r}"
    if not rhs.is_a("SXFunction"):
        raise ValueError(
            f"method={method!r} writes its equations out number by number, and {name} has products "
            "of matrices that are too large for that; use method='cvodes-adjoint'"
        )
    if rhs.n_instructions() > MOST_OPERATIONS:
        raise ValueError(
            f"method={method!r} compiles its equations number by number, and {name} has "
            f"{rhs.n_instructions()} operations, more than {MOST_OPERATIONS}; use "
            "method='cvodes-adjoint'"
        )
    m, n = inputs.theta.size, inputs.y0.size
    names = [["t"], [f"x{i}" for i in range(n)], [f"q{i}" for i in range(m)]]
    lines, slopes = _written(rhs, names, f"method={method!r} cannot write {name} in DiffSL")
    given = [f"p{i} = 1.0" for i in range(m)] + [f"s{i} = 1.0" for i in range(n)]
    return "\n".join(
        [
            _tensor("in_i", given),
            *(f"q{i} {{ {number(unit)} * p{i} }}" for i, unit in enumerate(inputs.theta)),
            _tensor("u_i", [f"x{i} = {number(u)} * s{i}" for i, u in enumerate(inputs.y0)]),
            *lines,
            _tensor("F_i", slopes),
        ]
    )


def sum_of_derivatives(equations: Equations, t: float) -> ca.Function:
    """``(y, theta) -> number``, not finite where equations or Jacobians at `t` are not."""
    _, y, theta = symbols(equations.rhs)
    slope = equations.rhs(t, y, theta)
    parts = (slope, ca.jacobian(slope, y), ca.jacobian(slope, theta))
    return ca.Function("sum", [y, theta], [sum(ca.sum1(ca.sum2(part)) for part in parts)])


def number(value: float) -> str:
    """A number as DiffSL reads it; ``ValueError`` where it is none."""
    if not np.isfinite(value):
        raise ValueError(f"the equations hold {value!r}, which DiffSL cannot write; pass a number")
    return repr(float(value))


def _written(
    function: ca.Function, names: list[list[str]], refusal: str
) -> tuple[list[str], list[str]]:
    """One line for each operation of a function of scalars, and its outputs."""
    lines: list[str] = []
    outputs = ["0.0"] * function.numel_out(0)
    work: dict[int, str] = {}
    for k in range(function.n_instructions()):
        code = function.instruction_id(k)
        read, write = function.instruction_input(k), function.instruction_output(k)
        if code == ca.OP_OUTPUT:
            outputs[write[1]] = work[read[0]]
        elif code == ca.OP_INPUT:
            work[write[0]] = names[read[0]][read[1]]
        elif code == ca.OP_CONST:
            value = number(function.instruction_constant(k))
            work[write[0]] = f"({value})" if value.startswith("-") else value
        elif code in FORMS:
            expression = FORMS[code].format(*(work[i] for i in read))
            lines.append(f"v{k} {{ {expression} }}")
            work[write[0]] = f"v{k}"
        else:
            raise ValueError(f"{refusal}, which has no {NAMES[code]}; use method='cvodes-adjoint'")
    return lines, outputs


def _tensor(name: str, elements: list[str]) -> str:
    return f"{name} {{ {', '.join(elements)} }}"
