"""Quadratures beside an adjoint that does not feel how fast the parameters' slopes change."""

import numpy as np
import pytest
from array_api_compat import array_namespace

import adjointbench as ab

METHODS = ("jax-gauss", "jax-quadrature", "torch-quadrature", "jax-interpolating", "scipy-adjoint")


def forced(k: float, frequency: float) -> ab.Problem:
    """``y' = k sin(f t)**2``: the adjoint is constant, and dL/dk the integral of the forcing."""

    def rhs(t, y, p):
        return p["k"] * array_namespace(y).sin(p["f"] * t) ** 2

    return ab.Problem(
        name="forced",
        rhs=rhs,
        y0=np.array([1.0]),
        params={"k": np.array([k])},
        constants={"f": np.array([frequency])},
        t_span=(0.0, 5.0),
        loss=lambda ys, p: ys[-1, 0],
    )


def integral(frequency: float) -> float:
    return 2.5 - np.sin(10 * frequency) / (4 * frequency)


@pytest.mark.parametrize(
    ("method", "k", "frequency"),
    [(m, 0.5, 30.0) for m in METHODS] + [(m, 0.0, 3.0) for m in METHODS[:3]],
)
def test_the_gradient_is_right_where_the_adjoint_takes_long_steps(method, k, frequency):
    """At ``k = 0`` the forward solve takes long steps too."""
    result = ab.gradient(forced(k, frequency), method, rtol=1e-7, atol=1e-10)
    assert result.status == "ok"
    assert result.dparams["k"][0] == pytest.approx(integral(frequency), rel=3e-6)


@pytest.mark.parametrize("method", METHODS[:3])
def test_what_no_halving_settles_is_no_gradient(method):
    result = ab.gradient(forced(0.0, 1e6), method, rtol=1e-7, atol=1e-10)
    assert (result.status, result.phase) == ("nonfinite", "reverse")
    assert np.isnan(result.dparams["k"]).all()
