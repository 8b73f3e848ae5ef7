"""torchdiffeq and torchode through their public interfaces."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab

torch = pytest.importorskip("torch")
pytest.importorskip("torchdiffeq")
pytest.importorskip("torchode")

BACKPROP = ("torchdiffeq-backprop", "torchode-autodiff")
TORCHDIFFEQ_ADJOINT = ("torchdiffeq-adjoint", "torchdiffeq-seminorm")
ADJOINT = (*TORCHDIFFEQ_ADJOINT, "torchode-backsolve")
METHODS = (*BACKPROP, *ADJOINT)
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
TIGHT = {"rtol": 1e-8, "atol": 1e-10}


@EVERY_METHOD
def test_lotka_volterra_agrees_with_cvodes(method):
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    run = ab.prepare(problem, method, rtol=1e-9, atol=1e-11)
    result = run()
    assert result.status == "ok"
    np.testing.assert_allclose(result.dparams["p"], tiny.LOTKA_VOLTERRA_DP, rtol=1e-6)
    np.testing.assert_allclose(result.dy0, tiny.LOTKA_VOLTERRA_DY0, rtol=1e-6)
    assert run.primal() == result.loss
    assert result.stats.steps > 100
    assert result.stats.derivatives == "torch"


@EVERY_METHOD
@pytest.mark.parametrize("times", [(1.0, 2.0), (0.0, 0.5, 2.0), (0.0, 0.7), (0.0,)])
def test_saves_at_the_start_inside_and_before_the_end(method, times):
    problem = tiny.decay(save_at=np.array(times))
    result = ab.gradient(problem, method, **TIGHT)
    loss, dk, dy0 = tiny.decay_gradient(times=times)
    found = [result.loss, *result.dparams["k"], *result.dy0]
    # They are read off an interpolant, which is of lower order than the step.
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=1e-6)


@EVERY_METHOD
def test_other_inputs_and_bare_tensors(method):
    run = ab.prepare(tiny.decay(), method, **TIGHT)
    run()
    moved = run(params={"k": [0.8]}, y0=[1.1])
    loss, dk, dy0 = tiny.decay_gradient(0.8, 1.1)
    found = [moved.loss, *moved.dparams["k"], *moved.dy0]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=1e-6)
    assert run.primal(params={"k": [0.8]}, y0=[1.1]) == moved.loss

    params, y0 = {"k": torch.tensor([0.8]).double()}, torch.tensor([1.1]).double()
    bare_loss, dparams, bare_dy0 = run.compiled(params, y0)
    assert float(run.compiled_primal(params, y0)) == float(bare_loss) == pytest.approx(loss)
    np.testing.assert_allclose(dparams["k"].numpy(), moved.dparams["k"], rtol=1e-6)
    np.testing.assert_allclose(bare_dy0.numpy(), moved.dy0, rtol=1e-6)
    assert not params["k"].requires_grad


@pytest.mark.parametrize(
    ("method", "solver", "rtol"),
    [
        # The interpolant's error, of fourth order over steps of an eighth-order method.
        ("torchdiffeq-backprop", "dopri8", 1e-4),
        ("torchdiffeq-adjoint", "bosh3", 1e-4),
        ("torchode-autodiff", "dopri5", 1e-6),
        ("torchode-backsolve", "dopri5", 1e-6),
    ],
)
def test_other_solvers(method, solver, rtol):
    result = ab.gradient(tiny.decay(), method, solver=solver, **TIGHT)
    default = ab.gradient(tiny.decay(), method, **TIGHT)
    loss, dk, dy0 = tiny.decay_gradient()
    found = [result.loss, *result.dparams["k"], *result.dy0]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=rtol)
    assert result.loss != default.loss


@EVERY_METHOD
def test_constants_reach_the_equations(method):
    problem = ab.Problem(
        name="driven",
        rhs=lambda t, y, p: p["force"] - p["k"] * y,
        y0=np.zeros(2),
        params={"k": np.array([0.5]), "unused": np.array(3.0)},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys[-1, 0] + ys[-1, 1],
        constants={"force": np.array([1.0, 2.0])},
    )
    # y = force (1 - exp(-k t)) / k
    expected = 3.0 * (np.exp(-0.5) * 1.5 - 1.0) / 0.25
    result = ab.gradient(problem, method, **TIGHT)
    np.testing.assert_allclose(result.dparams["k"], expected, rtol=1e-6)
    assert result.dparams["unused"] == 0.0


@EVERY_METHOD
@pytest.mark.parametrize("times", [(1.0, 3.0), (0.5, 3.0)])
def test_a_discontinuity_is_stepped_onto(method, times):
    result = ab.gradient(tiny.switch(save_at=np.array(times)), method, rtol=1e-5, atol=1e-8)
    # torchdiffeq's adjoint starts at a save on the discontinuity with the slope of its later side,
    # and the error control has to notice.
    rtol = 1e-4 if method in TORCHDIFFEQ_ADJOINT and times[0] == 1.0 else 1e-10
    np.testing.assert_allclose(result.dparams["slopes"], [10 * times[0] + 1.0, 2.0], rtol=rtol)
    assert result.stats.rejected == 0


@EVERY_METHOD
def test_jumps_are_refused(method):
    with pytest.raises(ValueError, match=r"jump_times=\(1.0, 2.0\).*scipy-adjoint"):
        ab.gradient(tiny.doses(), method)


@EVERY_METHOD
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_and_parameters_keep_shapes_order_and_dtype(method, dtype):
    problem = tiny.oscillators().with_dtype(dtype)
    each = np.full(problem.y0.shape, 1e-6)
    result = ab.gradient(problem, method, rtol=1e-5, atol=each, first_step=0.1)
    other = "torchode-autodiff" if method.startswith("torchdiffeq") else "torchdiffeq-backprop"
    reference = ab.gradient(tiny.oscillators(), other, rtol=1e-9, atol=1e-11)
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == dtype
    assert result.dy0.dtype == dtype
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-4


def test_relative_tolerances_per_component():
    each = {"rtol": np.full((2, 3), 1e-6), "atol": np.full((2, 3), 1e-8)}
    for method in ("torchdiffeq-backprop", *TORCHDIFFEQ_ADJOINT):
        several = ab.gradient(tiny.oscillators(), method, **each)
        one = ab.gradient(tiny.oscillators(), method, rtol=1e-6, atol=1e-8)
        assert several.stats.steps == one.stats.steps
        np.testing.assert_allclose(several.dy0, one.dy0, rtol=1e-9)
    with pytest.raises(ValueError, match="torchode takes one number"):
        ab.gradient(tiny.oscillators(), "torchode-autodiff", **each)


@EVERY_METHOD
def test_breakdowns_are_statuses(method):
    run = ab.prepare(tiny.blow_up(), method, rtol=1e-3, atol=1e-6)
    result = run()
    expected = "nonfinite" if method.startswith("torchode") else "step_too_small"
    assert (result.status, result.phase) == (expected, "forward")
    assert np.isnan([result.loss, *result.dparams["k"], *result.dy0]).all()
    assert result.stats.rhs_evals > 100
    assert np.isnan(run.primal())
    arguments = {"k": torch.ones(1).double()}, torch.ones(1).double()
    loss, dparams, dy0 = run.compiled(*arguments)
    assert torch.isnan(torch.cat([loss[None], dparams["k"], dy0])).all()
    assert torch.isnan(run.compiled_primal(*arguments))
    assert run(y0=[1e-3]).status == "ok"


@EVERY_METHOD
def test_a_right_hand_side_without_values_is_a_status(method):
    for problem in (tiny.turns_nan(), tiny.always_nan()):
        result = ab.gradient(problem, method)
        assert result.status in ("nonfinite", "step_too_small")
        assert result.phase == "forward"


@EVERY_METHOD
def test_max_steps_counts_all_of_a_pass(method):
    problem = tiny.decay(save_at=np.linspace(0.2, 2.0, 10))
    stats = ab.gradient(problem, method, rtol=1e-7).stats
    attempts = stats.steps + stats.rejected
    most = max(attempts, stats.reverse_steps + stats.reverse_rejected)
    assert ab.gradient(problem, method, rtol=1e-7, max_steps=most).status == "ok"
    short = ab.gradient(problem, method, rtol=1e-7, max_steps=attempts - 1)
    assert (short.status, short.phase) == ("max_steps", "forward")
    if most > attempts:
        short = ab.gradient(problem, method, rtol=1e-7, max_steps=most - 1)
        assert (short.status, short.phase) == ("max_steps", "reverse")


@EVERY_METHOD
def test_an_error_of_the_equations_is_an_error(method):
    def rhs(t, y, p):
        assert not isinstance(y, torch.Tensor), "not on tensors"
        return -p["k"] * y

    with pytest.raises(ValueError, match="AssertionError: not on tensors"):
        ab.gradient(tiny.decay(rhs=rhs), method)


@EVERY_METHOD
def test_evaluations_are_counted_forward_and_reverse(method):
    calls = 0

    def rhs(t, y, p):
        nonlocal calls
        calls += 1
        return -p["k"] * y

    run = ab.prepare(tiny.decay(rhs=rhs), method)
    calls = 0
    stats = run().stats
    assert stats.rhs_evals + stats.reverse_rhs_evals == calls
    if method in BACKPROP:
        assert (stats.reverse_rhs_evals, stats.reverse_steps) == (0, stats.steps)
    else:
        assert stats.reverse_rhs_evals == stats.vjp_evals > 6 * stats.reverse_steps
    calls = 0
    run.primal()
    assert calls == stats.rhs_evals


def test_an_adjoint_keeps_less_than_a_backprop():
    loose, tight = (
        {
            method: ab.gradient(tiny.decay(), method, rtol=rtol).stats.saved_bytes
            for method in METHODS
        }
        for rtol in (1e-4, 1e-8)
    )
    for method in BACKPROP:
        assert tight[method] > 1.5 * loose[method] > 1000
    for method in ADJOINT:
        assert 0 < tight[method] == loose[method] < 100


@pytest.mark.parametrize("method", ADJOINT)
def test_the_adjoint_has_its_own_tolerance_and_solver(method):
    problem = ab.problems.get("linear")
    _, dparams, _ = problem.exact(problem.params, problem.y0)
    solver = "dopri5" if method.startswith("torchode") else "bosh3"
    loose = ab.gradient(
        problem, method, **TIGHT, adjoint_rtol=1e-3, adjoint_atol=1e-3, adjoint_solver=solver
    )
    assert 1e-7 < tiny.log_error(loose, dparams, problem.params) < 1e-2


def test_torchode_differentiates_its_step_sizes_when_asked():
    held, differentiated = (
        ab.gradient(tiny.decay(), "torchode-autodiff", rtol=1e-3, differentiate_step_size=flag)
        for flag in (False, True)
    )
    assert held.loss == differentiated.loss
    assert held.dparams["k"] != differentiated.dparams["k"]
    np.testing.assert_allclose(held.dparams["k"], differentiated.dparams["k"], rtol=1e-2)


def test_the_adaptive_trap():
    # Sapienza et al., arXiv:2406.09699: true value 212.710425217. A derivative at held steps is
    # wrong at every tolerance, a continuous adjoint is not.
    problem = ab.problems.get("adaptive_ad_trap")
    options = {"first_step": 0.1, "rtol": 1e-5, "atol": 1e-5}
    discrete = ab.gradient(problem, "torchdiffeq-backprop", **options)
    continuous = ab.gradient(problem, "torchdiffeq-adjoint", **options)
    assert discrete.status == continuous.status == "ok"
    assert abs(discrete.dparams["a"].sum() / 212.710425217 - 1) > 1
    assert continuous.dparams["a"].sum() == pytest.approx(212.710425217, rel=1e-2)


def test_saved_bytes_count_a_storage_once_and_inputs_never():
    from adjointbench.adjoints.torch.saved_bytes import SavedBytes

    x = torch.ones(100, dtype=torch.float64, requires_grad=True)
    with SavedBytes(x) as saved:
        # exp keeps its result, of which the product keeps two views; sin and the product keep x.
        e = torch.sin(x).exp()
        loss = (x * e * e.reshape(10, 10).reshape(-1)).sum()
        # Its graph is gone at the end.
        (x * 2).exp().sum()
    kept = 2 * x.nbytes  # e and x * e
    assert saved.total == kept
    (dx,) = torch.autograd.grad(loss, x)
    expected = (1 + 2 * torch.cos(x)) * torch.exp(2 * torch.sin(x))
    torch.testing.assert_close(dx, expected.detach())
