"""One Rosenbrock step in C, forwards and backwards.

With ``W = I / gamma - h J`` the stages solve ``W U_i = r_i``, and the cotangents of their
right-hand sides are, from the last stage to the first,

    l_i = (h b_i w + sum_(l>i) (coupling_li l_l + h a_li g_l)) W^-1,        g_l = l_l J(Y_l)

The matrix enters as ``J U_i`` and as ``f_t``: the derivatives at the start of the step of
``h sum_i l_i (J U_i + time_weights_i f_t)``, the cotangents held, are added.

References
----------
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from ..steps.tableau import Tableau
from .step_formulas import (
    READ,
    STEP_BACK,
    constants_of,
    each,
    error_and_dense_output,
    function,
    weighted,
)

#: Gaussian elimination with partial pivoting, of W in place, and solutions with it.
LINEAR_ALGEBRA = """
static int factorize(real (*m)[N], int *order) {
    for (int i = 0; i < N; i++) order[i] = i;
    for (int k = 0; k < N; k++) {
        int pivot = k;
        for (int i = k + 1; i < N; i++)
            if (fabs(m[i][k]) > fabs(m[pivot][k])) pivot = i;
        if (pivot != k) {
            int o = order[k];
            order[k] = order[pivot], order[pivot] = o;
            for (int j = 0; j < N; j++) {
                real x = m[k][j];
                m[k][j] = m[pivot][j], m[pivot][j] = x;
            }
        }
        if (m[k][k] == 0) return LINEAR_SOLVE;
        m[k][k] = 1 / m[k][k];
        for (int i = k + 1; i < N; i++) {
            if (m[i][k] == 0) continue;
            real factor = m[i][k] *= m[k][k];
            for (int j = k + 1; j < N; j++) m[i][j] -= factor * m[k][j];
        }
    }
    return RUNNING;
}

static void apply_inverse(const real (*m)[N], const int *order, const real *right, real *x) {
    for (int i = 0; i < N; i++) {
        real total = right[order[i]];
        for (int j = 0; j < i; j++) total -= m[i][j] * x[j];
        x[i] = total;
    }
    for (int i = N - 1; i >= 0; i--) {
        real total = x[i];
        for (int j = i + 1; j < N; j++) total -= m[i][j] * x[j];
        x[i] = total * m[i][i];
    }
}

static void apply_inverse_transposed(const real (*m)[N], const int *order, const real *right,
                                     real *x) {
    real z[N];
    memcpy(z, right, sizeof(z));
    for (int i = 0; i < N; i++) {
        z[i] *= m[i][i];
        for (int j = i + 1; j < N; j++) z[j] -= m[i][j] * z[i];
    }
    for (int i = N - 1; i >= 0; i--)
        for (int j = 0; j < i; j++) z[j] -= m[i][j] * z[i];
    for (int i = 0; i < N; i++) x[order[i]] = z[i];
}
"""


def step(tableau: Tableau) -> str:
    """The functions of a step that the loop calls."""
    taken = f"{READ}, const real *slope, Limits side, Step *step"
    return "\n".join(
        [
            LINEAR_ALGEBRA,
            function("int", "take", taken, _stages(tableau)),
            function("void", "dense_stages", f"{READ}, Limits side, Step *step", []),
            error_and_dense_output(tableau),
        ]
    )


def declarations(tableau: Tableau) -> str:
    """What the loop knows of the method, and what it keeps of a step."""
    return (
        f"{constants_of(tableau, slope=tableau.stages)}\n"
        "typedef struct {\n"
        "    real k[STAGES][N], y1[N], at[STAGES][N], matrix[N][N], time_slope[N];\n"
        "    int order[N];\n"
        "} Step;\n"
        "typedef struct { real u[STAGES][N], l[STAGES][N], g[STAGES][N]; } Back;\n"
    )


def _stages(tableau: Tableau) -> list[str]:
    """The matrix, the stages and the new state; the code of a failure."""
    assert tableau.coupling is not None
    assert tableau.time_weights is not None
    lines = [
        "real right[N];",
        "const real h = row->h;",
        "memset(step->matrix, 0, sizeof(step->matrix));",
        "jacobian(clip(row->t, side), row->y, task->p, &step->matrix[0][0], step->time_slope);",
        "int finite = all_finite(&step->matrix[0][0], (long)N * N);",
        "for (int i = 0; i < N; i++) { for (int j = 0; j < N; j++) step->matrix[i][j] *= -h;",
        f"    step->matrix[i][i] += 1 / (real){tableau.gamma!r}; }}",
        "int failure = factorize(step->matrix, step->order);",
    ]
    for i in range(tableau.steps):
        if i == 0:
            right = "slope[j]"
            lines.append(each("step->at[0][j] = row->y[j];"))
        else:
            state = f"row->y[j] + h * ({weighted(tableau.a[i], 'step->k[{}][j]')})"
            time = f"clip(row->t + (real){float(tableau.c[i])!r} * h, side)"
            lines.append(each(f"step->at[{i}][j] = {state};"))
            lines.append(f"f({time}, step->at[{i}], task->p, right);")
            right = f"right[j] + {weighted(tableau.coupling[i], 'step->k[{}][j]')}"
        if weight := float(tableau.time_weights[i]):
            right += f" + (real){weight!r} * h * step->time_slope[j]"
        lines.append(each(f"right[j] = {right};"))
        lines.append(f"apply_inverse(step->matrix, step->order, right, step->k[{i}]);")
    new = f"row->y[j] + h * ({weighted(tableau.b, 'step->k[{}][j]')})"
    end = f"f(clip(row->t1, side), step->y1, task->p, step->k[{tableau.stages}]);"
    return [*lines, each(f"step->y1[j] = {new};"), end, "return finite ? failure : RUNNING;"]


def step_back(tableau: Tableau) -> str:
    """The step backwards."""
    assert tableau.coupling is not None
    assert tableau.time_weights is not None
    lines = [
        "real total[N];",
        "const real h = row->h;",
        "memset(back, 0, sizeof(*back));",
        each("total[j] = 0;"),
        "if (dterms) terms_back(task, row, side, step, dterms, back, w, total, dp);",
        each("total[j] += w[j];"),
        "if (row->passed > row->saved) dense_back(task, row, dys, total, back->u);",
    ]
    for i in reversed(range(tableau.steps)):
        later = range(i + 1, tableau.steps)
        coupled = [
            f"(real){float(tableau.coupling[k, i])!r} * back->l[{k}][j]"
            for k in later
            if tableau.coupling[k, i]
        ]
        through = [
            f"(real){float(tableau.a[k, i])!r} * back->g[{k}][j]" for k in later if tableau.a[k, i]
        ]
        own = (
            f"h * ((real){float(tableau.b[i])!r} * w[j]{''.join(f' + {term}' for term in through)})"
        )
        cotangent = " + ".join([own, *coupled])
        lines += [
            each(f"back->u[{i}][j] += {cotangent};"),
            f"apply_inverse_transposed(step->matrix, step->order, back->u[{i}], back->l[{i}]);",
            f"vjp(clip(row->t + (real){float(tableau.c[i])!r} * h, side), step->at[{i}], task->p, "
            f"back->l[{i}], back->g[{i}], dp);",
            each(f"total[j] += back->g[{i}][j];"),
        ]
    lines += [
        "bend_back(clip(row->t, side), row->y, task->p, h, back->l, step->k, total, dp);",
        "memcpy(w, total, sizeof(total));",
    ]
    return function("void", "step_back", STEP_BACK, lines)
