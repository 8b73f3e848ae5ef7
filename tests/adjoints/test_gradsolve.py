"""gradsolve through its public interface: steps recorded, and replayed."""

import jax
import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab

METHODS = ("gradsolve-record-replay", "gradsolve-replay")
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


def test_gradient_calls_and_the_64_bit_setting():
    problem = tiny.decay()
    run = ab.prepare(problem, METHODS[0], rtol=1e-9, atol=1e-12)
    result = run()
    loss, dk, dy0 = tiny.decay_gradient()
    assert result.loss == pytest.approx(loss, rel=1e-8)
    np.testing.assert_allclose([*result.dparams["k"], *result.dy0], [dk, dy0], rtol=1e-7)
    assert result.stats.steps > 5
    assert not jax.config.read("jax_enable_x64"), "gradsolve switches it on, and it goes back"

    with jax.enable_x64(True):
        arguments = jax.device_put((dict(problem.params), problem.y0))
    loss, dparams, dy0 = run.compiled(*arguments)
    assert (loss.dtype, dparams["k"].dtype, dy0.dtype) == (np.float64,) * 3
    np.testing.assert_array_equal(np.asarray(dparams["k"]), result.dparams["k"])
    assert float(loss) == result.loss == run.primal() == float(run.compiled_primal(*arguments))


@pytest.mark.parametrize("solver", ["vern7", "rodas5p"])
def test_shapes_constants_and_dtype_by_the_other_solvers(solver):
    problem = tiny.oscillators().with_dtype(np.float32)
    result = ab.gradient(problem, METHODS[0], solver=solver, rtol=1e-7, atol=1e-8)
    reference = ab.gradient(tiny.oscillators(), "scipy-forward", rtol=1e-9, atol=1e-11)
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == np.float32
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-6


def test_other_parameters_need_other_steps():
    """A replay with the steps of other parameters is near them right, and elsewhere told."""
    problem = tiny.decay(params={"k": np.array([0.05])})
    replay, anew = (ab.prepare(problem, method) for method in reversed(METHODS))
    assert replay().dparams["k"] == pytest.approx(anew().dparams["k"], rel=1e-12)
    near, far = {"k": [0.06]}, {"k": [8.0]}
    for run in (replay, anew):
        _, dk, _ = tiny.decay_gradient(0.06)
        assert run(near).dparams["k"][0] == pytest.approx(dk, rel=1e-5)
    _, dk, _ = tiny.decay_gradient(8.0)
    assert anew(far).dparams["k"][0] == pytest.approx(dk, rel=1e-5)
    assert anew(far).stats.steps > 2 * replay(near).stats.steps

    told = replay(far)
    assert (told.status, told.phase) == ("failed", "forward")
    assert "times the tolerance" in told.message
    assert "use method='gradsolve-record-replay'" in told.message
    assert np.isnan(told.dparams["k"]).all()
    assert np.isnan(replay.primal(far))
    with jax.enable_x64(True):
        _, bare, _ = replay.compiled({"k": jax.numpy.array([8.0])}, jax.numpy.array([1.5]))
    assert abs(float(bare["k"][0]) / dk - 1) > 1e-3, "told without a look at the error"


@EVERY_METHOD
def test_breakdowns_are_statuses(method):
    run = ab.prepare(tiny.blow_up(), method, max_steps=100)
    result = run()
    assert (result.status, result.phase) == ("max_steps", "forward")
    assert "not finite, which it tells alike" in result.message
    assert np.isnan([result.loss, *result.dy0, run.primal()]).all()
    loss, dparams, dy0 = run.compiled(dict(run.problem.params), run.problem.y0)
    assert np.isnan([loss, *dparams["k"], *dy0]).all()


def test_a_breakdown_of_the_implicit_solver_is_a_status():
    result = ab.gradient(tiny.turns_nan(), METHODS[0], solver="rodas5p")
    assert (result.status, result.phase) == ("step_too_small", "forward")


def test_there_is_room_for_many_steps():
    """More steps than a recording has room for at first, and the room is kept."""
    run = ab.prepare(tiny.decay(), METHODS[0], first_step=1e-9, rtol=1e-13, atol=1e-16)
    _, dk, _ = tiny.decay_gradient()
    run._program.record.room = 8
    assert run().dparams["k"][0] == pytest.approx(dk, rel=1e-9)
    assert run._program.record.room > run().stats.steps


def test_what_it_lacks_is_refused():
    for problem, said in ((tiny.doses(), "jump_times=.*"), (tiny.switch(), "discontinuities=.*")):
        with pytest.raises(ValueError, match=f"{said}; use method='jax-discrete'"):
            ab.prepare(problem, METHODS[0])
    with pytest.raises(ValueError, match=r"rtol has shape \(1,\).*takes one number"):
        ab.prepare(tiny.decay(), METHODS[0], rtol=np.array([1e-6]))
    run = ab.prepare(tiny.decay(), METHODS[0])
    with pytest.raises(ValueError, match=r"outside of compiled programs.*use method='jax-d"):
        run.training_gradient(run.problem.params, run.problem.y0, {}, ())


def test_there_are_few_lengths_of_replays():
    """Each is compiled: within a power of two there are eight, at most an eighth too long."""
    from adjointbench.adjoints.peers.gradsolve_recorder import padded

    lengths = [padded(n) for n in range(1, 1025)]
    assert all(n <= m <= max(n * 1.13, n + 1) for n, m in enumerate(lengths, 1))
    assert len({m for m in lengths if 512 < m <= 1024}) == 8
