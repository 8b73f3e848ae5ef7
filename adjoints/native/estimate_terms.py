"""What a step adds to the estimates of error and stiffness, in C, and the derivatives of that.

With ``r`` the norm of the embedded error over the step size ``h`` and ``s`` the ratio of the norms
of the differences of two slopes and of their states, the terms are ``h^2 r``, ``(h r)^2``, ``h s``.
"""

from __future__ import annotations

from ..steps.tableau import Tableau
from .step_formulas import READ, each, function, weighted

_READ = f"{READ}, Limits side, const Step *step"


#: Of a program without estimates.
NO_TERMS = (
    f"static void step_terms({_READ}, real *terms) {{}}\n"
    f"static void terms_back({_READ}, const real *dterms, Back *back, real *w, real *dy, "
    "real *dp) {}\n"
)


def estimate_terms(tableau: Tableau) -> str:
    """``step_terms`` and ``terms_back``."""
    ahead = [
        "real scale[N], high = number(0), low = number(0);",
        "terms[0] = terms[1] = terms[2] = number(0);",
    ]
    back = [] if tableau.implicit else ["memset(back->at, 0, sizeof(back->at));"]
    if tableau.error is not None:
        ahead += [*_SCALE, *_errors(tableau), "real norm = row->h * norm_of(high, low);"]
        ahead += ["terms[0] = norm * row->h;", "terms[1] = norm * norm;"]
        back += ["if (any((dterms[0] != 0) | (dterms[1] != 0))) {", *_error_back(tableau), "}"]
    if tableau.stiffness_stages is not None:
        ahead += [
            *_pair(tableau),
            "terms[2] = blend(states > 0, row->h * sqrt_lanes(slopes / states), number(0));",
        ]
        back += ["if (any(dterms[2] != 0)) {", *_stiffness_back(tableau), "}"]
    pulled = f"{_READ}, const real *dterms, Back *back, real *w, real *dy, real *dp"
    return "\n".join(
        [
            function("void", "step_terms", f"{_READ}, real *terms", ahead),
            function("void", "terms_back", pulled, back),
        ]
    )


_SCALE = (
    "if (lanes->absolute) " + each("scale[j] = number(1);"),
    "else scale_of(lanes, row, step, scale);",
)


def _errors(tableau: Tableau) -> list[str]:
    return [
        "embedded_error(step, scale, &high, &low);",
        "if (lanes->absolute) high *= N, low *= N;",
    ]


def _error_back(tableau: Tableau) -> list[str]:
    """The cotangents of stages and states, from those of ``h^2 r`` and ``(h r)^2``."""
    assert tableau.error is not None
    lines = [
        "real scale[N], high = number(0), low = number(0);",
        *_SCALE,
        *_errors(tableau),
        "real dhigh = number(0), dlow = number(0), root = norm_of(high, low);",
    ]
    if tableau.error_low is None:
        lines.append("dhigh = blend(high > 0, number(0.5) / root, number(0));")
    else:
        lines += [
            "real damped = high + number(0.01) * low, size = sqrt_lanes(damped);",
            "dlow = blend(damped > 0, number(-0.005) * high / (damped * size), number(0));",
            "dhigh = blend(damped > 0, 1 / size + 100 * dlow, number(0));",
        ]
    lines += [
        "real dr = row->h * (dterms[0] * row->h + 2 * dterms[1] * row->h * root);",
        "dr *= number(lanes->absolute ? 2.0 : 2.0 / N);",
    ]
    for name, weights in (("high", tableau.error), ("low", tableau.error_low)):
        if weights is None:
            continue
        shares = " ".join(
            f"back->u[{i}][j] += number({weight!r}) * share;"
            for i, weight in enumerate(weights.tolist())
            if weight
        )
        lines.append(
            "for (int j = 0; j < N; j++) {"
            f" real e = ({weighted(weights, 'step->k[{}][j]')}) / scale[j];"
            f" real share = dr * d{name} * e / scale[j]; {shares}"
            " if (!lanes->absolute) {"
            " real a = fabs_lanes(row->y[j]), b = fabs_lanes(step->y1[j]);"
            " real dscale = -share * e * lanes->rtol[j];"
            " real of_start = blend(a > b, number(1), blend(a < b, number(0), number(0.5)));"
            " dy[j] += of_start * dscale * sign(row->y[j]);"
            " w[j] += (1 - of_start) * dscale * sign(step->y1[j]); } }"
        )
    return lines


def _pair(tableau: Tableau) -> list[str]:
    """The two differences, and the squares of their norms."""
    assert tableau.stiffness_stages is not None
    i, j = tableau.stiffness_stages
    lines = ["real apart[N], bent[N], states = number(0), slopes = number(0);"]
    if tableau.implicit:
        difference = weighted(tableau.b - tableau.a[i], "step->k[{}][j]")
        lines += [
            each(f"apart[j] = row->h * ({difference});"),
            "push(clip(row->t1, side), step->y1, lanes->p, apart, bent);",
        ]
    else:
        state = "step->y1[j]" if j == tableau.steps else f"step->at[{j}][j]"
        lines += [
            each(f"apart[j] = step->at[{i}][j] - {state};"),
            each(f"bent[j] = step->k[{i}][j] - step->k[{j}][j];"),
        ]
    return [*lines, each("states += apart[j] * apart[j]; slopes += bent[j] * bent[j];")]


def _stiffness_back(tableau: Tableau) -> list[str]:
    """The cotangents of the stages and the states, from that of ``h s``."""
    assert tableau.stiffness_stages is not None
    i, j = tableau.stiffness_stages
    lines = [
        *_pair(tableau),
        "real by_slopes = dterms[2] * row->h / sqrt_lanes(slopes * states);",
        "by_slopes = blend((states > 0) & (slopes > 0), by_slopes, number(0));",
        "real by_states = -dterms[2] * row->h * sqrt_lanes(slopes / states) / states;",
        "by_states = blend(states > 0, by_states, number(0));",
    ]
    if tableau.implicit:
        shares = " ".join(
            f"back->u[{k}][j] += row->h * number({weight!r}) * dapart[j];"
            for k, weight in enumerate((tableau.b - tableau.a[i]).tolist())
            if weight
        )
        return [
            *lines,
            "real dapart[N], dbent[N];",
            each("dapart[j] = by_states * apart[j]; dbent[j] = by_slopes * bent[j];"),
            "push_back(clip(row->t1, side), step->y1, lanes->p, apart, dbent, w, dapart, dp);",
            each(shares),
        ]
    to_end = "w[j]" if j == tableau.steps else f"back->at[{j}][j]"
    return [
        *lines,
        each(f"back->at[{i}][j] += by_states * apart[j]; {to_end} -= by_states * apart[j];"),
        each(f"back->u[{i}][j] += by_slopes * bent[j]; back->u[{j}][j] -= by_slopes * bent[j];"),
    ]
