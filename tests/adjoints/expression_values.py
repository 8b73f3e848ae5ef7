"""What expressions come to, in NumPy."""

import numpy as np
from scipy.special import erf, erfc

from adjointbench.adjoints.native.expressions import below

#: Functions that NumPy knows under another name than C's operations.
_NUMPY = {
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "select": lambda c, a, b: np.where(c != 0, a, b),
    "sign": lambda a: np.sign(np.real(a)),
    "floor": lambda a: np.floor(np.real(a)),
    "ceil": lambda a: np.ceil(np.real(a)),
    "round": lambda a: np.trunc(np.real(a) + np.copysign(0.5, np.real(a))),
    "rint": lambda a: np.rint(np.real(a)),
    "abs": lambda a: np.where(np.real(a) < 0, -a, a),
    "maximum": lambda a, b: np.where((a != a) | (np.real(a) > np.real(b)), a, b),
    "minimum": lambda a, b: np.where((a != a) | (np.real(a) < np.real(b)), a, b),
    "hypot": lambda a, b: np.sqrt(a * a + b * b),
    "cbrt": lambda a: np.cbrt(a) if np.isrealobj(a) else a ** (1 / 3),
    "logistic": lambda a: 1.0 / (1.0 + np.exp(-a)),
    "fmod": lambda a, b: a - np.trunc(np.real(a) / np.real(b)) * b,
    "held": np.real,
    "given": lambda value, *by: value,
    "erf": erf,
    "erfc": erfc,
    "atan2": lambda a, b: np.arctan2(a, b) if np.isrealobj(a + b) else np.arctan(a / b),
    **{name: getattr(np, f"arc{name[1:]}") for name in ("asin", "acos", "atan")},
    **{name: getattr(np, f"arc{name[1:]}") for name in ("asinh", "acosh", "atanh")},
}


def values_of(expressions, values):
    """What some expressions come to, of numbers or arrays, complex ones too."""
    found = {}
    with np.errstate(all="ignore"):
        for part in below(expressions):
            if part.operation == "number":
                found[part] = np.float64(part.number)
            elif part.operation == "input":
                found[part] = values[part.value]
            else:
                function = _NUMPY.get(part.operation) or getattr(np, part.operation)
                found[part] = function(*(found[operand] for operand in part.operands))
    return [found[expression] for expression in expressions]
