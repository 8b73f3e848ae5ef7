"""Certificates of problems with events and times that move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import stopping_cases as cases

import adjointbench as ab
from adjointbench.adjoints import certified_by
from adjointbench.adjoints.certify import certify, computations_for
from adjointbench.adjoints.directions import UnseenDerivativeError, compare_with_loss
from adjointbench.adjoints.methods import get_method

TIGHT = {"rtol": 1e-12, "atol": 1e-14}


@pytest.mark.parametrize("stiff", [False, True])
@pytest.mark.parametrize("make", [cases.switch, cases.threshold_dose])
def test_two_methods_that_take_the_problem_on_two_backends(make, stiff):
    problem = dataclasses.replace(make().problem, stiff=stiff)
    first, second = computations_for(problem)
    assert (first["method"], second["method"]) == ("scipy-forward", "jax-discrete")
    assert first["solver"] == ("radau" if stiff else "dop853")
    assert second["solver"] == ("rodas5p" if stiff else "dop853")


def test_what_only_one_method_takes_is_not_certified(monkeypatch):
    """Without a method on SciPy, and but one elsewhere."""
    taking = [dataclasses.replace(get_method("jax-discrete"), models=frozenset({"mass"}))]
    found = {method.name: method for method in taking}
    nothing = dataclasses.replace(get_method("scipy-forward"), models=frozenset())
    monkeypatch.setattr(certified_by, "get_method", lambda name: found.get(name, nothing))
    problem = ab.Problem(
        name="algebraic",
        rhs=lambda t, y, p: cases.components(-p["k"] * y[0], y[0] - y[1]),
        y0=[1.0, 1.0],
        params={"k": 1.0},
        t_span=(0.0, 1.0),
        loss=cases.squares,
        mass=np.diag([1.0, 0.0]),
    )
    with pytest.raises(ValueError, match="fewer than two methods"):
        computations_for(problem)


def test_the_loss_confirms_the_derivative_by_a_time():
    problem = cases.switch().problem
    options = {"method": "scipy-adjoint", "solver": "dop853", **TIGHT}
    found = ab.gradient(problem, **options)
    assert compare_with_loss(problem, found, options, 1e-10).disagreement < 1e-6
    undeclared = dataclasses.replace(problem, discontinuities=(0.8,))
    blind = ab.gradient(undeclared, **options)
    with pytest.raises(UnseenDerivativeError):
        compare_with_loss(undeclared, blind, options, 1e-10)


@pytest.mark.long
@pytest.mark.parametrize("make", [cases.bouncing_ball, cases.dose_and_switch, cases.lag_time])
def test_a_certificate_is_the_closed_form(make):
    case = make()
    found = certify(case.problem)
    assert found.agreement < 1e-10
    loss, dparams, dy0 = case.exact()
    assert found.loss == pytest.approx(loss, rel=1e-11)
    np.testing.assert_allclose(found.dy0, dy0, rtol=1e-9)
    for name, value in dparams.items():
        np.testing.assert_allclose(found.dparams[name], value, rtol=1e-9)
