"""Gradients of whole problems with mass matrices: certified, refused, and as told."""

import numpy as np
import pytest
from array_api_compat import array_namespace
from mass_equations import END, MASS, RATE, ROUGH, UNKNOWNS, by_rate, by_start, exact, rhs

import adjointbench as ab
from adjointbench.problems.zoo.robertson import robertson_rhs

#: The methods that take a mass matrix, whose steps are the same.
METHODS = ("jax-discrete", "jax-forward", "torch-discrete", "torch-tape", "torch-forward")


def closed_form(**changes):
    return ab.Problem(
        **{
            "name": "rotated",
            "rhs": rhs,
            "y0": ROUGH,
            "params": {"k": RATE},
            "t_span": (0.0, END),
            "save_at": [0.5, END],
            "loss": lambda ys, p: (ys**2).sum(),
            "mass": MASS,
            **changes,
        }
    )


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete"])
def test_the_gradient_is_that_of_the_solution(method):
    result = ab.gradient(closed_form(), method, rtol=1e-8, atol=1e-10)
    assert result.status == "ok", result.message
    saves = [(2 * exact(t), by_rate(t), by_start(t)) for t in (0.5, END)]
    np.testing.assert_allclose(
        result.dparams["k"], sum(w @ rate for w, rate, _ in saves), rtol=1e-6
    )
    expected = sum(w @ start for w, _, start in saves)
    np.testing.assert_allclose(result.dy0, expected, rtol=1e-6)
    # M y(0) alone counts.
    np.testing.assert_allclose(result.dy0 @ np.linalg.solve(UNKNOWNS, [0.0, 1.0]), 0, atol=1e-10)


def conserved(t, y, p):
    """Robertson's equations, the third by what is conserved."""
    first, second, _ = robertson_rhs(t, y, p)
    return array_namespace(y).stack([first, second, y[0] + y[1] + y[2] - 1.0])


def test_all_take_the_same_steps_and_have_one_derivative():
    first, *others = (
        ab.gradient(closed_form(save_at=None), method, rtol=1e-3, atol=1e-5) for method in METHODS
    )
    for other in others:
        assert other.stats.steps == first.stats.steps
        np.testing.assert_allclose(other.dparams["k"], first.dparams["k"], rtol=1e-10)
        np.testing.assert_allclose(other.dy0, first.dy0, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete"])
def test_robertson_as_an_equation_with_a_constraint_has_its_certified_gradient(method):
    equation = ab.problems.get("robertson")
    problem = ab.Problem(
        name="robertson, conserved",
        rhs=conserved,
        y0=[1.0, 0.0, 0.3],
        params=equation.params,
        t_span=equation.t_span,
        loss=equation.loss,
        mass=np.diag([1.0, 1.0, 0.0]),
    )
    result = ab.gradient(problem, method, rtol=1e-7, atol=1e-11)
    assert result.status == "ok", result.message
    reference = equation.reference
    assert reference is not None
    np.testing.assert_allclose(result.dparams["k"], reference.dparams["k"], rtol=1e-6)
    # Along what is conserved, y3 follows the other two.
    whole = reference.dy0[:2] - reference.dy0[2]
    np.testing.assert_allclose(result.dy0, [*whole, 0.0], rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete"])
def test_a_regular_matrix_is_the_ordinary_equation_solved_for_its_slope(method):
    matrix = np.array([[2.0, 0.5], [0.3, 1.0]])
    inverse = np.linalg.inv(matrix)

    def slope(t, y, p):
        return array_namespace(y).stack([-p["k"] * y[0] * y[1], p["k"] * y[0] - y[1]])

    def solved(t, y, p):
        f = slope(t, y, p)
        xp = array_namespace(y)
        return xp.stack([row[0] * f[0] + row[1] * f[1] for row in inverse.tolist()])

    common = {"y0": [1.0, 0.5], "loss": lambda ys, p: (ys**2).sum()}
    tolerances = {"solver": "rodas5p", "rtol": 1e-9, "atol": 1e-11}
    found = ab.gradient(closed_form(rhs=slope, mass=matrix, **common), method, **tolerances)
    expected = ab.gradient(closed_form(rhs=solved, mass=None, **common), method, **tolerances)
    np.testing.assert_allclose(found.dparams["k"], expected.dparams["k"], rtol=1e-8)
    np.testing.assert_allclose(found.dy0, expected.dy0, rtol=1e-8)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete"])
def test_an_error_bar_covers_the_error(method):
    result = ab.gradient(closed_form(), method, rtol=1e-4, atol=1e-6, error_bar=True)
    assert result.gradient_error is not None
    true = sum(2 * exact(t) @ by_rate(t) for t in (0.5, END))
    off = abs(result.dparams["k"] / true - 1)
    assert result.gradient_error.dparams / 3 < off < 3 * result.gradient_error.dparams


@pytest.mark.parametrize("method", METHODS)
def test_higher_index_is_refused_with_the_way_out(method):
    def pendulum(t, y, p):
        return array_namespace(y).stack([y[1], y[2] - p["k"] * y[0], y[0] - 0.0 * t])

    problem = closed_form(
        rhs=pendulum, y0=[0.0, 1.0, 0.0], mass=np.diag([1.0, 1.0, 0.0]), save_at=None
    )
    with pytest.raises(ValueError, match="index is 2 or more; differentiate the constraints"):
        ab.gradient(problem, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_start_from_which_newton_does_not_arrive_is_a_status(method):
    def nowhere(t, y, p):
        return array_namespace(y).stack([-p["k"] * y[0], y[1] ** 2 + 1.0])

    problem = closed_form(rhs=nowhere, y0=[1.0, 1.0], mass=np.diag([1.0, 0.0]))
    result = ab.gradient(problem, method)
    assert (result.status, result.phase) == ("newton", "forward")
    assert np.isnan(result.dparams["k"])


def test_what_takes_no_mass_matrix_names_what_does():
    with pytest.raises(ValueError, match="use one of: rodas5p, rodas4p"):
        ab.gradient(closed_form(), "jax-discrete", solver="tsit5")
    with pytest.raises(ValueError, match="loops with a mass matrix run eagerly"):
        ab.gradient(closed_form(), "torch-discrete", compile=True)
    for method in ("jax-backsolve", "torch-quadrature", "scipy-adjoint", "diffsol-adjoint"):
        with pytest.raises(ValueError, match=r"a mass matrix; use one of: .*jax-discrete"):
            ab.gradient(closed_form(stiff=True), method)


def test_events_and_times_that_move_do_not_go_with_a_mass_matrix():
    def moving(p):
        return array_namespace(p["k"]).stack([p["k"]])

    falls = ab.Event(when=lambda t, y, p: y[0] - 0.5)
    for stops in ({"events": (falls,)}, {"discontinuities": moving}):
        with pytest.raises(ValueError, match="a mass matrix does not go with"):
            ab.gradient(closed_form(**stops), "jax-discrete")
