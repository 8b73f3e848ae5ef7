"""Certificates: two computations, their agreement, and the comparison with what is stored."""

import dataclasses

import numpy as np
import pytest

import adjointbench as ab
from adjointbench.adjoints.certify import (
    CertificationError,
    Difference,
    certify,
    compare,
    computations_for,
)


def test_certificate_of_the_linear_problem_is_the_closed_form():
    problem = ab.problems.get("linear", frequency=3.0)
    lines = []
    found = certify(problem, progress=lines.append)
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-12)
    np.testing.assert_allclose(found.dy0, dy0, rtol=1e-12)
    for name, value in dparams.items():
        np.testing.assert_allclose(found.dparams[name], value, rtol=1e-12)
    assert found.agreement <= 1e-10
    assert found.witness is None or found.witness["agrees"]
    assert found.command == "adjointbench certify linear --set frequency=3.0"
    assert found.definition_hash == problem.definition_hash()
    assert [line.partition(" at ")[0] for line in lines] == [
        "linear: scipy-forward by dop853",
        "linear: scipy-adjoint by lsoda",
        "linear: differences of the loss by dop853",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "lotka_volterra",
        "adaptive_ad_trap",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("pendulum", "lorenz")),
    ],
)
def test_stored_references_are_found_again(name):
    problem = ab.problems.get(name)
    difference = compare(certify(problem), problem.reference)
    assert difference.largest <= 1e-10


@pytest.mark.parametrize("name", ["robertson", pytest.param("two_spirals", marks=pytest.mark.long)])
def test_stored_references_of_larger_problems_are_found_again(name):
    problem = ab.problems.get(name)
    assert compare(certify(problem), problem.reference).largest <= 1e-8


def test_difference_is_that_of_log_parameters():
    stored = ab.problems.get("robertson").reference
    other = dataclasses.replace(stored, dparams={"k": stored.dparams["k"] * [1.0, 1.5, 1.0]})
    difference = compare(other, stored)
    scaled = ab.problems.get("robertson").params["k"] * stored.dparams["k"]
    expected = 0.5 * abs(scaled[1]) / np.linalg.norm(scaled)
    assert (difference.loss, difference.dy0) == (0.0, 0.0)
    np.testing.assert_allclose(difference.dparams, expected, rtol=1e-12)
    np.testing.assert_allclose(difference.worst_component, 0.5, rtol=1e-12)
    assert difference.largest == difference.dparams


def test_difference_where_the_true_value_is_zero_is_absolute():
    assert Difference(0.1, 0.2, 0.3, 9.0).largest == 0.3


def test_single_precision_is_certified_in_double():
    problem = ab.problems.get("linear").with_dtype(np.float32)
    found = certify(problem)
    assert found.agreement <= 1e-10
    assert found.dparams["decay"].dtype == np.float64
    assert found.definition_hash == problem.definition_hash()


def test_breakdown_is_an_error_that_says_which_computation():
    pole = ab.Problem(
        name="pole",
        rhs=lambda t, y, p: p["k"] * y**2,
        y0=[1.0],
        params={"k": 1.0},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: ys.sum(),
    )
    with pytest.raises(CertificationError, match=r"pole: scipy-forward by dop853 .* ended with"):
        certify(pole)


@pytest.mark.parametrize(
    ("name", "settings", "methods"),
    [
        ("lotka_volterra", {}, [("scipy-forward", "dop853"), ("scipy-adjoint", "lsoda")]),
        ("robertson", {}, [("scipy-forward", "radau"), ("scipy-adjoint", "lsoda")]),
        ("two_spirals", {}, [("scipy-adjoint", "dop853"), ("jax-discrete", "dop853")]),
        ("heat_equation", {"n": 128}, [("scipy-adjoint", "lsoda"), ("jax-discrete", "rodas5p")]),
    ],
)
def test_computations_are_chosen_by_stiffness_and_size(name, settings, methods):
    chosen = computations_for(ab.problems.get(name, **settings))
    assert [(options["method"], options["solver"]) for options in chosen] == methods


def test_a_certificate_without_derivatives_and_with_loosened_tolerances():
    problem = ab.problems.get("linear")
    found = certify(problem, differentiable=False, loosened=10.0)
    methods = {c["method"]: (c["rtol"], c["atol"]) for c in found.computations}
    assert methods == {"complex-step": (1e-12, 1e-14), "finite-difference": (1e-12, 1e-14)}
    assert compare(found, problem.reference).largest < 1e-8
    assert 0 < found.agreement < 1e-6
