"""Components that are picked one by one are taken, and brought back, all at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import components
from adjointbench.adjoints.jax.components import by_components

T, Y = jnp.array(0.1), jnp.array([0.3, 0.5, 0.7])
P = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([3.0])}


def picks(t, y, p):
    x, y1 = y[0] * y[-1], y[1]
    return jnp.stack([p["a"][0] * x, p["a"][1] * y1 + t, p["b"][0] * x]) + jnp.sin(y)


def pulled(rhs):
    _, vjp = jax.vjp(lambda y, p: rhs(T, y, p), Y, P)
    return vjp(jnp.array([1.0, 0.2, 0.4]))


def padded(rhs):
    """How many arrays filled up with zeros its derivative makes."""
    return str(jax.make_jaxpr(lambda y: jax.vjp(lambda y: rhs(T, y, P), y)[1](Y))(Y)).count(" pad[")


def test_values_and_derivatives_are_the_same_without_padding():
    found = by_components(picks, T, Y, P)
    np.testing.assert_array_equal(found(T, Y, P), picks(T, Y, P))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), pulled(found), pulled(picks)
    )
    assert padded(picks) == 3
    assert padded(found) == 0


def test_under_vmap_jit_and_forward_mode():
    found = by_components(picks, T, Y, P)
    lanes = jnp.stack([Y, 2 * Y])
    for f in (lambda y: found(T, y, P), jax.jacfwd(lambda y: found(T, y, P))):
        together = jax.jit(jax.vmap(f))(lanes)
        np.testing.assert_allclose(together, jnp.stack([f(y) for y in lanes]), rtol=1e-6)
    np.testing.assert_allclose(
        jax.hessian(lambda y: found(T, y, P).sum())(Y),
        jax.hessian(lambda y: picks(T, y, P).sum())(Y),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    "rhs",
    [
        lambda t, y, p: -y * p["b"],
        lambda t, y, p: y * y[1],
        lambda t, y, p: y[:2].sum() * y + y[1:].sum(),
        lambda t, y, p: jax.jit(lambda y: y * y[0] * y[1])(y),
    ],
)
def test_what_picks_fewer_than_two_components_is_left_as_it_is(rhs):
    assert by_components(rhs, T, Y, P) is rhs


def test_long_arrays_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(components, "MOST_COMPONENTS", 2)
    found = by_components(picks, T, Y, P)
    assert padded(found) == 3


def test_constants_of_the_function_stay():
    table = jnp.array([1.0, 2.0, 4.0])

    def rhs(t, y, p):
        return table * jnp.stack([y[0], y[1], y[0]])

    found = by_components(rhs, T, Y, P)
    np.testing.assert_array_equal(found(T, Y, P), rhs(T, Y, P))
