"""One Rosenbrock step in C, forwards and backwards.

With ``W = M / gamma - h J`` the stages solve ``W U_i = r_i``, and the cotangents of their
right-hand sides are, from the last stage to the first,

    l_i = (h b_i w + sum_(l>i) (coupling_li l_l M + h a_li g_l)) W^-1,      g_l = l_l J(Y_l)

The matrix enters as ``J U_i`` and as ``f_t``: the derivatives at the start of the step of
``h sum_i l_i (J U_i + time_weights_i f_t)``, the cotangents held, are added.

References
----------
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from ..mass.matrix import MassMatrix
from ..steps.tableau import Tableau
from .mass_terms import coupled_lines, matrix_lines
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

#: Gaussian elimination with partial pivoting, of W in place, and solutions with it. What has been
#: eliminated moves with the rows, and lies outside of the band where some were exchanged.
LINEAR_ALGEBRA = """
static int least(int a, int b) { return a < b ? a : b; }
static int last_below(int k) { return least(k + BELOW, N - 1); }
static int last_above(int k) { return least(k + ABOVE, N - 1); }
static int first_before(const Step *step, int i) {
    return step->exchanged || i < BELOW ? 0 : i - BELOW;
}

/* The largest element of column k to row k, in each lane; whether any lane exchanged rows. */
static int exchange(real (*m)[N], int (*order)[W], int k) {
    real largest = fabs_lanes(m[k][k]), pivot = number(k);
    for (int i = k + 1; i <= last_below(k); i++) {
        truth larger = fabs_lanes(m[i][k]) > largest;
        largest = blend(larger, fabs_lanes(m[i][k]), largest);
        pivot = blend(larger, number(i), pivot);
    }
    if (!any(pivot != k)) return 0;
    EACH_LANE {
        int i = LANE(pivot, l), o = order[k][l];
        order[k][l] = order[i][l], order[i][l] = o;
        for (int j = 0; j < N; j++) {
            scalar x = LANE(m[k][j], l);
            LANE(m[k][j], l) = LANE(m[i][j], l), LANE(m[i][j], l) = x;
        }
    }
    return 1;
}

/* In which lanes the matrix is singular. */
static truth factorize(Step *step) {
    real (*m)[N] = step->matrix;
    truth singular = {0};
    step->exchanged = 0;
    for (int i = 0; i < N; i++) EACH_LANE step->order[i][l] = i;
    for (int k = 0; k < N; k++) {
        step->exchanged |= exchange(m, step->order, k);
        singular |= m[k][k] == 0;
        m[k][k] = 1 / m[k][k];
        for (int i = k + 1; i <= last_below(k); i++) {
            if (!any(m[i][k] != 0)) continue;
            real factor = m[i][k] *= m[k][k];
            for (int j = k + 1; j <= last_above(k); j++) m[i][j] -= factor * m[k][j];
        }
    }
    return singular;
}

static void apply_inverse(const Step *step, const real *right, real *x) {
    const real (*m)[N] = step->matrix;
    real moved[N];
    if (step->exchanged) {
        for (int i = 0; i < N; i++)
            EACH_LANE LANE(moved[i], l) = LANE(right[step->order[i][l]], l);
        right = moved;
    }
    for (int i = 0; i < N; i++) {
        real total = right[i];
        for (int j = first_before(step, i); j < i; j++) total -= m[i][j] * x[j];
        x[i] = total;
    }
    for (int i = N - 1; i >= 0; i--) {
        real total = x[i];
        for (int j = i + 1; j <= last_above(i); j++) total -= m[i][j] * x[j];
        x[i] = total * m[i][i];
    }
}

static void apply_inverse_transposed(const Step *step, const real *right, real *x) {
    const real (*m)[N] = step->matrix;
    real z[N];
    memcpy(z, right, sizeof(z));
    for (int i = 0; i < N; i++) {
        z[i] *= m[i][i];
        for (int j = i + 1; j <= last_above(i); j++) z[j] -= m[i][j] * z[i];
    }
    for (int i = N - 1; i >= 0; i--)
        for (int j = first_before(step, i); j < i; j++) z[j] -= m[i][j] * z[i];
    memcpy(x, z, sizeof(z));
    for (int i = 0; step->exchanged && i < N; i++)
        EACH_LANE LANE(x[step->order[i][l]], l) = LANE(z[i], l);
}
"""


def step(tableau: Tableau, mass: MassMatrix | None) -> str:
    """The functions of a step that the loop calls."""
    taken = f"{READ}, const real *slope, Limits side, Step *step"
    return "\n".join(
        [
            LINEAR_ALGEBRA,
            function("truth", "take", taken, _stages(tableau, mass)),
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
        "    int order[N][W], exchanged;\n"
        "} Step;\n"
        "typedef struct { real u[STAGES][N], l[STAGES][N], g[STAGES][N]; } Back;\n"
    )


def _stages(tableau: Tableau, mass: MassMatrix | None) -> list[str]:
    """The matrix, the stages and the new state; where the matrix is singular."""
    assert tableau.coupling is not None
    assert tableau.time_weights is not None
    lines = [
        "real right[N];",
        *([] if mass is None else ["real sum[N], coupled[N];"]),
        "const real h = row->h;",
        "memset(step->matrix, 0, sizeof(step->matrix));",
        "jacobian(clip(row->t, side), row->y, lanes->p, &step->matrix[0][0], step->time_slope);",
        "truth finite = all_finite(&step->matrix[0][0], (long)N * N);",
        "for (int i = 0; i < N; i++) for (int j = 0; j < N; j++) step->matrix[i][j] *= -h;",
        *matrix_lines(mass, tableau.gamma),
        "truth singular = factorize(step);",
    ]
    for i in range(tableau.steps):
        if i == 0:
            right = "slope[j]"
            lines.append(each("step->at[0][j] = row->y[j];"))
        else:
            state = f"row->y[j] + h * ({weighted(tableau.a[i], 'step->k[{}][j]')})"
            time = f"clip(row->t + number({float(tableau.c[i])!r}) * h, side)"
            lines.append(each(f"step->at[{i}][j] = {state};"))
            lines.append(f"f({time}, step->at[{i}], lanes->p, right);")
            coupling = weighted(tableau.coupling[i], "step->k[{}][j]")
            lines += coupled_lines(mass, coupling, transposed=False)
            right = f"right[j] + {coupling if mass is None else 'coupled[j]'}"
        if weight := float(tableau.time_weights[i]):
            right += f" + number({weight!r}) * h * step->time_slope[j]"
        lines.append(each(f"right[j] = {right};"))
        lines.append(f"apply_inverse(step, right, step->k[{i}]);")
    new = f"row->y[j] + h * ({weighted(tableau.b, 'step->k[{}][j]')})"
    end = f"f(clip(row->t1, side), step->y1, lanes->p, step->k[{tableau.stages}]);"
    return [*lines, each(f"step->y1[j] = {new};"), end, "return finite & singular;"]


def step_back(tableau: Tableau, mass: MassMatrix | None) -> str:
    """The step backwards, and its dense output."""
    assert tableau.coupling is not None
    assert tableau.time_weights is not None
    lines = [
        "real total[N];",
        *([] if mass is None else ["real sum[N], coupled[N];"]),
        "const real h = row->h;",
        "memset(back, 0, sizeof(*back));",
        each("total[j] = number(0);"),
        "if (dterms) terms_back(lanes, row, side, step, dterms, back, w, total, dp);",
        each("total[j] += w[j];"),
        "if (any(row->saves)) dense_back(lanes, row, total, back->u);",
    ]
    for i in reversed(range(tableau.steps)):
        later = range(i + 1, tableau.steps)
        coupled = [
            f"number({float(tableau.coupling[k, i])!r}) * back->l[{k}][j]"
            for k in later
            if tableau.coupling[k, i]
        ]
        through = [
            f"number({float(tableau.a[k, i])!r}) * back->g[{k}][j]"
            for k in later
            if tableau.a[k, i]
        ]
        own = " + ".join([f"number({float(tableau.b[i])!r}) * w[j]", *through])
        if mass is not None and coupled:
            lines += coupled_lines(mass, " + ".join(coupled), transposed=True)
            coupled = ["coupled[j]"]
        cotangent = " + ".join([f"h * ({own})", *coupled])
        lines += [
            each(f"back->u[{i}][j] += {cotangent};"),
            f"apply_inverse_transposed(step, back->u[{i}], back->l[{i}]);",
            f"vjp(clip(row->t + number({float(tableau.c[i])!r}) * h, side), step->at[{i}], "
            f"lanes->p, back->l[{i}], back->g[{i}], dp);",
            each(f"total[j] += back->g[{i}][j];"),
        ]
    lines += [
        "bend_back(clip(row->t, side), row->y, lanes->p, h, back->l, step->k, total, dp);",
        "memcpy(w, total, sizeof(total));",
    ]
    return dense_back(tableau) + function("void", "step_back", STEP_BACK, lines)
