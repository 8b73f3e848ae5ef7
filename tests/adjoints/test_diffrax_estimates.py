"""Error regularisation with Diffrax against the solver that has it as an output."""

from dataclasses import replace

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.jax.solve import solve
from adjointbench.adjoints.peers import diffrax as peer
from adjointbench.adjoints.steps.tableaus import tableau

METHOD = "diffrax-recursive-checkpoint"
PROBLEMS = {
    "lotka_volterra": ab.problems.get("lotka_volterra"),
    "two_spirals": ab.problems.get("two_spirals", batch=8, hidden=16),
}
CONTROL = {"rtol": 1e-4, "atol": 1e-7}
#: Makes the absolute error as large as the loss.
COEFFICIENT = {"absolute": 1e4, "scaled": 1.0}


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def vector(result):
    return np.concatenate([np.ravel(v) for v in (*result.dparams.values(), result.dy0)])


def apart(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(one)


def penalty(problem, method, regularizer, coefficient, **options):
    """Value and gradient of the penalty alone, as what it adds."""
    options = {**CONTROL, **options}
    form = {"regularizer": regularizer, "coefficient": coefficient}
    added = ab.gradient(problem, method, **form, **options)
    plain = ab.gradient(problem, method, **options)
    assert (added.status, plain.status) == ("ok", "ok")
    return added.loss - plain.loss, vector(added) - vector(plain)


def accepted(problem, solver):
    """The times from step to step of the open solver, the end included."""
    params = {name: jnp.asarray(value) for name, value in problem.merged().items()}
    solution = solve(
        problem.rhs, problem.y0, problem.save_at, params, t0=problem.t_span[0], solver=solver,
        **CONTROL,
    )  # fmt: skip
    assert solution.status == "ok"
    return np.append(np.asarray(solution.steps[0]), problem.save_at[-1])


@pytest.fixture
def on_steps(monkeypatch):
    """Makes Diffrax take the steps of the open solver."""

    def replay(problem, solver):
        times = jnp.asarray(accepted(problem, solver))
        monkeypatch.setattr(peer, "_controller", lambda *_: diffrax.StepTo(times))
        return len(times) - 1

    return replay


@pytest.mark.parametrize(
    ("problem", "name", "norm", "reduction"),
    [
        ("lotka_volterra", "error", "absolute", "sum"),
        ("lotka_volterra", "error", "scaled", "max"),
        ("lotka_volterra", "error_squared", "scaled", "mean"),
        ("two_spirals", "error", "scaled", "mean"),
    ],
)
def test_value_and_gradient_agree_on_the_same_steps(problem, name, norm, reduction, on_steps):
    """The coefficient makes the penalty as large as the loss."""
    problem, form = PROBLEMS[problem], ab.Regularizer(name, norm=norm, reduction=reduction)
    options = {"regularizer": form, "coefficient": COEFFICIENT[norm], **CONTROL}
    a = ab.gradient(problem, "jax-discrete", **options)
    steps = on_steps(problem, "tsit5")
    b = ab.gradient(problem, METHOD, **options)
    assert b.stats.steps == a.stats.steps == steps
    # The error is a difference of slopes some four digits larger than itself.
    assert b.loss == pytest.approx(a.loss, rel=1e-9)
    assert apart(vector(a), vector(b)) < 1e-9


def test_rejected_steps_do_not_count_and_the_step_size_is_held_fixed(monkeypatch):
    problem = PROBLEMS["lotka_volterra"]
    options = {"regularizer": "error", "coefficient": 1.0, **CONTROL}
    a = ab.gradient(problem, METHOD, **options)
    assert a.stats.rejected > 0
    dtype = problem.dtype
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(problem.rhs), diffrax.Tsit5(), t0=jnp.zeros((), dtype),
        t1=jnp.asarray(problem.save_at[-1]), dt0=None, y0=jnp.asarray(problem.y0),
        args={name: jnp.asarray(value) for name, value in problem.params.items()},
        saveat=diffrax.SaveAt(t0=True, steps=True),
        stepsize_controller=diffrax.PIDController(*map(jnp.asarray, CONTROL.values())),
    )  # fmt: skip
    times = solution.ts[np.isfinite(solution.ts)]
    monkeypatch.setattr(peer, "_controller", lambda *_: diffrax.StepTo(times))
    b = ab.gradient(replace(problem), METHOD, **options)  # what was compiled is the problem's
    assert (b.stats.steps, b.stats.rejected) == (a.stats.steps, 0)
    assert a.loss == pytest.approx(b.loss, rel=1e-9)
    assert apart(vector(a), vector(b)) < 1e-9


def test_the_coefficients_of_tsit5_are_ours_up_to_sign():
    entry, theirs = tableau("tsit5"), diffrax.Tsit5.tableau
    np.testing.assert_allclose(theirs.b_error, -entry.error, rtol=0, atol=1e-15)
    np.testing.assert_allclose(theirs.b_sol[:6], entry.b[:6], rtol=1e-15)


def test_dopri5_has_another_embedded_solution(on_steps):
    problem = PROBLEMS["lotka_volterra"]
    np.testing.assert_allclose(
        diffrax.Dopri5.tableau.b_error, tableau("dopri5").error * 2 / 3, atol=1e-15
    )
    a, da = penalty(problem, "jax-discrete", "error", 1.0, solver="dopri5")
    on_steps(problem, "dopri5")
    b, db = penalty(problem, METHOD, "error", 1.0, solver="dopri5")
    assert b == pytest.approx(2 / 3 * a, rel=1e-8)
    np.testing.assert_allclose(db, 2 / 3 * da, rtol=1e-6)


def test_an_error_of_zero_has_a_gradient():
    problem = tiny.decay(rhs=lambda t, y, p: 0 * p["k"] * y)
    value, gradient = penalty(problem, METHOD, "error", 1.0)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


def test_what_it_does_not_see_is_refused():
    with pytest.raises(ValueError, match="not supported by method='diffrax-recursive-checkpoint'"):
        ab.prepare(tiny.decay(), METHOD, regularizer="stiffness", coefficient=1.0)
    with pytest.raises(ValueError, match="not supported by method='diffrax-backsolve'"):
        ab.prepare(tiny.decay(), "diffrax-backsolve", regularizer="error", coefficient=1.0)
