"""The linear solver that CVODES gets, and the states in another order than the problem's."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab

pytest.importorskip("casadi", reason="CVODES comes with CasADi, which is not installed")

from adjointbench.adjoints.peers.casadi_equations import trace
from adjointbench.adjoints.peers.cvodes_linear_systems import linear_system


@pytest.mark.parametrize(
    ("name", "settings", "solver"),
    [
        ("robertson", {}, "qr"),
        ("pollu", {}, "qr"),
        ("burgers", {}, "qr"),
        ("burgers", {"n": 100}, "tridiag"),
        ("brusselator", {}, "csparse"),
        ("fisher_kpp", {}, "csparse"),
    ],
)
def test_the_pattern_decides(name, settings, solver):
    problem = ab.problems.get(name, **settings)
    found, order = linear_system(trace(problem, "cvodes-adjoint").rhs)
    assert found == solver
    assert sorted(order) == list(range(problem.n_states))
    assert (list(order) == sorted(order)) == (solver != "csparse")


@pytest.mark.parametrize(
    ("name", "settings"),
    [("brusselator", {"t_end": 1.0}), ("fisher_kpp", {}), ("heat_equation", {"n": 128})],
)
def test_certified_gradients(name, settings):
    problem = ab.problems.get(name, **settings)
    result = ab.gradient(problem, "cvodes-adjoint", rtol=1e-8, atol=1e-12)
    reference = problem.reference
    assert result.status == "ok"
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-5
    assert np.linalg.norm(result.dy0 - reference.dy0) < 1e-5 * np.linalg.norm(reference.dy0)


@pytest.mark.parametrize("method", ["cvodes-adjoint", "cvodes-forward"])
def test_the_order_of_the_states_changes_nothing(method):
    """Tolerances of their own and a discontinuity, where every vector is carried over."""
    problem = ab.problems.get("brusselator", n=4, t_end=1.5, save_every=0.5)
    atol = np.random.default_rng(0).uniform(1e-9, 1e-8, problem.y0.shape)
    ordered, natural = (
        ab.gradient(problem, method, solver=solver, rtol=1e-7, atol=atol)
        for solver in ("cvodes", "cvodes-mumps")
    )
    assert ordered.loss == pytest.approx(natural.loss, rel=1e-6)
    assert tiny.log_error(ordered, natural.dparams, problem.params) < 1e-5
    np.testing.assert_allclose(ordered.dy0, natural.dy0, rtol=1e-3, atol=1e-4)
