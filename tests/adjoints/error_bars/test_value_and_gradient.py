"""A loss, its gradient and the gradient's error in one's own program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from adjointbench.adjoints import jax as on_jax
from adjointbench.adjoints import torch as on_torch

SAVE_AT = [0.7, 2.0]


def rhs(t, y, params):
    return -params["k"] * y


def loss(ys, params):
    return (ys**2).sum()


def exact_gradient(k):
    """Of the sum of exp(-2 k t) over the save times."""
    return sum(-2 * t * np.exp(-2 * k * t) for t in SAVE_AT)


@pytest.mark.parametrize("adjoint", ["discrete", "interpolating"])
def test_on_jax_the_estimate_is_the_error(adjoint):
    with jax.enable_x64(True):
        value, gradient, error = jax.jit(
            lambda k: on_jax.value_and_gradient(
                loss,
                rhs,
                jnp.ones(1),
                jnp.array(SAVE_AT),
                {"k": k, "n": 3},
                rtol=1e-4,
                atol=1e-6,
                adjoint=adjoint,
            )
        )(jnp.array(0.5))
    assert value == pytest.approx(np.exp(-0.7) + np.exp(-2.0), rel=1e-3)
    true = abs(float(gradient["k"]) / exact_gradient(0.5) - 1)
    assert 0.5 < float(error) / true < 2


def test_on_jax_every_lane_has_its_own():
    with jax.enable_x64(True):
        ks = jnp.array([0.1, 1.0, 10.0])
        _, gradient, error = jax.vmap(
            lambda k: on_jax.value_and_gradient(
                loss, rhs, jnp.ones(1), jnp.array(SAVE_AT), {"k": k}, rtol=1e-4, atol=1e-6
            )
        )(ks)
    exact = np.array([exact_gradient(float(k)) for k in ks])
    np.testing.assert_allclose(error, np.abs(np.asarray(gradient["k"]) / exact - 1), rtol=0.5)


def test_on_torch_the_estimate_is_the_error():
    y0, k = torch.ones(1, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    _, gradient, error = on_torch.value_and_gradient(
        loss, rhs, y0, SAVE_AT, {"k": k}, rtol=1e-4, atol=1e-6
    )
    true = abs(float(gradient["k"]) / exact_gradient(0.5) - 1)
    assert 0.5 < float(error) / true < 2


def test_on_torch_a_module_brings_its_own_parameters():
    field = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        field.weight.fill_(-0.5)
    y0 = torch.ones(1, dtype=torch.float64)
    _, gradient, error = on_torch.value_and_gradient(
        loss, OfState(field), y0, SAVE_AT, rtol=1e-4, atol=1e-6
    )
    true = abs(-float(gradient["field.weight"]) / exact_gradient(0.5) - 1)
    assert 0.5 < float(error) / true < 2


class OfState(torch.nn.Module):
    """A module of time and state from one of the state."""

    def __init__(self, field):
        super().__init__()
        self.field = field

    def forward(self, t, y):
        return self.field(y)
