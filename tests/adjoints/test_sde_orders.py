"""Strong orders of convergence, by regression, of solutions and of their pathwise derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sde_problems import (
    GBM,
    OU,
    gbm_diffusion,
    gbm_drift,
    gbm_solution,
    ou_diffusion,
    ou_drift,
    ou_solution,
)

from adjointbench.adjoints.jax import BrownianPath, solve_sde
from adjointbench.adjoints.steps.stochastic_tableaus import STOCHASTIC_TABLEAUS

KEY = jax.random.key(2)
PATHS = 400
SIZES = 2.0 ** -np.arange(3, 8)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def order_of(errors):
    return np.polyfit(np.log(SIZES), np.log(errors), 1)[0]


def errors_of(drift, diffusion, p, names, exact, solver):
    """Root mean square errors of y(1) and of its derivatives, at steps of each size."""

    options = {"key": KEY, "solver": solver, "adjoint": "forward"}

    @jax.jit
    def values(p, size):
        def end(p):
            solution = solve_sde(
                drift, diffusion, jnp.ones(PATHS), [1.0], p, step_size=size, **options
            )
            return solution.ys[0], solution.ys[0]

        slopes, y = jax.jacfwd(end, has_aux=True)(p)
        return y, *(slopes[name] for name in names)

    pairs = [zip(values(p, size), exact, strict=True) for size in SIZES]
    return np.array([[np.sqrt(np.mean((a - b) ** 2)) for a, b in pair] for pair in pairs]).T


@pytest.mark.parametrize("solver", ["sriw1", "sosri2"])
def test_multiplicative_noise(solver):
    """Of geometric Brownian motion, order 1.5."""
    w = BrownianPath(KEY, jnp.ones(PATHS), [1.0]).at_saves()[0]
    exact = gbm_solution(1.0, np.asarray(w), GBM)
    errors = errors_of(gbm_drift, gbm_diffusion, GBM, ("a", "b"), exact, solver)
    for of_one in errors:
        assert order_of(of_one) == pytest.approx(1.5, abs=0.2)
    assert errors[0, -1] < 1e-3


def test_additive_noise():
    """Of an Ornstein-Uhlenbeck process, order 1.5 or more."""
    exact = ou_solution(KEY, (PATHS,), OU)
    for of_one in errors_of(ou_drift, ou_diffusion, OU, ("theta",), exact, "sra1"):
        assert order_of(of_one) > 1.4
        assert of_one[-1] < 1e-4


@pytest.mark.parametrize("name", STOCHASTIC_TABLEAUS)
def test_conditions_of_order(name):
    """Roessler's, of strong order 1 and of those for order 1.5 that have no term of their own."""
    tab = STOCHASTIC_TABLEAUS[name]
    noisy = tab.b1.sum(1)
    conditions = {
        1.0: (tab.alpha.sum(), tab.beta1.sum(), tab.alpha @ tab.b0.sum(1)),
        0.5: (tab.alpha @ tab.a0.sum(1),),
        1.5: (tab.alpha @ tab.b0.sum(1) ** 2,),
        0.0: (tab.beta2.sum(), tab.beta3.sum(), tab.beta4.sum(), tab.beta1 @ noisy),
    }
    if tab.additive:
        conditions[1.0] += (tab.beta1 @ tab.c1, -tab.beta3 @ tab.c1)
    else:
        conditions[1.0] += (tab.beta2 @ noisy, tab.beta1 @ noisy**2, -tab.beta3 @ noisy**2)
        conditions[1.0] += (tab.beta4 @ tab.b1 @ noisy, tab.beta1 @ tab.a1.sum(1))
        conditions[0.0] += (tab.beta3 @ noisy, tab.beta4 @ noisy, tab.beta2 @ noisy**2)
        conditions[0.0] += (tab.beta1 @ tab.b1 @ noisy, tab.beta2 @ tab.a1.sum(1))
    for value, sums in conditions.items():
        np.testing.assert_allclose(sums, value, atol=1e-12)
