"""What makes no sense is refused by ``solve`` of both frameworks, in the same sentences."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from adjointbench.adjoints.jax import solve as solve_jax
from adjointbench.adjoints.torch import solve as solve_torch

BOTH = pytest.mark.parametrize(
    ("solve", "array"), [(solve_jax, jnp.asarray), (solve_torch, torch.as_tensor)]
)


def decay(t, y, p):
    return -y


@BOTH
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"rtol": -1.0}, "rtol=-1.0 must be positive"),
        ({"rtol": float("nan")}, "rtol=nan must be positive and finite"),
        ({"rtol": 0.0}, "rtol=0.0 must be positive"),
        ({"atol": float("inf")}, "atol=inf must be positive and finite"),
        ({"rtol": np.ones(3)}, "shape of y0"),
        ({"adjoint": "backsolve", "adjoint_rtol": -1.0}, "adjoint_rtol=-1.0 must be positive"),
        ({"first_step": 0.0}, "first_step=0.0 must be positive"),
        ({"first_step": float("nan")}, "first_step=nan must be one finite number"),
        ({"max_steps": 0}, "max_steps=0 must be positive"),
        ({"save_at": [float("inf")]}, "must be finite"),
        ({"save_at": [0.5, float("nan")]}, "must be finite"),
        ({"save_at": [1.0, 0.5]}, "must not decrease; sort the times"),
        ({"save_at": []}, "save_at has shape"),
        ({"save_at": [0.0]}, "must end after it"),
        ({"save_at": [-0.5, 1.0]}, "must not begin before t0"),
        ({"t0": float("nan")}, "t0=nan must be one finite number"),
        ({"t0": 2.0}, "to go backwards, put -t for t and -rhs for rhs"),
        ({"discontinuities": [float("nan")]}, "must be finite"),
        ({"jump_times": [0.5]}, "jump_times is given without jump; pass both or neither"),
        ({"y0": np.array([1.0 + 1.0j])}, "as their real and imaginary parts"),
        ({"rhs": lambda t, y, p: y[None]}, "rhs returned shape"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(solve, array, arguments, match):
    call = {"rhs": decay, "y0": np.ones(2, np.float32), "save_at": [1.0], **arguments}
    rhs, y0, save_at = call.pop("rhs"), array(call.pop("y0")), call.pop("save_at")
    with pytest.raises(ValueError, match=match):
        solve(rhs, y0, save_at, **call)


@BOTH
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_right_hand_side_may_return_a_list(solve, array, kind):
    """As users of SciPy write it."""

    def rotation(t, y, p):
        return kind([-y[1], y[0]])

    y0 = array(np.array([1.0, 0.0], np.float32))
    solution = solve(rotation, y0, [1.0], rtol=1e-4, atol=1e-6)
    assert solution.status == "ok"
    np.testing.assert_allclose(solution.ys[0], [np.cos(1.0), np.sin(1.0)], rtol=1e-3)
