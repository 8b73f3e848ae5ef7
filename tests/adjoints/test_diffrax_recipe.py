"""Error regularisation with Diffrax against the solver that has it as an output."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.jax.solve import solve
from adjointbench.adjoints.peers.diffrax_regularized import error_regularized_loss
from adjointbench.adjoints.steps.tableaus import tableau

PROBLEMS = {
    "lotka_volterra": ab.problems.get("lotka_volterra"),
    "two_spirals": ab.problems.get("two_spirals", batch=8, hidden=16),
}
NORMS = pytest.mark.parametrize("error_norm", ["absolute", "scaled"])
EVERY_PROBLEM = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=list(PROBLEMS))
CONTROL = {"rtol": 1e-4, "atol": 1e-7}


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def inputs(problem):
    return {name: jnp.asarray(value) for name, value in problem.params.items()}, jnp.asarray(
        problem.y0
    )


def vector(gradients):
    return np.concatenate([np.ravel(value) for value in jax.tree.leaves(gradients)])


def difference(one, other):
    return np.linalg.norm(vector(one) - vector(other)) / np.linalg.norm(vector(one))


def ours(problem, **options):
    known = {name: jnp.asarray(value) for name, value in problem.constants.items()}

    def estimate(params, y0):
        p = {**params, **known}
        solution = solve(problem.rhs, y0, problem.save_at, p, t0=problem.t_span[0], **options)
        return solution.error_estimate, (problem.loss(solution.ys, p), solution)

    return estimate


def theirs(problem, **options):
    def estimate(params, y0):
        _, parts = error_regularized_loss(problem, params, y0, coefficient=1.0, **options)
        return parts.error_estimate, parts

    return estimate


def differentiated(function, problem):
    gradient = jax.jit(jax.value_and_grad(function, argnums=(0, 1), has_aux=True))
    return gradient(*inputs(problem))


def same_steps(problem, solver):
    """The steps that the open solver takes, as it replays them and as Diffrax does."""
    _, (_, solution) = ours(problem, solver=solver, **CONTROL)(*inputs(problem))
    assert solution.status == "ok"
    t, h = solution.steps
    return (t, h), np.append(np.asarray(t), problem.save_at[-1])


@NORMS
@EVERY_PROBLEM
def test_value_and_gradient_agree_on_the_same_steps(problem, error_norm):
    options = {"solver": "tsit5", "error_norm": error_norm, **CONTROL}
    steps, times = same_steps(problem, "tsit5")
    (a, (loss, _)), da = differentiated(
        ours(problem, adjoint="discrete", steps=steps, **options), problem
    )
    (b, parts), db = differentiated(theirs(problem, steps=times, **options), problem)
    assert int(parts.steps) == len(times) - 1
    assert parts.result == diffrax.RESULTS.successful
    # The error is a difference of slopes some four digits larger than itself.
    assert float(b) == pytest.approx(float(a), rel=1e-10)
    assert difference(da, db) < 1e-10
    assert float(parts.loss) == pytest.approx(float(loss), rel=1e-13)


def test_loss_and_estimate_add_up():
    problem = PROBLEMS["lotka_volterra"]

    def gradient(coefficient):
        function = jax.value_and_grad(error_regularized_loss, argnums=(1, 2), has_aux=True)
        return function(problem, *inputs(problem), coefficient=coefficient, **CONTROL)

    (loss, parts), regularized = gradient(0.1)
    (plain, _), without = gradient(0.0)
    assert float(loss) == float(parts.loss + 0.1 * parts.error_estimate)
    assert float(plain) == float(parts.loss)
    _, of_estimate = differentiated(theirs(problem, **CONTROL), problem)
    np.testing.assert_allclose(
        vector(regularized), vector(without) + 0.1 * vector(of_estimate), rtol=1e-9
    )


@NORMS
def test_rejected_steps_do_not_count_and_the_step_size_is_held_fixed(error_norm):
    problem = PROBLEMS["lotka_volterra"]
    params, y0 = inputs(problem)
    dtype, (rtol, atol) = y0.dtype, map(jnp.asarray, CONTROL.values())
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(problem.rhs), diffrax.Tsit5(), t0=jnp.zeros((), dtype),
        t1=jnp.asarray(problem.save_at[-1]), dt0=None, y0=y0, args=params,
        saveat=diffrax.SaveAt(t0=True, steps=True),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
    )  # fmt: skip
    times = np.asarray(solution.ts)[np.isfinite(solution.ts)]
    assert int(solution.stats["num_rejected_steps"]) > 0

    options = {"error_norm": error_norm, **CONTROL}
    (a, adaptive), da = differentiated(theirs(problem, **options), problem)
    (b, replayed), db = differentiated(theirs(problem, steps=times, **options), problem)
    assert int(adaptive.rejected) > 0
    assert (int(adaptive.steps), int(replayed.rejected)) == (int(replayed.steps), 0)
    assert float(a) == pytest.approx(float(b), rel=1e-10)
    assert difference(da, db) < 1e-10


def test_the_coefficients_of_tsit5_are_ours_up_to_sign():
    entry, theirs = tableau("tsit5"), diffrax.Tsit5.tableau
    np.testing.assert_allclose(theirs.b_error, -entry.error, rtol=0, atol=1e-15)
    np.testing.assert_allclose(theirs.b_sol[:6], entry.b[:6], rtol=1e-15)


@NORMS
def test_dopri5_has_another_embedded_solution(error_norm):
    problem = PROBLEMS["lotka_volterra"]
    options = {"solver": "dopri5", "error_norm": error_norm, **CONTROL}
    steps, times = same_steps(problem, "dopri5")
    np.testing.assert_allclose(
        diffrax.Dopri5.tableau.b_error, tableau("dopri5").error * 2 / 3, atol=1e-15
    )
    (a, _), da = differentiated(ours(problem, steps=steps, **options), problem)
    (b, _), db = differentiated(theirs(problem, steps=times, **options), problem)
    assert float(b) == pytest.approx(2 / 3 * float(a), rel=1e-9)
    np.testing.assert_allclose(vector(db), 2 / 3 * vector(da), rtol=1e-8)


def test_an_error_of_zero_has_a_gradient():
    problem = tiny.decay(rhs=lambda t, y, p: 0 * p["k"] * y)
    (value, parts), gradients = differentiated(theirs(problem), problem)
    assert parts.result == diffrax.RESULTS.successful
    assert float(value) == 0.0
    np.testing.assert_array_equal(vector(gradients), 0.0)


def test_saves_inside():
    problem = tiny.decay()
    (loss, _), (dparams, dy0) = jax.value_and_grad(
        error_regularized_loss, argnums=(1, 2), has_aux=True
    )(problem, *inputs(problem), coefficient=0.0, rtol=1e-9, atol=1e-12)
    found = [float(loss), float(dparams["k"][0]), float(dy0[0])]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-6)


def test_what_makes_no_sense_is_refused():
    problem = tiny.decay()
    with pytest.raises(ValueError, match="did you mean 'tsit5'"):
        error_regularized_loss(problem, *inputs(problem), coefficient=1.0, solver="tsit4")
    with pytest.raises(ValueError, match="error_norm='relative'"):
        error_regularized_loss(problem, *inputs(problem), coefficient=1.0, error_norm="relative")
    with pytest.raises(ValueError, match=r"jump_times=\(1.0, 2.0\)"):
        error_regularized_loss(tiny.doses(), *inputs(tiny.doses()), coefficient=1.0)
