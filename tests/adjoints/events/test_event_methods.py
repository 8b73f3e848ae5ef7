"""Every method that takes them on every problem of the zoo with events, switches or lags."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.methods import METHODS
from adjointbench.adjoints.options import models_of

PROBLEMS = [name for tag in ("events", "switching") for name in ab.problems.names(tag=tag)]

#: What the short run goes through: each kind of adjoint, and both kinds of problems.
SHORT = {
    ("threshold_dose", "jax-discrete"),
    ("threshold_dose", "jax-gauss"),
    ("threshold_dose", "torch-discrete"),
    ("threshold_dose", "scipy-adjoint"),
    ("falling_time", "jax-forward"),
    ("lag_time", "jax-interpolating"),
    ("lag_time", "jax-discrete"),
    ("switched_rates", "jax-discrete"),
}

#: At rtol 1e-10. Central differences have a step of 5e-5; CVODES' multistep methods are off by a
#: thousand times their tolerance, and Diffrax reads event times off interpolants of lower order.
ALLOWED = {"finite-difference": 1e-4, "cvodes-": 1e-6, "diffrax-": 1e-7}


def rows():
    for name in PROBLEMS:
        has = {*models_of(ab.problems.get(name))}
        for method in METHODS:
            if has <= method.models and (method.name, name) != ("complex-step", "switched_rates"):
                marks = [] if (name, method.name) in SHORT else [pytest.mark.long]
                yield pytest.param(name, method.name, marks=marks)


@pytest.mark.parametrize(("name", "method"), list(rows()))
def test_the_closed_form(name, method):
    problem = ab.problems.get(name)
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)
    found = ab.gradient(problem, method, rtol=1e-10, atol=1e-13)
    assert found.status == "ok", found.message
    allowed = next((error for start, error in ALLOWED.items() if method.startswith(start)), 1e-8)
    assert found.loss == pytest.approx(loss, rel=allowed)
    assert tiny.log_error(found, dparams, problem.params) < allowed
    np.testing.assert_allclose(found.dy0, dy0, rtol=10 * allowed, atol=allowed * np.abs(dy0).max())
