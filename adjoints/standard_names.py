"""NumPy's functions by their names in the Python array API."""

from __future__ import annotations

#: Functions of NumPy that have another name in the standard.
STANDARD_NAMES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "concatenate": "concat",
    "power": "pow",
    "transpose": "permute_dims",
    "true_divide": "divide",
}
