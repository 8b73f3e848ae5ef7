"""Regularisers against closed forms, each by several methods."""

import jax
import numpy as np
import pytest
import torch

import adjointbench as ab
from adjointbench.adjoints.jax import solve
from adjointbench.adjoints.steps.tableaus import tableau
from adjointbench.suite.measuring.timing import timed_gradient, timed_primal

K, END, START = 0.7, 2.0, np.array([1.0, -0.5])
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
ON_AUTODIFF = ("jax-discrete", "jax-interpolating", "torch-tape", "diffrax-recursive-checkpoint")


def decay():
    """``y' = -k y`` and the loss 0, so that what is found is the regulariser alone."""
    return ab.Problem(
        name="decay",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=START,
        params={"k": np.array(K)},
        t_span=(0.0, END),
        loss=lambda ys, p: 0.0 * ys[-1, 0],
    )


def path_integral(order):
    """The integral of the mean square of the derivative of this order, and its slope by k."""
    mean, decayed = float(np.mean(START**2)), np.exp(-2 * K * END)
    power = 2 * order - 1
    value = mean * K**power * (1 - decayed) / 2
    return value, mean * (power * K ** (power - 1) * (1 - decayed) / 2 + K**power * END * decayed)


@pytest.mark.parametrize("method", [*ON_AUTODIFF, "scipy-forward", "cvodes-adjoint"])
def test_kinetic_energy_in_closed_form(method):
    result = ab.gradient(decay(), method, regularizer="kinetic", coefficient=3.0, rtol=1e-8)
    value, slope = path_integral(1)
    assert result.status == "ok"
    assert result.loss == pytest.approx(3 * value, rel=1e-5)
    assert float(result.dparams["k"]) == pytest.approx(3 * slope, rel=1e-4)
    assert result.dy0.shape == START.shape


@pytest.mark.parametrize(
    ("method", "order"),
    [*((method, 2) for method in ON_AUTODIFF), ("jax-discrete", 3), ("torch-tape", 3)],
)
def test_taylor_in_closed_form(method, order):
    regularizer = ab.Regularizer("taylor", order=order)
    result = ab.gradient(decay(), method, regularizer=regularizer, coefficient=1.0, **TIGHT)
    value, slope = path_integral(order)
    assert result.loss == pytest.approx(value, rel=1e-7)
    assert float(result.dparams["k"]) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-tape"])
def test_the_bare_calls_take_the_problems_own_state(method):
    run = ab.prepare(decay(), method, regularizer="kinetic", coefficient=1.0)
    call, primal = timed_gradient(run), timed_primal(run)
    call(0)
    primal(0)
    inputs = run.problem.params, run.problem.y0
    if method == "jax-discrete":
        with jax.enable_x64(True):
            inputs = jax.device_put(inputs)
    else:
        inputs = jax.tree.map(torch.asarray, inputs)
    # The host's own precision is 32 bits here.
    loss, dparams, dy0 = run.compiled(*inputs)
    result = run()
    assert float(loss) == pytest.approx(result.loss, rel=1e-12)
    assert float(dparams["k"]) == pytest.approx(float(result.dparams["k"]), rel=1e-12)
    assert dy0.shape == START.shape
    assert float(run.compiled_primal(*inputs)) == pytest.approx(result.loss, rel=1e-12)


def test_taylor_sees_time():
    """``y' = t^2``: the third derivative is 2 everywhere."""
    problem = ab.Problem(
        name="cubic",
        rhs=lambda t, y, p: t**2 * p["a"] + 0.0 * y,
        y0=np.array([0.0]),
        params={"a": np.array(1.5)},
        t_span=(0.0, END),
        loss=lambda ys, p: 0.0 * ys[-1, 0],
    )
    for method in ("jax-discrete", "torch-tape"):
        result = ab.gradient(problem, method, regularizer="taylor", coefficient=1.0)
        assert result.loss == pytest.approx((2 * 1.5) ** 2 * END, rel=1e-9)
        assert float(result.dparams["a"]) == pytest.approx(8 * 1.5 * END, rel=1e-9)


@pytest.mark.parametrize("method", ON_AUTODIFF)
def test_jacobian_in_closed_form(method):
    result = ab.gradient(decay(), method, regularizer="jacobian", coefficient=1.0, **TIGHT)
    # With signs for noise, (J e)^2 = k^2 in each component.
    assert result.loss == pytest.approx(K**2 * END, rel=1e-9)
    assert float(result.dparams["k"]) == pytest.approx(2 * K * END, rel=1e-9)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-tape", "scipy-adjoint"])
def test_steer_moves_the_end(method):
    problem = ab.Problem(
        name="decay",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array(K)},
        t_span=(0.0, END),
        loss=lambda ys, p: ys[-1, 0],
    )
    draw = np.random.RandomState(3).uniform(-1.0, 1.0)
    end = END * (1 + 0.5 * draw)
    regularizer = ab.Regularizer("steer", seed=3)
    result = ab.gradient(problem, method, regularizer=regularizer, coefficient=0.5, **TIGHT)
    assert result.loss == pytest.approx(np.exp(-K * end), rel=1e-8)
    assert float(result.dparams["k"]) == pytest.approx(-end * np.exp(-K * end), rel=1e-6)


def local_error_by_hand(k, y, h_of, rtol, atol):
    """E h of one step of Tsit5 from `y`, in NumPy; ``h_of`` and the first slope do not move."""
    tab = tableau("tsit5")
    stages = [-K * y]
    for i in range(1, tab.steps):
        stages.append(-k * (y + h_of * sum(a * s for a, s in zip(tab.a[i], stages, strict=False))))
    y1 = y + h_of * sum(b * s for b, s in zip(tab.b, stages, strict=False))
    stages.append(-k * y1)
    error = h_of * sum(e * s for e, s in zip(tab.error, stages, strict=True))
    scale = atol + rtol * np.maximum(np.abs(y), np.abs(y1))
    return h_of * np.sqrt(np.mean((error / scale) ** 2))


@pytest.mark.parametrize("method", ["jax-discrete", "jax-backsolve", "torch-tape", "jax-blackbox"])
def test_local_differentiates_one_step_alone(method):
    rtol, atol, seed = 1e-4, 1e-6, 5
    regularizer = ab.Regularizer("local", times=4, seed=seed)
    time = END * (np.random.RandomState(seed).choice(4) + 0.5) / 4
    solver = "rk45" if method == "jax-blackbox" else "tsit5"
    options = {"rtol": rtol, "atol": atol, "regularizer": regularizer, "solver": solver}
    result = ab.gradient(decay(), method, coefficient=1.0, **options)
    y = START * np.exp(-K * time)
    # Hairer's first step, from a solve that starts there.
    with jax.enable_x64(True):
        steps = solve(lambda t, y, p: -p * y, y, [END], K, t0=time, rtol=rtol, atol=atol).steps
    h = float(steps[1][0])

    def by_hand(k):
        return local_error_by_hand(k, y, h, rtol, atol)

    # The norm has a kink nearby, where the errors of the stages cancel.
    slope = (by_hand(K + 1e-8) - by_hand(K - 1e-8)) / 2e-8
    assert result.loss == pytest.approx(by_hand(K), rel=2e-2)
    assert float(result.dparams["k"]) == pytest.approx(slope, rel=2e-2)
    assert np.allclose(result.dy0, 0.0)


def test_local_draws_as_the_steps_lie():
    regularizer = ab.Regularizer("local", sampling="accepted")
    problem = ab.problems.get("van_der_pol", mu=10.0)
    result = ab.gradient(
        problem, "jax-discrete", regularizer=regularizer, coefficient=1e-3, rtol=1e-4
    )
    assert result.status == "ok"


@pytest.mark.parametrize(
    ("norm", "reduction"), [("scaled", "sum"), ("absolute", "sum"), ("scaled", "mean")]
)
def test_both_forms_of_the_error_are_those_of_solve(norm, reduction):
    problem = ab.problems.get("lotka_volterra")
    options = {"rtol": 1e-5, "atol": 1e-7}
    form = ab.Regularizer("error", norm=norm, reduction=reduction)
    plain = ab.gradient(problem, "jax-discrete", **options)
    result = ab.gradient(problem, "jax-discrete", regularizer=form, coefficient=2.0, **options)
    with jax.enable_x64(True):
        found = solve(
            problem.rhs,
            problem.y0,
            problem.save_at,
            problem.merged(),
            error_norm=norm,
            reduction=reduction,
            **options,
        )
    expected = plain.loss + 2.0 * float(found.error_estimate)
    assert result.loss == pytest.approx(expected, rel=1e-9)
    on_torch = ab.gradient(problem, "torch-discrete", regularizer=form, coefficient=2.0, **options)
    assert on_torch.loss == pytest.approx(expected, rel=1e-9)


def test_error_and_stiffness_have_a_coefficient_each():
    problem = ab.problems.get("lotka_volterra")
    options = {"rtol": 1e-4}

    def of(regularizer, coefficient):
        return ab.gradient(
            problem, "jax-discrete", regularizer=regularizer, coefficient=coefficient, **options
        )

    error, stiffness, plain = of("error", 2.0), of("stiffness", 0.1), of(None, 0.0)
    both = of("error+stiffness", (2.0, 0.1))
    assert both.loss == pytest.approx(error.loss + stiffness.loss - plain.loss, rel=1e-10)
    for name in problem.params:
        sum_of = error.dparams[name] + stiffness.dparams[name] - plain.dparams[name]
        np.testing.assert_allclose(both.dparams[name], sum_of, rtol=1e-8)


def test_slopes_are_pulled_back_once_for_two_steps():
    """States too large for chunks, with saves, and windows that are replayed."""
    problem = ab.problems.get("cubic_spiral", batch=8)
    options = {"regularizer": "error", "coefficient": 0.7, "rtol": 1e-6, "atol": 1e-8}
    ours = ab.gradient(problem, "jax-discrete", checkpoints=16, max_steps=64, **options)
    assert ours.stats.steps > 8
    theirs = ab.gradient(problem, "torch-discrete", **options)
    # The estimate is a difference that cancels: rounding over tolerance.
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-9)
    for name, value in theirs.dparams.items():
        largest = np.abs(value).max()
        np.testing.assert_allclose(ours.dparams[name], value, rtol=0, atol=1e-8 * largest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "kinetik"}, "did you mean 'kinetic'"),
        ({"name": "taylor", "order": 1}, "order=1 must be at least 2"),
        ({"name": "local", "times": 0}, "times=0 must be at least 1"),
        ({"name": "error", "norm": "relative"}, "norm='relative' is not known"),
    ],
)
def test_a_regularizer_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ab.Regularizer(**arguments)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("scipy-adjoint", {"regularizer": "taylor"}, "differentiates through its equations"),
        ("jax-blackbox", {"regularizer": "jacobian"}, "differentiates through its equations"),
        ("jax-backsolve", {"regularizer": "error"}, "only a discrete adjoint sees"),
        ("jax-discrete", {"regularizer": "steer", "coefficient": 1.5}, "between 0 and 1"),
        ("jax-discrete", {"regularizer": "error", "coefficient": (1.0, 2.0)}, "one finite number"),
        ("jax-discrete", {"coefficient": 1.0}, "needs a regularizer"),
    ],
)
def test_what_cannot_be_done_is_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        ab.prepare(decay(), method, **options)


def test_steer_needs_a_single_save():
    with pytest.raises(ValueError, match="use a problem with one save"):
        ab.prepare(ab.problems.get("cubic_spiral"), "jax-discrete", regularizer="steer")
