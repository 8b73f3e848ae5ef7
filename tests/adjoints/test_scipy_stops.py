"""Times at which equations break or the state jumps, in the methods built on SciPy's schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench import Problem
from adjointbench.adjoints.jax.blackbox import blackbox_solve as jax_solve
from adjointbench.adjoints.scipy.segments import make_schedule
from adjointbench.adjoints.torch.blackbox import blackbox_solve as torch_solve

METHODS = (
    "scipy-forward",
    "scipy-adjoint",
    "jax-blackbox",
    "torch-blackbox",
    "finite-difference",
    "complex-step",
    "cvodes-forward",
    "cvodes-adjoint",
)
#: Peers that cannot jump.
PEERS = (
    "diffrax-recursive-checkpoint",
    "diffrax-backsolve",
    "torchdiffeq-backprop",
    "torchdiffeq-adjoint",
    "torchode-autodiff",
    "torchode-backsolve",
)
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


def input_rate(t, xp):
    """1 on [0, 1), a half on [1, 2); what lies outside must not be seen."""
    inside = xp.where(t < 1.0, 1.0, 0.5) + 0 * t
    return xp.where((t <= 0.0) | (t >= 2.0), 1e3 + 0 * t, inside)


def switched(dtype=np.float64, **changes):
    """y' = k u(t) y: y(2) = y0 exp(1.5 k), every time of `u` declared, the ends of the span too."""
    arguments = {
        "name": "switched",
        "rhs": lambda t, y, p: p["k"] * input_rate(t, array_namespace(y)) * y,
        "y0": np.array([1.5], dtype),
        "params": {"k": np.array([0.7], dtype)},
        "t_span": (0.0, 2.0),
        "save_at": (1.0, 2.0),
        "loss": lambda ys, p: ys[0, 0] + ys[1, 0],
        "discontinuities": (0.0, 1.0, 2.0),
    }
    return Problem(**{**arguments, **changes})


def switched_gradient(k=0.7, y0=1.5):
    ends = np.exp(k * np.array([1.0, 1.5]))
    return y0 * (ends * (1.0, 1.5)).sum(), ends.sum()


@pytest.mark.parametrize("method", METHODS + PEERS)
def test_equations_are_seen_from_inside_the_span(method):
    found = ab.gradient(switched(), method, **TIGHT)
    assert found.status == "ok"
    allowed = 1e-5 if method == "finite-difference" else 1e-6
    dk, dy0 = switched_gradient()
    np.testing.assert_allclose(found.dparams["k"], dk, rtol=allowed)
    np.testing.assert_allclose(found.dy0, dy0, rtol=allowed)


@pytest.mark.parametrize("solver", ["rk45", "dop853", "radau", "bdf", "lsoda"])
@pytest.mark.parametrize("method", ["scipy-adjoint", "scipy-forward", "jax-blackbox"])
def test_every_solver_sees_its_own_side(method, solver):
    found = ab.gradient(switched(), method, solver=solver, **TIGHT)
    np.testing.assert_allclose(found.dparams["k"], switched_gradient()[0], rtol=1e-6)


def test_single_precision_does_not_round_to_the_other_side():
    # 4.2 is no number of single precision, and the next number of double precision rounds to it.
    problem = switched(
        np.float32,
        rhs=lambda t, y, p: p["k"] * array_namespace(y).where(t < 4.2, 1.0 + 0 * t, 1e3) * y,
        t_span=(0.0, 4.2),
        save_at=None,
        loss=lambda ys, p: ys[0, 0],
        discontinuities=(4.2,),
        params={"k": np.array([0.1], np.float32)},
    )
    for method in ("jax-blackbox", "torch-blackbox", "scipy-adjoint"):
        found = ab.gradient(problem, method, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.dparams["k"], 1.5 * 4.2 * np.exp(0.42), rtol=1e-5)


def dosed(save_at, dtype=np.float64):
    def jump(i, t, y, p):
        return y + p["dose"][i]

    return Problem(
        name="dosed",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0], dtype),
        params={"k": np.array([0.3], dtype), "dose": np.array([2.0, 3.0], dtype)},
        t_span=(0.0, 4.2),
        save_at=save_at,
        loss=lambda ys, p: ys[-1, 0],
        jump_times=(1.1, 4.2),
        jump=jump,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_a_jump_at_the_end_is_not_lost_to_rounding(method, dtype):
    found = ab.gradient(dosed((4.2,), dtype), method, rtol=1e-7, atol=1e-10)
    early, late = np.exp(-0.3 * 4.2), np.exp(-0.3 * 3.1)
    assert found.loss == pytest.approx(early + 2.0 * late + 3.0, rel=1e-5)
    np.testing.assert_allclose(found.dparams["dose"], [late, 1.0], rtol=1e-5)
    np.testing.assert_allclose(found.dparams["k"], -4.2 * early - 3.1 * 2.0 * late, rtol=2e-5)


def test_times_of_single_precision_are_compared_as_such():
    # The last save as an array of single precision, the jumps as Python's numbers.
    plan = make_schedule(0.0, np.float32([4.2]), (1.3,), (1.3, 4.2), np.float32)
    assert [s.jumps for s in plan.segments] == [(0,), (1,)]
    assert [s.stop for s in plan.segments] == [float(np.float32(1.3)), float(np.float32(4.2))]
    first, last = plan.segments
    assert np.float32(first.highest) < np.float32(1.3) < np.float32(last.lowest)


# Jumps as only the black boxes take them: at the start, at the end, and two at one time.
JUMP_TIMES = (1.0, 0.0, 1.0, 2.0, 7.0)
SAVES = (0.0, 1.0, 1.0, 2.0, 2.0)


def act(i, t, y, p):
    """At 0 times 2, at 1 first a dose and then times c, at 2 the dose again, at 7 nothing."""
    if i == 1:
        return 2.0 * y
    if i == 2:
        return p["c"] * y
    return y + p["dose"]


def acted(k, dose, c, y0):
    start = 2.0 * y0
    middle = (start * np.exp(-k) + dose) * c
    end = middle * np.exp(-k) + dose
    return start + 2 * middle**2 + 2 * end


def acted_gradient(values):
    return [acted(*(np.array(values) + 1e-30j * e)).imag / 1e-30 for e in np.eye(4)]


VALUES = (0.7, 0.4, 1.3, 1.5)


def decay(t, y, p):
    return -p["k"] * y


def weighed(ys):
    return ys[0].sum() + (ys[1] ** 2 + ys[2] ** 2).sum() + (ys[3] + ys[4]).sum()


def call(solve, p, y0, **options):
    given = {"jump_times": JUMP_TIMES, "jump": act, "discontinuities": (0.0, 2.0), **TIGHT}
    return solve(decay, y0, SAVES, p, **{**given, **options})


@pytest.mark.parametrize("solver", ["dop853", "lsoda"])
def test_all_jumps_act_in_order_on_jax(solver):
    with jax.enable_x64(True):
        p = dict(zip(("k", "dose", "c"), map(jnp.float64, VALUES), strict=False))

        def loss(p, y0):
            return weighed(call(jax_solve, p, y0, solver=solver).ys)

        value, (dp, dy0) = jax.value_and_grad(loss, argnums=(0, 1))(p, jnp.float64([VALUES[-1]]))
    assert float(value) == pytest.approx(acted(*VALUES), rel=1e-7)
    found = [dp["k"], dp["dose"], dp["c"], dy0[0]]
    np.testing.assert_allclose(np.array(found), acted_gradient(VALUES), rtol=1e-6)


@pytest.mark.parametrize("solver", ["dop853", "lsoda"])
def test_all_jumps_act_in_order_on_pytorch(solver):
    *rest, y0 = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in VALUES]
    p = dict(zip(("k", "dose", "c"), rest, strict=True))
    value = weighed(call(torch_solve, p, y0.reshape(1), solver=solver).ys)
    assert value.item() == pytest.approx(acted(*VALUES), rel=1e-7)
    found = [g.item() for g in torch.autograd.grad(value, [*rest, y0])]
    np.testing.assert_allclose(found, acted_gradient(VALUES), rtol=1e-6)


def test_repeated_saves_between_stops():
    k, y0 = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in (0.5, 1.5))
    ys = torch_solve(lambda t, y, k: -k * y, y0, (0.5, 0.5, 0.5, 1.0), k, **TIGHT).ys
    (ys * torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)).sum().backward()
    half, one = np.exp(-0.25), np.exp(-0.5)
    assert y0.grad.item() == pytest.approx(6 * half + 4 * one, rel=1e-8)
    assert k.grad.item() == pytest.approx(-1.5 * (3 * half + 4 * one), rel=1e-8)


def refused(solve, y0, k, match, **options):
    with pytest.raises(ValueError, match=match):
        solve(lambda t, y, k: -k * y, y0, options.pop("save_at", (1.0,)), k, **options)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_calls_that_make_no_sense_are_refused(backend):
    solve = jax_solve if backend == "jax" else torch_solve
    array = jnp.float32 if backend == "jax" else torch.tensor
    y0, k = array([1.0]), array([0.5])
    refused(solve, y0, k, "rtol=-1.0 must be positive", rtol=-1.0)
    refused(solve, y0, k, "atol=nan must be positive", atol=float("nan"))
    refused(solve, y0, k, r"rtol has shape \(2,\)", rtol=np.array([1e-3, 1e-3]))
    refused(solve, y0, k, "adjoint_atol=0.0 must be", adjoint_atol=0.0)
    refused(solve, y0, k, "first_step=0.0 must be positive", first_step=0.0)
    refused(solve, y0, k, "max_steps=0 must be positive", max_steps=0)
    refused(solve, y0, k, "t0=nan must be one finite", t0=float("nan"))
    refused(solve, y0, k, "inf.* must be finite", save_at=(float("inf"),))
    refused(solve, y0, k, "must not decrease", save_at=(1.0, 0.5))
    refused(solve, y0, k, "t0=2.0.*to go backwards, put -t for t and -rhs for rhs", t0=2.0)
    refused(solve, y0, k, "must end after it", t0=1.0)
    # In single precision these two are one time.
    refused(solve, y0, k, "must end after it", t0=1e8, save_at=(1e8 + 1,))
    refused(solve, y0, k, "jump_times is given without jump", jump_times=(0.5,))
    refused(solve, y0, k, "jump is given without jump_times", jump=lambda i, t, y, p: y)
    refused(solve, y0, k, "discontinuities has .*nan", discontinuities=(float("nan"),))


def test_complex_and_whole_numbers_are_refused():
    parts = "complex numbers as their real and imaginary parts"
    one = np.array([1.0 + 1j])
    refused(jax_solve, jnp.asarray(one), jnp.ones(1), f"y0 has dtype complex.*{parts}")
    refused(jax_solve, jnp.ones(1), jnp.asarray(one), f"params has .* complex.*{parts}")
    refused(jax_solve, jnp.ones(1, int), jnp.ones(1), "y0 has dtype int32; pass float32")
    refused(torch_solve, torch.tensor(one), torch.ones(1), f"y0 has dtype complex128.*{parts}")
    refused(torch_solve, torch.ones(1), torch.tensor(one), f"params has .*complex128.*{parts}")


@pytest.mark.parametrize("argument", ["t0", "save_at", "discontinuities", "jump_times"])
def test_derivatives_by_times_are_refused(argument):
    others = {"jump": lambda i, t, y, k: y} if argument == "jump_times" else {}
    number = argument == "t0"

    def solve(time):
        times = {"save_at": (1.0,), **others, argument: time if number else [0.5, time]}
        save_at = times.pop("save_at")
        return jax_solve(
            lambda t, y, k: -k * y, jnp.ones(1), save_at, jnp.ones(1), **times
        ).ys.sum()

    with pytest.raises(ValueError, match=f"{argument} is traced.*derivatives by times"):
        jax.grad(solve)(0.7)
    time = torch.tensor(0.7, requires_grad=True)
    times = {**others, argument: time if number else [0.5, time]}
    refused(
        torch_solve, torch.ones(1), torch.ones(1), f"{argument} requires a gradient.*derivatives",
        **times,
    )  # fmt: skip


def test_times_as_tensors_without_a_gradient():
    y0, k = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    t0, save_at = torch.tensor(0.5), torch.tensor([1.0, 1.5])
    ys = torch_solve(lambda t, y, k: -k * y, y0, save_at, k, t0=t0, **TIGHT).ys
    np.testing.assert_allclose(ys[:, 0], np.exp([-0.5, -1.0]), rtol=1e-8)
