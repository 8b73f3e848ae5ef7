"""Forward sensitivities: published tables, convergence, and the large systems."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.scipy import forward

#: SUNDIALS CVODES example cvsRoberts_FSA_dns, re-computed with SciPy's Radau at rtol 1e-10;
#: t, dy1/dk1, dy1/dk3, dy1/dk2 with k2 = 3e7, 3 digits.
ROBERTSON_TABLE = [
    (0.4, -0.3559526, 9.542381e-8, -1.583177e-11),
    (4, -1.876082, 2.961377e-6, -4.933437e-10),
    (40, -4.247559, 1.373081e-5, -2.288355e-9),
    (400, -5.958373, 2.273815e-5, -3.789672e-9),
    (4000, -4.750071, 1.880886e-5, -3.134813e-9),
    (40000, -1.574972, 6.287494e-6, -1.047918e-9),
]


@pytest.mark.parametrize("row", ROBERTSON_TABLE, ids=lambda row: f"t={row[0]:g}")
def test_robertson_against_the_table_of_cvodes(row):
    t, dk1, dk3, dk2 = row
    problem = ab.problems.get("robertson", t_end=t)
    result = ab.gradient(problem, "scipy-forward", rtol=1e-6, atol=1e-10)
    found = np.concatenate([np.ravel(v) for v in result.dparams.values()])
    np.testing.assert_allclose(found, [dk1, dk2, dk3], rtol=1e-3)


@pytest.mark.parametrize("solver", ["radau", "bdf", "lsoda"])
def test_robertson_to_seven_digits(solver):
    problem = ab.problems.get("robertson")
    result = ab.gradient(problem, "scipy-forward", solver=solver, rtol=1e-9, atol=1e-13)
    found = np.concatenate([np.ravel(v) for v in result.dparams.values()])
    np.testing.assert_allclose(found, tiny.ROBERTSON_DK, rtol=5e-8)
    assert result.stats.jacobian_evals > 0


@pytest.mark.parametrize("solver", ["rk45", "dop853", "radau", "bdf", "lsoda"])
def test_the_error_follows_the_tolerance(solver):
    problem = ab.problems.get("linear")
    _, dparams, _ = problem.exact(problem.params, problem.y0)
    rtols = np.array([1e-4, 1e-6, 1e-8])
    errors = [
        tiny.log_error(
            ab.gradient(problem, "scipy-forward", solver=solver, rtol=r, atol=1e-3 * r),
            dparams,
            problem.params,
        )
        for r in rtols
    ]
    slope = np.polyfit(np.log(rtols), np.log(errors), 1)[0]
    assert 0.7 < slope < 1.4


def test_sensitivities_take_part_in_the_error_control():
    # The state stands still and shows no error; its derivatives move.
    problem = ab.problems.get("adaptive_ad_trap")
    result = ab.gradient(problem, "scipy-forward", rtol=1e-9, atol=1e-12)
    # Sapienza et al., arXiv:2406.09699; 12 digits.
    assert result.dparams["a"] == pytest.approx(212.710425217, rel=1e-8)


@pytest.mark.parametrize("solver", ["radau", "bdf"])
def test_the_sparse_jacobian_changes_no_number(solver, monkeypatch):
    problem = ab.problems.get("van_der_pol", mu=50.0)
    dense = ab.gradient(problem, "scipy-forward", solver=solver)
    monkeypatch.setattr(forward, "DENSE_LIMIT", 0)
    sparse = ab.gradient(problem, "scipy-forward", solver=solver)
    assert sparse.stats.steps == dense.stats.steps
    np.testing.assert_allclose(sparse.dy0, dense.dy0, rtol=1e-6)


def test_an_equation_quadratic_in_the_state_without_a_jacobian_of_its_own():
    # The Newton iteration needs how S' depends on y; with it, Radau takes few iterations.
    def rhs(t, y, p):
        return p["k"] * y * (1 - y) * 40

    problem = tiny.decay(rhs=rhs, y0=np.array([0.01]), loss=lambda ys, p: ys.sum(), stiff=True)
    result = ab.gradient(problem, "scipy-forward", rtol=1e-8, atol=1e-11)

    def loss(k, y0):
        return sum(1 / (1 + (1 / y0 - 1) * np.exp(-40 * k * t)) for t in (1.0, 2.0))

    h = 1e-30
    assert result.stats.derivatives == "jax"
    assert result.dy0 == pytest.approx(loss(0.5, 0.01 + 1j * h).imag / h, abs=1e-9)
    assert result.dparams["k"] == pytest.approx(loss(0.5 + 1j * h, 0.01).imag / h, abs=1e-9)
    assert result.stats.rhs_evals < 15 * result.stats.steps
