"""``gradient`` and ``prepare``: the contract of the public interface, for the PyTorch methods."""

from functools import cache

import numpy as np
import pytest
import tiny_problems as tiny
import torch
from tiny_problems import decay, decay_gradient, doses, doses_gradient

import adjointbench as ab

OWN = [m.name for m in ab.methods(backend="torch") if m.target.startswith("torch.program")]
EVERY = pytest.mark.parametrize("method", OWN)


def test_the_families_of_jax_are_there():
    assert set(OWN) == {
        "torch-discrete",
        "torch-tape",
        "torch-forward",
        "torch-backsolve",
        "torch-backsolve-seminorm",
        "torch-interpolating",
        "torch-quadrature",
    }


@EVERY
def test_decay_has_its_elementary_gradient(method):
    result = ab.gradient(decay(), method, rtol=1e-9, atol=1e-12)
    loss, dk, dy0 = decay_gradient()
    assert (result.status, result.phase) == ("ok", None)
    assert result.loss == pytest.approx(loss, rel=1e-8)
    np.testing.assert_allclose(result.dparams["k"], [dk], rtol=1e-7)
    np.testing.assert_allclose(result.dy0, [dy0], rtol=1e-7)
    assert result.dparams["k"].dtype == np.float64


@EVERY
def test_doses_jump_in_state_and_adjoint(method):
    result = ab.gradient(doses(), method, rtol=1e-9, atol=1e-12)
    found = [*result.dparams["k"], *result.dparams["dose"], *result.dparams["kept"], *result.dy0]
    np.testing.assert_allclose(found, doses_gradient(), rtol=1e-6)


@EVERY
def test_a_prepared_run_takes_other_inputs_and_bare_tensors(method):
    run = ab.prepare(decay(), method, rtol=1e-9, atol=1e-12)
    result = run(params={"k": [0.8]}, y0=[2.0])
    loss, dk, dy0 = decay_gradient(0.8, 2.0)
    found = [result.loss, *result.dparams["k"], *result.dy0]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=1e-7)
    assert run.primal(params={"k": [0.8]}, y0=[2.0]) == pytest.approx(loss, rel=1e-8)
    k, y0 = (torch.tensor([x], dtype=torch.float64) for x in (0.8, 2.0))
    value, dparams, slope = run.compiled({"k": k}, y0)
    assert not value.requires_grad
    np.testing.assert_allclose([value, *dparams["k"], *slope], [loss, dk, dy0], rtol=1e-7)


@EVERY
@pytest.mark.parametrize(
    ("rhs", "options", "statuses"),
    [
        (lambda t, y, p: 4 * p["k"] * y * y, {}, {"step_too_small", "nonfinite"}),
        (lambda t, y, p: y * (0 * t) / (0 * t), {}, {"nonfinite"}),
        (lambda t, y, p: -p["k"] * y, {"max_steps": 2, "rtol": 1e-10}, {"max_steps"}),
    ],
)
def test_a_breakdown_is_a_result(method, rhs, options, statuses):
    problem = decay(rhs=rhs, loss=lambda ys, p: ys.sum())
    result = ab.gradient(problem, method, **options)
    assert result.status in statuses
    assert result.phase == "forward"
    assert result.message
    assert np.isnan(result.dparams["k"]).all()
    assert np.isnan(result.dy0).all()


REGULARIZED = {"coefficient": 0.3, "rtol": 1e-3, "atol": 1e-5}


@cache
def regularized_by_jax(regularizer):
    problem = ab.problems.get("lotka_volterra", t_end=2.0)
    return ab.gradient(problem, "jax-discrete", regularizer=regularizer, **REGULARIZED)


@cache
def truth_of_oscillators():
    return ab.gradient(tiny.oscillators(), "jax-discrete", rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "regularizer"),
    [
        ("torch-discrete", "error"),
        ("torch-discrete", "error_squared"),
        ("torch-discrete", "stiffness"),
        ("torch-tape", "error"),
        ("torch-forward", "stiffness"),
    ],
)
def test_a_regularizer_is_that_of_jax(method, regularizer):
    problem = ab.problems.get("lotka_volterra", t_end=2.0)
    options = {"regularizer": regularizer, **REGULARIZED}
    ours = ab.gradient(problem, method, **options)
    theirs = regularized_by_jax(regularizer)
    plain = ab.gradient(problem, method, rtol=1e-3, atol=1e-5)
    assert ours.loss != plain.loss
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-10)
    np.testing.assert_allclose(ours.dparams["p"], theirs.dparams["p"], rtol=1e-8)


@EVERY
def test_float32_and_batched_states(method):
    problem = tiny.oscillators().with_dtype(np.float32)
    result = ab.gradient(problem, method, rtol=1e-5, atol=1e-6)
    truth = truth_of_oscillators()
    assert result.dy0.dtype == np.float32
    assert result.dy0.shape == problem.y0.shape
    np.testing.assert_allclose(result.dy0, truth.dy0, rtol=2e-3, atol=1e-4)


def test_the_tape_keeps_ten_times_as_much():
    problem = ab.problems.get("lotka_volterra")
    swept = ab.gradient(problem, "torch-discrete", engine="torch").stats.saved_bytes
    assert 0 < 10 * swept < ab.gradient(problem, "torch-tape").stats.saved_bytes


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "torch-discret"}, "did you mean 'torch-discrete'"),
        ({"solver": "kvaerno3"}, "did you mean 'kvaerno5'"),
        ({"device": "cuda:7"}, "this machine lacks it; PyTorch sees cpu"),
        ({"differentiate_step_size": True}, "use one of: jax-discrete, jax-forward, torch-tape"),
        ({"method": "torch-tape", "compile": True}, "use one of: torch-discrete"),
        ({"method": "torch-backsolve", "regularizer": "error"}, "use one of: jax-discrete"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(options, match):
    with pytest.raises(ValueError, match=match):
        ab.gradient(decay(), **{"method": "torch-discrete", **options})


def test_without_a_compiler_it_runs_eagerly_and_says_why(monkeypatch):
    monkeypatch.setenv("PATH", "")
    result = ab.gradient(decay(), "torch-discrete", compile=True, rtol=1e-9, atol=1e-12)
    assert "no C++ compiler was found" in result.stats.compiled
    np.testing.assert_allclose(result.dparams["k"], [decay_gradient()[1]], rtol=1e-7)


@EVERY
@pytest.mark.parametrize("solver", ["tsit5", "rodas5p"])
def test_a_state_that_is_one_number(method, solver):
    problem = decay(
        y0=np.array(1.5), params={"k": np.array(0.5)}, loss=lambda ys, p: (ys**2).sum() + p["k"]
    )
    result = ab.gradient(problem, method, solver=solver, rtol=1e-8, atol=1e-11)
    loss, dk, dy0 = decay_gradient()
    assert result.status == "ok"
    assert result.dy0.shape == result.dparams["k"].shape == ()
    found = [result.loss, float(result.dparams["k"]), float(result.dy0)]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=1e-6)
