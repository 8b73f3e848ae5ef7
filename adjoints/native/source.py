"""The whole C program of some equations and a method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np

from ..steps.acceptance import CODES, FIXED_STEPS, RUNNING, STRETCH_GIVEN, stretch_of
from ..steps.step_size import (
    LARGEST_FACTOR,
    PROPORTIONAL,
    SAFETY,
    SMALLEST_ERROR,
    SMALLEST_FACTOR,
)
from ..steps.tableau import Tableau
from . import explicit_step, rosenbrock_step
from .equations import Equations
from .estimate_terms import NO_TERMS, estimate_terms
from .mass_terms import bands_with, products
from .translation import Translator

#: Bytes of accepted steps that are kept with their stages where trajectories are side by side.
GROUP_BYTES = 1 << 22


@dataclass(frozen=True)
class Source:
    """A program in C, and the data that it is handed behind the parameters."""

    text: str
    data: np.ndarray


def source_of(
    equations: Equations,
    tableau: Tableau,
    dtype: Any,
    *,
    breaks: bool,
    saves: int | None = None,
    most: int | None = None,
    lanes: bool = False,
) -> Source:
    """The C program that solves equations by the steps of a method, and pulls back.

    Parameters
    ----------
    equations : Equations
    tableau : Tableau
        An explicit or a Rosenbrock method.
    dtype : dtype
        ``float64`` or ``float32``.
    breaks : bool
        Whether the right-hand side may be discontinuous in time.
    saves : int, optional
        How many saves the loss reads, of a program with the loss in it; that has no estimates.
    most : int, optional
        How many operations the right-hand side may have.
    lanes : bool
        Whether trajectories are solved side by side, as many as vector instructions take.

    Raises
    ------
    UntranslatableError
        Where the equations cannot be written as C, or are too many.
    """
    translator = Translator(equations)
    if most is not None:
        translator.check_worth(most)
    implicit, mass = tableau.kind == "rosenbrock", equations.mass
    if mass is not None:
        # The Jacobian alone tells nothing of stiffness.
        tableau = replace(tableau, stiffness_stages=None)
    kind = rosenbrock_step if implicit else explicit_step
    functions = [
        translator.rhs(),
        *([translator.second_derivatives(tableau)] if implicit else []),
        *([translator.products()] if implicit and saves is None else []),
        *(translator.jump(i) for i in equations.jumps),
        *([] if saves is None else [translator.loss(saves)]),
    ]
    data = translator.data.values.astype(dtype)
    width = f"(VECTOR_BYTES / {np.dtype(dtype).itemsize})" if lanes else 1
    parts = [
        included(lanes),
        _constants(equations, tableau, dtype, BREAKS=int(breaks), DATA=len(data), W=width),
        _text("prelude.c"),
        *(_bands(*bands_with(mass, *translator.bands)) if implicit else ()),
        kind.declarations(tableau),
        *functions,
        _jumps(equations.jumps),
        products(mass),
        kind.step(tableau, mass),
        _text("loop.c"),
        _text("forward.c"),
        estimate_terms(tableau) if saves is None else NO_TERMS,
        kind.step_back(tableau, mass),
        _text("sweep.c"),
        _text("calls.c"),
        _text("groups.c"),
        *([] if saves is None else [_text("run.c")]),
    ]
    return Source("\n".join(parts), data)


def included(lanes: bool) -> str:
    """The headers of C; only so do glibc's tell which functions there are of vectors."""
    of_vectors = "#define __FAST_MATH__\n#include <math.h>\n#undef __FAST_MATH__\n"
    headers = ("tgmath.h", "stdlib.h", "string.h")
    return (of_vectors if lanes else "") + "\n".join(f"#include <{name}>" for name in headers)


def _constants(equations: Equations, tableau: Tableau, dtype: Any, **others: Any) -> str:
    """Sizes, and the rules of step sizes."""
    single = np.dtype(dtype) == np.float32
    known = {
        **others,
        "N": equations.n,
        "P": equations.m,
        "JUMPS": len(equations.jumps),
        "EPSILON": _number(float(np.finfo(dtype).eps)),
        "TINY": _number(float(np.finfo(dtype).tiny)),
        "STRETCH": _number(stretch_of(tableau)),
        "STRETCH_GIVEN": _number(STRETCH_GIVEN),
        "SAFETY": _number(SAFETY),
        "SMALLEST_FACTOR": _number(SMALLEST_FACTOR),
        "LARGEST_FACTOR": _number(LARGEST_FACTOR),
        "PROPORTIONAL": _number(PROPORTIONAL),
        "SMALLEST_ERROR": _number(SMALLEST_ERROR),
        "FIXED_STEPS": FIXED_STEPS,
        "GROUP_BYTES": GROUP_BYTES,
        "RUNNING": f"({RUNNING})",
        **{name.upper(): code for name, code in CODES.items()},
    }
    lines = [
        f"typedef {'float' if single else 'double'} scalar;",
    ]
    return "\n".join(lines + [f"#define {name} {value}" for name, value in known.items()])


def _bands(below: int, above: int) -> tuple[str, ...]:
    """Where the matrix of a step has entries; exchanged rows have as many more above."""
    return f"#define BELOW {below}", f"#define ABOVE {above + below}"


def _jumps(numbers: tuple[int, ...]) -> str:
    """What happens to the state at a jump, and to its cotangent."""
    ahead = [f"    case {i}: jump_{i}(t, y, p, z); break;" for i in numbers]
    back = [f"    case {i}: jump_back_{i}(t, y, p, w, dy, dp); break;" for i in numbers]
    return "\n".join(
        [
            "static void jump(int i, real t, const real *y, const real *p, real *z) {",
            "    switch (i) {",
            *ahead,
            "    }\n}\n",
            "static void jump_back(int i, real t, const real *y, const real *p, const real *w, "
            "real *dy, real *dp) {",
            "    switch (i) {",
            *back,
            "    }\n}\n",
        ]
    )


def _text(name: str) -> str:
    assert __package__ is not None
    return files(__package__).joinpath(name).read_text()


def _number(value: float) -> str:
    return f"((scalar){float(value)!r})"
