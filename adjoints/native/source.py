"""The whole C program of a problem and a method."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from ...problems import Problem
from ..steps.acceptance import CODES, FIXED_STEPS, RUNNING, stretch_of
from ..steps.step_size import (
    LARGEST_FACTOR,
    PROPORTIONAL,
    SAFETY,
    SMALLEST_ERROR,
    SMALLEST_FACTOR,
)
from ..steps.stops import Stops, stops_between
from ..steps.tableau import Tableau
from . import explicit_step, rosenbrock_step
from .translation import Translator

#: Bytes of a step whose stages are kept for the reverse sweep.
MOST_KEPT = 8192


def source_of(problem: Problem, tableau: Tableau) -> str:
    """The C program of a problem's gradient by the steps of a method.

    Raises
    ------
    UntranslatableError
        Where the equations cannot be written as C.
    """
    translator = Translator(problem)
    implicit = tableau.kind == "rosenbrock"
    kind = rosenbrock_step if implicit else explicit_step
    stops = stops_between(
        problem.discontinuities, problem.jump_times, *problem.t_span, problem.dtype
    )
    acting = sorted(i for jumps in stops.jumps for i in jumps)
    return "\n".join(
        [
            "#include <tgmath.h>\n#include <stdlib.h>\n#include <string.h>",
            _constants(problem, translator, stops, tableau),
            _text("prelude.c"),
            kind.declarations(tableau),
            translator.rhs(),
            *([translator.second_derivatives(tableau)] if implicit else []),
            translator.loss(),
            *(translator.jump(i) for i in acting),
            _jumps(stops),
            kind.step(tableau),
            _text("loop.c"),
        ]
    )


def _constants(problem: Problem, translator: Translator, stops: Stops, tableau: Tableau) -> str:
    """Sizes, times and the rules of step sizes."""
    single = problem.dtype == np.float32
    known = {
        "N": translator.system.n,
        "P": translator.system.m,
        "SAVES": len(problem.save_at),
        "STOPS": len(stops.times),
        "FIRST_STOP": stops.first,
        "BREAKS": int(stops.breaks),
        "JUMPS": int(any(stops.jumps)),
        "T0": _number(problem.t_span[0]),
        "EPSILON": _number(float(np.finfo(problem.dtype).eps)),
        "STRETCH": _number(stretch_of(tableau)),
        "SAFETY": _number(SAFETY),
        "SMALLEST_FACTOR": _number(SMALLEST_FACTOR),
        "LARGEST_FACTOR": _number(LARGEST_FACTOR),
        "PROPORTIONAL": _number(PROPORTIONAL),
        "SMALLEST_ERROR": _number(SMALLEST_ERROR),
        "FIXED_STEPS": FIXED_STEPS,
        "MOST_KEPT": MOST_KEPT,
        "RUNNING": f"({RUNNING})",
        **{name.upper(): code for name, code in CODES.items()},
    }
    lines = [f"typedef {'float' if single else 'double'} real;"]
    lines += [f"#define {name} {value}" for name, value in known.items()]
    lines += [
        _array("real", "save_at", [_number(t) for t in problem.save_at.tolist()]),
        _array("real", "stop_times", [_number(t) for t in stops.times]),
        _array("int", "sided", [str(int(side)) for side in stops.sided]),
    ]
    return "\n".join(lines)


def _jumps(stops: Stops) -> str:
    """What happens to the state at each stop, and to its cotangent."""
    ahead, back = [], []
    for stop, jumps in enumerate(stops.jumps):
        if jumps:
            moves = " ".join(f"jump_{i}(t, y, p, z); memcpy(y, z, sizeof(z));" for i in jumps)
            ahead.append(f"    case {stop}: {moves} break;")
            states = [f"at[{k}]" for k in range(len(jumps))]
            again = "".join(
                f" jump_{i}(t, {states[k]}, p, {states[k + 1]});" for k, i in enumerate(jumps[:-1])
            )
            pulls = " ".join(
                f"memset(z, 0, sizeof(z)); jump_back_{i}(t, {states[k]}, p, w, z, dp); "
                "memcpy(w, z, sizeof(z));"
                for k, i in reversed(list(enumerate(jumps)))
            )
            back.append(
                f"    case {stop}: {{ real at[{len(jumps)}][N]; memcpy(at[0], y, sizeof(z));"
                f"{again} {pulls} break; }}"
            )
    return "\n".join(
        [
            "static void jumps_at(int stop, real t, real *y, const real *p) {",
            "    real z[N];",
            "    switch (stop) {",
            *ahead,
            "    }\n}\n",
            "static void jumps_back(int stop, real t, const real *y, const real *p, real *w, "
            "real *dp) {",
            "    real z[N];",
            "    switch (stop) {",
            *back,
            "    }\n}\n",
        ]
    )


def _text(name: str) -> str:
    assert __package__ is not None
    return files(__package__).joinpath(name).read_text()


def _array(kind: str, name: str, values: Sequence[str]) -> str:
    return f"static const {kind} {name}[] = {{{', '.join(values)}}};"


def _number(value: float) -> str:
    return f"((real){float(value)!r})"
