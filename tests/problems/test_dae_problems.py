"""Problems with algebraic equations: consistent starts, and what is known of them elsewhere."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import null_space

import adjointbench as ab
from adjointbench import problems

NAMES = problems.names(tag="dae")


def with_loss(problem, loss, save_at):
    """The same equations, seen at `save_at` by another loss."""
    return dataclasses.replace(problem, loss=loss, save_at=np.asarray(save_at), exact=None)


@pytest.mark.parametrize("name", NAMES)
def test_the_index_is_one_at_the_start(name):
    problem = problems.get(name)
    left, right = null_space(problem.mass.T), null_space(problem.mass)
    assert left.shape[1] > 0
    p, step = problem.merged(), 1e-30
    shifted = (problem.y0 + 1j * step * column for column in right.T)
    slopes = [problem.rhs(np.asarray(0.0), y, p).imag / step for y in shifted]
    algebraic = left.T @ np.stack(slopes, axis=1)
    assert np.linalg.cond(algebraic) < 1e3


@pytest.mark.parametrize("name", [name for name in NAMES if name != "chemical_equilibrium"])
def test_the_start_is_consistent(name):
    problem = problems.get(name)
    slope = problem.rhs(np.asarray(0.0), problem.y0, problem.merged())
    residual = null_space(problem.mass.T).T @ slope
    assert np.abs(residual).max() <= 1e-12 * max(1.0, np.abs(problem.y0).max())


def test_the_monomer_alone_comes_to_its_equilibrium_at_once():
    problem = problems.get("chemical_equilibrium")
    pytest.importorskip("casadi")
    found = [
        ab.prepare(
            with_loss(problem, lambda ys, p, i=i: ys[0, i], [0.0, 1.0]), "cvodes-forward"
        ).primal()
        for i in range(3)
    ]
    a = (np.sqrt(1.0 + 8.0 * 2.0) - 1.0) / (4.0 * 2.0)
    np.testing.assert_allclose(found, [a, 2.0 * a**2, 0.0], rtol=1e-12, atol=1e-14)


def test_the_closed_form_of_the_equilibrium():
    """Against the ordinary equation of the monomer, (1 + 4 K a) a' = -2 k K a^2."""
    problem = problems.get("chemical_equilibrium")

    def loss(big_k, k, total, c0):
        start = (np.sqrt(1.0 + 8.0 * big_k * total) - 1.0) / (4.0 * big_k)
        a = solve_ivp(
            lambda t, a: -2.0 * k * big_k * a**2 / (1.0 + 4.0 * big_k * a),
            problem.t_span,
            [start],
            t_eval=problem.save_at,
            method="DOP853",
            rtol=1e-12,
            atol=1e-14,
        ).y[0]
        b = big_k * a**2
        return np.sum(a**2 + b**2 + (c0 + (total - a - 2.0 * b) / 2.0) ** 2) / 2.0

    at = np.array([2.0, 0.7, 1.0, 0.0])
    value, dparams, dy0 = problem.exact(problem.params, problem.y0)
    assert value == pytest.approx(loss(*at), rel=1e-10)
    slopes = differences(loss, at)
    found = [dparams["equilibrium"], dparams["rate"], dy0[0], dy0[2]]
    np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-8)
    assert dy0[1] == 2.0 * dy0[0]


def differences(function, at, step=1e-4):
    """Central differences of fourth order."""
    units = step * np.eye(at.size)
    return np.array(
        [
            (
                8.0 * (function(*(at + u)) - function(*(at - u)))
                - (function(*(at + 2.0 * u)) - function(*(at - 2.0 * u)))
            )
            / (12.0 * step)
            for u in units
        ]
    )


def test_the_reference_of_the_equilibrium_is_the_closed_form():
    problem = problems.get("chemical_equilibrium")
    value, dparams, dy0 = problem.exact(problem.params, problem.y0)
    assert problem.reference.loss == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(problem.reference.dy0, dy0, rtol=1e-10)
    for name, slope in dparams.items():
        assert problem.reference.dparams[name] == pytest.approx(slope, rel=1e-8)


def test_robertson_has_the_gradient_of_the_ordinary_equation():
    found, of_equation = (problems.get(name).reference for name in ("robertson_dae", "robertson"))
    assert found.loss == pytest.approx(of_equation.loss, rel=1e-9)
    np.testing.assert_allclose(found.dparams["k"], of_equation.dparams["k"], rtol=1e-8)
    # y3 is what the others leave of one.
    slope = of_equation.dy0 - of_equation.dy0[2]
    np.testing.assert_allclose(found.dy0, slope, rtol=1e-6, atol=1e-13)


def test_the_pendulum_swings_as_its_angle_says():
    problem = problems.get("pendulum_dae")
    angle, length = problem.settings["angle"], problem.settings["length"]

    def loss(g, c):
        phi, rate = solve_ivp(
            lambda t, s: [s[1], -g / length * np.sin(s[0]) - c * s[1]],
            problem.t_span,
            [angle, 0.0],
            t_eval=problem.save_at,
            method="DOP853",
            rtol=1e-12,
            atol=1e-13,
        ).y
        return np.sum((rate**2 + g / length * np.cos(phi)) ** 2) / 2.0

    at = np.array([9.81, 0.2])
    reference = problem.reference
    assert reference.loss == pytest.approx(loss(*at), rel=1e-9)
    found = [reference.dparams["gravity"], reference.dparams["damping"]]
    np.testing.assert_allclose(found, differences(loss, at), rtol=1e-6)


#: Computed with PSIDE at tolerances of 1e-14: the Test Set for IVP Solvers, problem "transamp".
PUBLISHED = (
    -0.5562145012262709e-2,
    3.006522471903042,
    2.849958788608128,
    2.926422536206241,
    2.704617865010554,
    2.761837778393145,
    4.770927631616772,
    1.236995868091548,
)


def test_the_amplifier_ends_as_published():
    pytest.importorskip("casadi")
    problem = problems.get("transistor_amplifier")
    for i, published in enumerate(PUBLISHED):
        last = with_loss(problem, lambda ys, p, i=i: ys[-1, i], [0.2])
        run = ab.prepare(last, "cvodes-forward", rtol=1e-8, atol=1e-10, max_steps=20_000)
        assert run.primal() == pytest.approx(published, abs=1e-6)
