"""What ``solve_sde`` refuses, and how it says so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import BrownianPath, solve_sde
from adjointbench.adjoints.steps.acceptance import CODES

KEY = jax.random.key(0)


def drift(t, y, p):
    return -p * y


def diffusion(t, y, p):
    return 0.1 * y


def solved(**options):
    given = {"y0": np.ones(2, np.float32), "save_at": [1.0], "params": jnp.float32(1.0), "key": KEY}
    given = {"drift": drift, "diffusion": diffusion, **given, **options}
    positional = [given.pop(n) for n in ("drift", "diffusion", "y0", "save_at", "params")]
    return solve_sde(*positional, **given)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("solver='sriw2' is not known; did you mean '?sriw1", {"solver": "sriw2"}),
        ("adjoint='backsolve' is not known.*discrete, forward", {"adjoint": "backsolve"}),
        ("error_norm='scale'", {"error_norm": "scale"}),
        ("reduction='avg'", {"reduction": "avg"}),
        ("key=0 is no key of JAX; pass jax.random.key", {"key": 0}),
        (r"key has shape \(3,\).*vmap", {"key": jax.random.split(KEY, 3)}),
        ("key has dtype float32", {"key": jnp.zeros(2, jnp.float32)}),
        ("rtol=-1", {"rtol": -1.0}),
        ("atol has shape", {"atol": np.ones(3)}),
        ("max_steps=0", {"max_steps": 0}),
        ("step_size=0", {"step_size": 0.0}),
        ("step_size and first_step are both given", {"step_size": 0.1, "first_step": 0.1}),
        ("1e.08 constant steps are too many", {"step_size": 1e-8}),
        ("steps has 1 parts", {"steps": ([0.0],)}),
        ("path_resolution=1.0 must lie between", {"path_resolution": 1.0}),
        ("path_resolution=1e-08 must lie between", {"path_resolution": 1e-8}),
        ("save_at.*must not decrease", {"save_at": [1.0, 0.5]}),
        ("save_at.*must not lie before t0", {"save_at": [1.0], "t0": 2.0}),
        ("y0 has dtype complex64", {"y0": np.ones(2, np.complex64)}),
        ("drift='f' must be a function", {"drift": "f"}),
        ("diffusion is called as", {"diffusion": lambda y: y}),
        ("drift returned shape", {"drift": lambda t, y, p: y[:1]}),
        ("diffusion returned shape", {"diffusion": lambda t, y, p: 1.0}),
        ("solver='sra1' is for additive noise.*use solver='sriw1'", {"solver": "sra1"}),
    ],
)
def test_refusals_name_the_argument_and_the_remedy(message, options):
    with pytest.raises(ValueError, match=message):
        solved(**options)


def test_a_path_is_asked_for_with_the_same_checks():
    with pytest.raises(ValueError, match="key=1 is no key"):
        BrownianPath(1, jnp.zeros(2), [1.0])
    with pytest.raises(ValueError, match="save_at"):
        BrownianPath(KEY, jnp.zeros(2), [])


def test_what_is_only_known_at_run_time_fails_instead():
    """A tolerance that is negative, and save times that decrease."""
    code = jax.jit(lambda rtol, saves: solved(rtol=rtol, save_at=saves).status_code)
    ok, falling = jnp.array([0.5, 1.0]), jnp.array([0.5, 0.2])
    found = [code(rtol, saves) for rtol, saves in ((0.1, ok), (-0.1, ok), (0.1, falling))]
    assert found == [CODES["ok"], CODES["failed"], CODES["failed"]]
