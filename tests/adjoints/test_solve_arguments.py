"""What makes no sense is refused by ``solve`` of both frameworks, in the same sentences."""

import jax
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
        ({"rtol": "1e-3"}, "rtol='1e-3' is not a number"),
        ({"rtol": None}, "rtol=None is not a number"),
        ({"rtol": True}, "rtol=True is not a number"),
        ({"rtol": 1e-50}, "rtol=1e-50 is 0.0 in float32"),
        ({"atol": np.array([1e-6, 1e-60])}, r"atol=.* is \[.*, 0.0\] in float32"),
        ({"atol": 1j}, "atol=1j is not a number"),
        ({"first_step": "a"}, "first_step='a' is not a number"),
        ({"max_steps": 0}, "max_steps=0 must be positive"),
        ({"max_steps": -3}, "max_steps=-3 must be positive"),
        ({"max_steps": 2.5}, "max_steps=2.5 must be a whole number"),
        ({"max_steps": "10"}, "max_steps='10' is not a number"),
        ({"max_steps": True}, "max_steps=True is not a number"),
        ({"max_steps": 2**40}, "must be smaller than 2"),
        ({"adjoint": "backsolve", "adjoint_solver": "tsit"}, "adjoint_solver='tsit' is not known"),
        ({"t0": "a"}, "t0='a' is not a number"),
        ({"t0": None}, "t0=None is not a number"),
        ({"save_at": "a"}, "save_at='a' is not a number"),
        ({"save_at": None}, "save_at=None is not a number"),
        ({"save_at": [0.5, None]}, r"save_at=\[0.5, None\] is not a number"),
        ({"steps": 5}, "steps=5 must be a list"),
        ({"steps": ([0.0],)}, "steps has 1 parts"),
        ({"steps": ([0.0], [1.0], [0.0])}, "steps has 3 parts"),
        ({"steps": ([0.0, 0.5], [1.0])}, "two lists of one length"),
        ({"discontinuities": 0.5}, "discontinuities=0.5 must be a list"),
        ({"discontinuities": ["a"]}, "discontinuities='a' is not a number"),
        ({"jump_times": [0.5], "jump": 5}, r"jump=5 must be a function, jump\(i, t, y, params\)"),
        ({"jacobian": 5}, r"jacobian=5 must be a function, jacobian\(t, y, params\)"),
        ({"jacobian": decay, "solver": "rodas5p"}, r"jacobian must return shape \(2, 2\)"),
        ({"y0": np.zeros(0, np.float32)}, "no elements"),
        ({"rhs": None}, r"rhs=None must be a function, rhs\(t, y, params\)"),
        ({"rhs": lambda t: -t}, r"rhs is called as rhs\(t, y, params\): too many"),
        ({"rhs": lambda t, y, p: None}, "rhs returned a NoneType; it must return"),
        ({"save_at": [float("inf")]}, "must be finite"),
        ({"save_at": [0.5, float("nan")]}, "must be finite"),
        ({"save_at": [1.0, 0.5]}, "must not decrease; sort the times"),
        ({"save_at": []}, "save_at has shape"),
        ({"save_at": [0.0]}, "must end after it"),
        ({"save_at": [-0.5, 1.0]}, "must not begin before t0"),
        ({"t0": float("nan")}, "t0=nan must be one finite number"),
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


@BOTH
def test_times_that_can_be_read_once_are_read_once(solve, array):
    y0 = array(np.array([1.0], np.float32))
    given = {"jump": lambda i, t, y, p: 0 * y, "rtol": 1e-4, "atol": 1e-6}
    solution = solve(decay, y0, [1.0], jump_times=iter([0.5]), **given)
    assert (solution.status, float(solution.ys[0, 0])) == ("ok", 0.0)


@pytest.mark.parametrize("rtol", [-1e-3, np.nan, np.inf, 0.0])
def test_a_tolerance_that_is_known_only_at_run_time_is_a_status(rtol):
    @jax.jit
    def final(rtol):
        solution = solve_jax(decay, jnp.ones(1), [1.0], rtol=rtol)
        return solution.ys, solution.status_code

    ys, status = final(rtol)
    assert np.isnan(ys).all()
    assert status != 0
    assert np.isfinite(final(1e-4)[0]).all()


def test_no_steps_lead_nowhere():
    with pytest.raises(ValueError, match="steps has no step in it"):
        solve_jax(decay, jnp.ones(1), [1.0], steps=([], []))
