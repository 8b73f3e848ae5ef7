"""One explicit Runge-Kutta step in C, forwards and backwards, its coefficients written out.

With ``w`` the cotangent of the new state and ``Y_i`` the state of stage ``i``, the cotangents of
the stages are, from the last to the first,

    u_i = h b_i w + h sum_l a_li g_l        (l after i),        g_l = u_l J(Y_l)

and that of the old state is ``w + sum_i g_i``.
"""

from __future__ import annotations

from ..mass.matrix import MassMatrix
from ..steps.tableau import Tableau
from .step_formulas import (
    READ,
    STEP_BACK,
    constants_of,
    dense_back,
    each,
    error_and_dense_output,
    function,
    weighted,
)


def step(tableau: Tableau, mass: MassMatrix | None = None) -> str:
    """The functions of a step that the loop calls."""
    return "\n".join(
        [
            function(
                "truth",
                "take",
                f"{READ}, const real *slope, Limits side, Step *step",
                [*_stages(tableau), "return (truth){0};"],
            ),
            function(
                "void",
                "dense_stages",
                f"{READ}, Limits side, Step *step",
                [
                    line
                    for i in range(tableau.steps + 1, tableau.stages)
                    for line in _stage(tableau, i)
                ],
            ),
            error_and_dense_output(tableau),
        ]
    )


def declarations(tableau: Tableau) -> str:
    """What the loop knows of the method, and what it keeps of a step."""
    return (
        f"{constants_of(tableau, slope=tableau.steps)}\n"
        "typedef struct { real k[STAGES][N], y1[N], at[STAGES][N]; } Step;\n"
        "typedef struct { real u[STAGES][N], at[STAGES][N]; } Back;\n"
    )


def _time(tableau: Tableau, i: int) -> str:
    """When a stage is taken; at the end of the step exactly there."""
    time = f"row->t + number({float(tableau.c[i])!r}) * row->h"
    return f"clip({'row->t1' if i == tableau.steps else time}, side)"


def _stage(tableau: Tableau, i: int) -> list[str]:
    """A stage from those before it, and the state at which it is taken."""
    state = f"row->y[j] + row->h * ({weighted(tableau.a[i], 'step->k[{}][j]')})"
    taken = f"f({_time(tableau, i)}, step->at[{i}], lanes->p, step->k[{i}]);"
    if i > tableau.steps:
        # In lanes without a save, where the equations were evaluated before.
        state = f"blend(row->saves, {state}, step->y1[j])"
    return [each(f"step->at[{i}][j] = {state};"), taken]


def _stages(tableau: Tableau) -> list[str]:
    """The stages that make the new state, that state, and the slope there."""
    end = f"f({_time(tableau, tableau.steps)}, step->y1, lanes->p, step->k[{tableau.steps}]);"
    later = (line for i in range(1, tableau.steps) for line in _stage(tableau, i))
    new = f"row->y[j] + row->h * ({weighted(tableau.b, 'step->k[{}][j]')})"
    return [
        each("step->k[0][j] = slope[j]; step->at[0][j] = row->y[j];"),
        *later,
        each(f"step->at[{tableau.steps}][j] = step->y1[j] = {new};"),
        end,
    ]


def step_back(tableau: Tableau, mass: MassMatrix | None = None) -> str:
    """The step backwards, and its dense output."""
    own = " ".join(
        f"back->u[{i}][j] += row->h * number({weight!r}) * w[j];"
        for i, weight in enumerate(tableau.b[: tableau.steps].tolist())
        if weight
    )
    lines = [
        "real total[N], g[N];",
        "int top = any(row->saves) ? STAGES : dterms ? STEPS + 1 : STEPS;",
        "memset(back->u, 0, sizeof(back->u));",
        each("total[j] = number(0);"),
        "if (dterms) terms_back(lanes, row, side, step, dterms, back, w, total, dp);",
        each("total[j] += w[j];"),
        "if (any(row->saves)) dense_back(lanes, row, total, back->u);",
        each(own),
    ]
    for i in reversed(range(tableau.stages)):
        earlier = " ".join(
            f"back->u[{k}][j] += row->h * number({a!r}) * g[j];"
            for k, a in enumerate(tableau.a[i][:i].tolist())
            if a
        )
        lines += [
            f"if ({i} < top) {{",
            f"if (dterms) memcpy(g, back->at[{i}], sizeof(g)); else memset(g, 0, sizeof(g));",
            f"vjp({_time(tableau, i)}, step->at[{i}], lanes->p, back->u[{i}], g, dp);",
            each(f"total[j] += g[j]; {earlier}"),
            "}",
        ]
    return dense_back(tableau) + function(
        "void", "step_back", STEP_BACK, [*lines, "memcpy(w, total, sizeof(total));"]
    )
