"""CVODES through CasADi: the same equations, the certified gradients, and how it breaks down."""

import importlib.util

import numpy as np
import pytest
import tiny_problems as tiny
from array_api_compat import array_namespace

import adjointbench as ab

pytest.importorskip("casadi", reason="CVODES comes with CasADi, which is not installed")

METHODS = ("cvodes-adjoint", "cvodes-forward")
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
EVERY_SOLVER = pytest.mark.parametrize(
    "solver", ["cvodes", "cvodes-adams", "cvodes-mumps", "cvodes-gmres", "idas"]
)


def numbers(result):
    return np.concatenate([*map(np.ravel, result.dparams.values()), np.ravel(result.dy0)])


@pytest.mark.parametrize(
    ("name", "settings", "bound"),
    [
        ("robertson", {}, 1e-6),
        ("van_der_pol", {"mu": 1e3}, 1e-6),
        ("lotka_volterra", {}, 1e-5),
        ("lorenz", {}, 1e-5),
        ("pendulum", {}, 1e-5),
        ("heat_equation", {}, 1e-6),
        ("cubic_spiral", {}, 1e-6),
        ("adaptive_ad_trap", {}, 1e-6),
    ],
)
@EVERY_METHOD
def test_certified_gradients(name, settings, bound, method):
    problem = ab.problems.get(name, **settings)
    result = ab.gradient(problem, method, rtol=1e-8, atol=1e-12)
    reference = problem.reference
    assert result.status == "ok"
    assert result.loss == pytest.approx(reference.loss, rel=1e-6)
    assert tiny.log_error(result, reference.dparams, problem.params) < bound
    assert np.linalg.norm(result.dy0 - reference.dy0) < 10 * bound * np.linalg.norm(reference.dy0)
    assert result.stats.derivatives == "casadi"


@EVERY_SOLVER
@EVERY_METHOD
def test_every_solver_and_the_loss_that_depends_on_parameters(method, solver):
    problem = ab.problems.get("linear")
    run = ab.prepare(problem, method, solver=solver, rtol=1e-8, atol=1e-11)
    result = run()
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)
    assert result.loss == pytest.approx(loss, rel=1e-6)
    assert tiny.log_error(result, dparams, problem.params) < 1e-6
    np.testing.assert_allclose(result.dy0, dy0, rtol=1e-6)
    assert run.primal() == pytest.approx(result.loss, rel=1e-7)
    assert (result.stats.linear_solves is None) == (solver == "cvodes-gmres")


def test_the_error_follows_the_tolerance():
    problem = ab.problems.get("robertson")
    errors = [
        tiny.log_error(
            ab.gradient(problem, "cvodes-adjoint", rtol=rtol, atol=1e-4 * rtol),
            problem.reference.dparams,
            problem.params,
        )
        for rtol in (1e-4, 1e-6, 1e-8, 1e-10)
    ]
    assert errors[0] < 1e-3
    assert errors[1] < 1e-4
    assert errors[2] < 1e-6
    assert errors[3] < 1e-8


@pytest.mark.parametrize("solver", ["cvodes", "cvodes-adams"])
@EVERY_METHOD
def test_jumps_between_saves(method, solver):
    result = ab.gradient(tiny.doses(), method, solver=solver, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(numbers(result), tiny.doses_gradient(), rtol=1e-6)


@EVERY_METHOD
def test_a_jump_at_the_end_that_depends_on_state_and_time(method):
    problem = tiny.doses(
        jump_times=(1.0, 3.0),
        jump=lambda i, t, y, p: y**2 * p["kept"] + p["dose"][i] * t,
        loss=lambda ys, p: ys.sum(),
    )
    result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12)
    reference = ab.gradient(problem, "scipy-forward", rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(numbers(result), numbers(reference), rtol=1e-6)


@EVERY_METHOD
def test_a_discontinuity_is_seen_from_the_correct_side(method):
    # The value at a discontinuity belongs to what follows: one evaluation at t = 1 with the slope
    # of -300 in the first segment would show.
    result = ab.gradient(tiny.switch(), method, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(result.dparams["slopes"], [11.0, 2.0], rtol=1e-7)


def test_a_constant_adjoint_does_not_hide_the_quadrature():
    # lambda' = 0 takes the largest steps there are; without error control of the quadrature the
    # gradient was wrong by 20 % here, in silence (CasADi issue 4383).
    def rhs(t, y, p):
        xp = array_namespace(y)
        wave = xp.stack([xp.sin(7 * t) ** 2, xp.exp(-((5 * t - 2) ** 2)), t**5])
        return xp.sum(p["weights"] * wave) + 0 * y

    problem = tiny.decay(
        rhs=rhs,
        params={"weights": np.array([1.0, 2.0, 3.0])},
        t_span=(0.0, 1.0),
        save_at=None,
        loss=lambda ys, p: ys[-1, 0],
    )
    t, weights = np.polynomial.legendre.leggauss(60)
    t, weights = (t + 1) / 2, weights / 2
    exact = [weights @ f for f in (np.sin(7 * t) ** 2, np.exp(-((5 * t - 2) ** 2)), t**5)]
    for method in METHODS:
        result = ab.gradient(problem, method, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(result.dparams["weights"], exact, rtol=1e-4)


@EVERY_METHOD
def test_shapes_order_and_dtype(method):
    problem = tiny.oscillators().with_dtype(np.float32)
    atol = np.full(problem.y0.shape, 1e-7)
    atol[0, 1] = 1e-9
    run = ab.prepare(problem, method, rtol=1e-6, atol=atol)
    result = run()
    reference = ab.gradient(tiny.oscillators(), "scipy-forward", rtol=1e-9, atol=1e-11)
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == np.float32
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-5
    np.testing.assert_allclose(result.dy0, reference.dy0, atol=1e-4)
    loss, dparams, dy0 = run.compiled(dict(reversed(problem.params.items())), problem.y0)
    assert (loss, loss.dtype, dy0.dtype) == (np.float32(result.loss), np.float32, np.float32)
    np.testing.assert_array_equal(dparams["a"], result.dparams["a"])
    assert run.compiled_primal(problem.params, problem.y0) == pytest.approx(result.loss, rel=1e-5)


@EVERY_METHOD
def test_other_values_without_building_again(method):
    run = ab.prepare(tiny.decay(), method, rtol=1e-9, atol=1e-12)
    first = run()
    result = run(params={"k": [1.1]}, y0=[0.7])
    loss, dk, dy0 = tiny.decay_gradient(k=1.1, y0=0.7)
    np.testing.assert_allclose([result.loss, *numbers(result)], [loss, dk, dy0], rtol=1e-6)
    assert run().loss == first.loss


def test_tolerances_per_component():
    problem = ab.problems.get("robertson")
    atol = np.array([1e-8, 1e-14, 1e-8])
    coarse = ab.gradient(problem, "cvodes-forward", rtol=1e-6, atol=1e-4)
    fine = ab.gradient(problem, "cvodes-forward", rtol=1e-6, atol=atol)
    errors = [tiny.log_error(r, problem.reference.dparams, problem.params) for r in (coarse, fine)]
    assert errors[1] < 1e-5 < errors[0]
    with pytest.raises(ValueError, match=r"rtol=.*one relative tolerance"):
        ab.gradient(problem, "cvodes-adjoint", rtol=np.array([1e-3, 1e-4, 1e-3]))


def test_work_is_counted():
    # A loss that is linear in the states takes one taped solve; another one a plain solve before.
    linear = ab.gradient(ab.problems.get("lotka_volterra"), "cvodes-adjoint").stats
    assert linear.reverse_rhs_evals < 5
    assert linear.vjp_evals > linear.reverse_steps > 10
    assert linear.jacobian_evals == linear.linear_solves == 0
    stiff = ab.gradient(ab.problems.get("pendulum"), "cvodes-adjoint", solver="cvodes").stats
    assert stiff.reverse_rhs_evals >= stiff.rhs_evals > stiff.steps > stiff.rejected > 0
    assert stiff.linear_solves > stiff.jacobian_evals > 10
    forward = ab.gradient(ab.problems.get("linear"), "cvodes-forward").stats
    assert forward.jvp_evals >= 6 * forward.rhs_evals > 0
    assert forward.reverse_steps == forward.vjp_evals == 0


@pytest.mark.parametrize(("solver", "library"), [("cvodes-adams", "CV"), ("idas", "IDA")])
@EVERY_METHOD
def test_breakdowns_are_statuses_and_say_nothing_on_the_console(method, solver, library, capfd):
    run = ab.prepare(tiny.blow_up(), method, solver=solver)
    result = run()
    assert (result.status, result.phase) == ("max_steps", "forward")
    assert f"{library}_TOO_MUCH_WORK" in result.message
    assert np.isnan([run.primal(), run.compiled_primal(tiny.blow_up().params, [1.0])]).all()
    assert run(y0=[0.1]).status == "ok"
    assert ab.gradient(tiny.always_nan(), method, solver=solver).status == "nonfinite"
    tight = ab.gradient(tiny.decay(), method, solver=solver, rtol=1e-18, atol=1e-30)
    assert tight.status == "step_too_small"
    assert capfd.readouterr() == ("", "")


def test_max_steps_counts_the_whole_solve():
    problem = ab.problems.get("lorenz")
    steps = ab.gradient(problem, "cvodes-forward").stats.steps
    result = ab.gradient(problem, "cvodes-adjoint", max_steps=steps // 3)
    assert (result.status, result.phase) == ("max_steps", "forward")


def test_the_limit_of_backward_steps_is_told():
    problem = ab.problems.get("robertson")
    run = ab.prepare(problem, "cvodes-adjoint", rtol=1e-12, atol=1e-16)
    result = run()
    assert (result.status, result.phase) == ("max_steps", "reverse")
    assert "500 steps" in result.message
    assert np.isnan(run.compiled(problem.params, problem.y0)[2]).all()


def test_the_first_step_is_honoured():
    steps = [
        ab.gradient(tiny.decay(), "cvodes-forward", rtol=1e-3, first_step=h).stats.steps
        for h in (1e-12, 1e-2)
    ]
    assert steps[0] > steps[1]


@pytest.mark.parametrize(
    ("rhs", "said"),
    [
        (lambda t, y, p: array_namespace(y).cumulative_sum(y), "xp.cumulative_sum has no count"),
        (lambda t, y, p: y if y[0] > 0 else -y, "use xp.where"),
        (lambda t, y, p: np.spacing(y), "xp.spacing has no counterpart"),
        (lambda t, y, p: np.cumsum(y), "xp.cumsum has no counterpart"),
    ],
)
def test_what_has_no_counterpart_is_named(rhs, said):
    with pytest.raises(ValueError, match=rf"write the rhs of problem 'strange'.*{said}"):
        ab.prepare(tiny.decay(name="strange", rhs=rhs), "cvodes-adjoint")


@EVERY_METHOD
def test_a_save_beside_a_discontinuity_by_rounding_is_on_it(method):
    beside = np.nextafter(1.0, 2.0)
    result = ab.gradient(tiny.switch(save_at=[beside, 2.0]), method, rtol=1e-9, atol=1e-12)
    expected = ab.gradient(tiny.switch(save_at=[1.0, 2.0]), method, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(numbers(result), numbers(expected))


def test_times_that_casadi_cannot_tell_apart_are_refused():
    with pytest.raises(ValueError, match=r"closer than 1e-09.*smaller unit"):
        ab.prepare(tiny.decay(save_at=[1.0, 1.0 + 1e-10]), "cvodes-forward")


def test_a_missing_casadi_names_the_extra(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "casadi" else find(name)
    )
    with pytest.raises(
        ValueError, match=r"needs the package casadi.*'\.\[peers\]' in the checkout"
    ):
        ab.prepare(tiny.decay(), "cvodes-adjoint")
