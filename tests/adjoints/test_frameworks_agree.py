"""PyTorch and the native loops against JAX: the same steps, and the same gradient of them."""

import jax
import numpy as np
import pytest
import torch

import adjointbench as ab
from adjointbench.adjoints.jax import solve as solve_jax
from adjointbench.adjoints.torch import solve as solve_torch


def options_of(problem):
    return {
        "t0": problem.t_span[0],
        "discontinuities": problem.discontinuities,
        "jump_times": problem.jump_times,
    }


def on_jax(problem, solver, **options):
    """Loss and gradients."""
    with jax.enable_x64(True):
        constants = dict(problem.constants)

        def loss(params, y0):
            def rhs(t, y, p):
                return problem.rhs(t, y, {**p, **constants})

            def jump(i, t, y, p):
                return problem.jump(i, t, y, {**p, **constants})

            solution = solve_jax(
                rhs,
                y0,
                problem.save_at,
                params,
                solver=solver,
                engine="xla",
                jump=None if problem.jump is None else jump,
                **options_of(problem),
                **options,
            )
            return problem.loss(solution.ys, {**params, **constants})

        params = jax.tree.map(jax.numpy.asarray, dict(problem.params))
        both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
        value, grads = both(params, jax.numpy.asarray(problem.y0))
        return float(value), jax.tree.map(np.asarray, grads)


def on_torch(problem, solver, **options):
    """Loss, gradients and steps."""
    constants = {name: torch.tensor(value) for name, value in problem.constants.items()}
    params = {name: torch.tensor(v, requires_grad=True) for name, v in problem.params.items()}
    y0 = torch.tensor(problem.y0, requires_grad=True)
    solution = solve_torch(
        lambda t, y, p: problem.rhs(t, y, {**p, **constants}),
        y0,
        problem.save_at.copy(),
        params,
        solver=solver,
        engine="torch",
        jump=None
        if problem.jump is None
        else lambda i, t, y, p: problem.jump(i, t, y, {**p, **constants}),
        **options_of(problem),
        **options,
    )
    assert solution.status == "ok"
    loss = problem.loss(solution.ys, {**params, **constants})
    *dparams, dy0 = torch.autograd.grad(loss, (*params.values(), y0), materialize_grads=True)
    named = dict(zip(params, (g.numpy() for g in dparams), strict=True))
    return loss.item(), (named, dy0.numpy()), solution.steps


def condition(problem, loss, dparams, dy0):
    """How much larger a relative change of the inputs comes out."""
    pieces = [np.abs(problem.params[name] * g).sum() for name, g in dparams.items()]
    return max(1.0, (sum(pieces) + np.abs(problem.y0 * dy0).sum()) / abs(loss))


#: Of one dose after the first.
SHORTER = {"pkpd": {"t_end": 26.0}}


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        *((name, "tsit5") for name in ("linear", "heat_equation", "two_spirals", "lorenz")),
        *((name, "rodas5p") for name in ("robertson", "stiff_neural_ode", "pkpd")),
        ("robertson", "rodas4p"),
        ("lotka_volterra", "dopri5"),
        ("pendulum", "dop853"),
        ("lotka_volterra", "rk4"),
        ("lotka_volterra", "euler"),
    ],
)
def test_the_same_steps_give_the_same_gradient(name, solver):
    problem = ab.problems.get(name, **SHORTER.get(name, {}))
    found, (dp, dy), steps = on_torch(problem, solver, rtol=1e-4, atol=1e-7)
    loss, (dparams, dy0) = on_jax(problem, solver, steps=tuple(x.numpy() for x in steps))
    allowed = 1e-10 * condition(problem, loss, dparams, dy0)
    assert abs(found - loss) <= allowed * abs(loss)
    scale = max(np.abs(problem.params[k] * g).max() for k, g in dparams.items())
    for key, gradient in dparams.items():
        error = np.abs(problem.params[key] * (dp[key] - gradient)).max()
        assert error <= allowed * scale, key
    assert np.abs(dy - dy0).max() <= allowed * max(np.abs(dy0).max(), scale)


ENGINES = (
    ("torch-discrete", "torch"),
    ("torch-discrete", "native"),
    ("jax-discrete", "native"),
    ("native-discrete", None),
)


@pytest.mark.parametrize("name", ["lotka_volterra", "pendulum", "robertson", "pkpd"])
def test_control_takes_the_same_steps(name):
    """Not so for chaotic problems, where rounding flips a rejection now and then."""
    problem = ab.problems.get(name, **SHORTER.get(name, {}))
    theirs = ab.gradient(problem, "jax-discrete", rtol=1e-6, engine="xla")
    assert theirs.stats.engine == "xla"
    for method, engine in ENGINES:
        ours = ab.gradient(problem, method, rtol=1e-6, engine=engine)
        assert ours.stats.engine == (engine or "native")
        told = (ours.stats.steps, ours.stats.rejected, ours.stats.rhs_evals)
        assert told == (theirs.stats.steps, theirs.stats.rejected, theirs.stats.rhs_evals)
        for key, gradient in theirs.dparams.items():
            largest = np.abs(gradient).max()
            np.testing.assert_allclose(ours.dparams[key], gradient, rtol=1e-9, atol=1e-9 * largest)


@pytest.mark.parametrize("method", ["torch-tape", "torch-forward"])
@pytest.mark.parametrize("name", ["lotka_volterra", "robertson", "adaptive_ad_trap"])
def test_tape_and_forward_mode_differentiate_the_same_steps(name, method):
    problem = ab.problems.get(name)
    swept = ab.gradient(problem, "torch-discrete", rtol=1e-4)
    found = ab.gradient(problem, method, rtol=1e-4)
    assert found.stats.steps == swept.stats.steps
    for key, gradient in swept.dparams.items():
        np.testing.assert_allclose(found.dparams[key], gradient, rtol=1e-9)
    np.testing.assert_allclose(found.dy0, swept.dy0, rtol=1e-8)
