"""SciPy's solvers inside JAX programs."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_problems as tiny
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench.adjoints.jax.blackbox import blackbox_solve
from adjointbench.adjoints.jax.callback_arrays import INTEGER, Parcel
from adjointbench.adjoints.jax.callback_thread import DONE, Dialogues
from adjointbench.adjoints.result import STATUSES

SOLVERS = ("rk45", "dop853", "radau", "bdf", "lsoda")
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


def decay(t, y, k):
    return -k * y


def decay_loss(k, y0, **options):
    ys = blackbox_solve(decay, y0, (1.0, 2.0), k, **{**TIGHT, **options}).ys
    return (ys**2).sum() + k.sum()


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def values(k=0.5, y0=1.5):
    return jnp.array([k]), jnp.array([y0])


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_under_jit(solver, x64):
    gradient = jax.jit(
        jax.value_and_grad(lambda k, y0: decay_loss(k, y0, solver=solver), argnums=(0, 1))
    )
    for k in (0.5, 0.8):
        loss, (dk, dy0) = gradient(*values(k))
        found = [float(loss), float(dk[0]), float(dy0[0])]
        np.testing.assert_allclose(found, tiny.decay_gradient(k=k), rtol=1e-6)


def test_vmap_of_grad_and_grad_of_vmap(x64):
    ks = jnp.array([[0.2], [0.5], [0.9]])
    y0 = jnp.array([1.5])
    expected = [tiny.decay_gradient(k=float(k[0]))[1] for k in ks]
    of_grad = jax.jit(jax.vmap(jax.grad(decay_loss), in_axes=(0, None)))(ks, y0)
    grad_of = jax.grad(lambda ks: jax.vmap(decay_loss, in_axes=(0, None))(ks, y0).sum())(ks)
    np.testing.assert_allclose(of_grad[:, 0], expected, rtol=1e-7)
    np.testing.assert_array_equal(of_grad, grad_of)


def test_vmap_over_start_values_and_a_batch_of_one(x64):
    starts = jnp.array([[1.0], [1.5]])
    k = jnp.array([0.5])
    found = jax.vmap(jax.grad(decay_loss, argnums=1), in_axes=(None, 0))(k, starts)
    expected = [tiny.decay_gradient(y0=float(y[0]))[2] for y in starts]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-7)
    one = jax.vmap(jax.grad(decay_loss, argnums=1), in_axes=(None, 0))(k, starts[:1])
    np.testing.assert_array_equal(one, found[:1])


def test_pytrees_of_parameters_with_integers(x64):
    def rhs(t, y, p):
        rate, (scale, power) = p["rate"], p["others"]
        assert power.dtype == np.int64
        return -rate * scale * y * array_namespace(y).astype(power[:1] - 1, y.dtype) * y

    def loss(p, y0):
        return blackbox_solve(rhs, y0, (1.0,), p, **TIGHT).ys.sum()

    # y' = -c y^2: y(1) = y0 / (1 + c y0), with c = rate * scale.
    p = {"rate": jnp.array(0.5), "others": (jnp.array([[2.0]]), jnp.array([2, 7]))}
    y0 = jnp.array([[1.5]])
    found = jax.grad(loss, allow_int=True)(p, y0)
    dc = -(1.5**2) / (1 + 1.5) ** 2
    assert found["rate"] == pytest.approx(2.0 * dc, rel=1e-7)
    assert found["others"][0].shape == (1, 1)
    assert found["others"][0][0, 0] == pytest.approx(0.5 * dc, rel=1e-7)
    assert found["others"][1].dtype == jax.dtypes.float0


def test_float32_without_64_bit_mode():
    assert not jax.config.jax_enable_x64
    k, y0 = jnp.array([0.5]), jnp.array([1.5])
    loss, (dk, dy0) = jax.jit(jax.value_and_grad(decay_loss, argnums=(0, 1)))(k, y0)
    assert (loss.dtype, dk.dtype, dy0.dtype) == (jnp.float32,) * 3
    found = [float(loss), float(dk[0]), float(dy0[0])]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-6)
    assert not jax.config.jax_enable_x64


def test_a_program_compiled_in_64_bit_mode_keeps_its_digits_outside():
    with jax.enable_x64(True):
        arguments = values()
        program = jax.jit(jax.grad(decay_loss)).lower(*arguments).compile()
    found = program(*arguments)
    assert found.dtype == np.float64
    assert float(np.asarray(found)[0]) == pytest.approx(tiny.decay_gradient()[1], rel=1e-9)


def test_an_error_of_the_users_own_function_comes_out(x64):
    def broken(t, y, k):
        if isinstance(y, np.ndarray) and t > 0.5:
            raise ArithmeticError("the user's own")
        return -k * y

    k, y0 = values()
    with pytest.raises(Exception, match="the user's own"):
        jax.block_until_ready(blackbox_solve(broken, y0, (1.0,), k).ys)


def test_jumps_and_discontinuities(x64):
    problem = tiny.doses()

    def loss(p, y0):
        solution = blackbox_solve(
            problem.rhs, y0, problem.save_at, p,
            jump=problem.jump, jump_times=problem.jump_times, discontinuities=(0.2,), **TIGHT,
        )  # fmt: skip
        return problem.loss(solution.ys, p)

    p = {name: jnp.asarray(value) for name, value in problem.params.items()}
    dp, dy0 = jax.grad(loss, argnums=(0, 1))(p, jnp.asarray(problem.y0))
    found = [*dp["k"], *dp["dose"], *dp["kept"], *dy0]
    np.testing.assert_allclose(found, tiny.doses_gradient(), rtol=1e-7)


def test_a_breakdown_is_a_status_and_nan(x64):
    problem = tiny.blow_up()

    def solve(k):
        p = {"k": k}
        return blackbox_solve(problem.rhs, jnp.array([1.0]), (2.0,), p)

    k = jnp.array([1.0])
    solution = jax.jit(solve)(k)
    assert STATUSES[int(solution.status)] == "step_too_small"
    assert np.isnan(solution.ys).all()
    assert np.isnan(jax.grad(lambda k: solve(k).ys.sum())(k)).all()
    short = blackbox_solve(decay, jnp.array([1.0]), (9.0,), k, max_steps=2)
    assert STATUSES[int(short.status)] == "max_steps"


def test_counts_of_the_forward_solve(x64):
    solution = blackbox_solve(decay, jnp.array([1.0]), (2.0,), jnp.array([0.5]), solver="rk45")
    attempts = int(solution.steps) + int(solution.rejected)
    assert int(solution.rhs_evals) == 2 + 6 * attempts
    bdf = blackbox_solve(decay, jnp.array([1.0]), (2.0,), jnp.array([0.5]), solver="bdf")
    assert int(bdf.rejected) == -1


def test_what_makes_no_sense_is_refused(x64):
    k, y0 = values()
    with pytest.raises(ValueError, match=r"solver='rk4'.*did you mean 'rk45'"):
        blackbox_solve(decay, y0, (1.0,), k, solver="rk4")
    with pytest.raises(ValueError, match=r"save_at=.*decrease"):
        blackbox_solve(decay, y0, (1.0, 0.5), k)
    with pytest.raises(ValueError, match=r"save_at=.*t0=2.0"):
        blackbox_solve(decay, y0, (1.0,), k, t0=2.0)
    with pytest.raises(ValueError, match="save_at is traced"):
        jax.jit(lambda times: blackbox_solve(decay, y0, times, k).ys)(jnp.array([1.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 3, 20000])
def test_arrays_travel_unchanged(dtype, size):
    with jax.enable_x64(True):
        vector = np.random.default_rng(0).normal(size=(size, 1)).astype(dtype)
        parcel = Parcel(INTEGER, jax.ShapeDtypeStruct((size, 1), dtype))
        sent = parcel.send(jnp.int32(-7), jnp.asarray(vector))
        # JAX makes float32 of float64 on the way to a callback, and hangs on 100 kB.
        assert all(piece.nbytes < 100_000 and piece.dtype == np.uint32 for piece in sent)
        number, landed = parcel.land(sent)
        assert number == -7
        assert landed.dtype == np.float64
        np.testing.assert_array_equal(landed, vector)
        number, back = parcel.receive(jnp.asarray(parcel.pack(-7, landed)))
        assert (int(number), back.dtype) == (-7, dtype)
        np.testing.assert_array_equal(back, vector)


def test_a_dialogue_asks_answers_and_repeats_itself():
    dialogues = Dialogues()

    def compute(ask):
        return [ask(3, np.array([1.0])), ask(4, np.array([2.0]))]

    number = dialogues.begin(compute)
    assert dialogues.question(number, 0) == (3, np.array([1.0]))
    assert dialogues.question(number, 0) == (3, np.array([1.0]))
    for _ in range(2):
        assert dialogues.question(number, 1, np.array([10.0])) == (4, np.array([2.0]))
    assert dialogues.question(number, 2, np.array([20.0])) == (DONE, [10.0, 20.0])
    assert dialogues.result(number, 2) == [10.0, 20.0]
    with pytest.raises(KeyError):
        dialogues.result(number, 2)


def test_an_error_in_a_dialogue_comes_out_of_it():
    dialogues = Dialogues()

    def compute(ask):
        raise ArithmeticError("inside")

    number = dialogues.begin(compute)
    with pytest.raises(ArithmeticError, match="inside"):
        dialogues.question(number, 0)


def test_agreement_with_the_adjoint_outside_jax():
    problem = ab.problems.get("cubic_spiral")
    inside = ab.gradient(problem, "jax-blackbox", rtol=1e-8, atol=1e-10)
    outside = ab.gradient(problem, "scipy-adjoint", rtol=1e-8, atol=1e-10)
    assert tiny.log_error(inside, outside.dparams, problem.params) < 1e-10
    assert inside.stats.reverse_steps == outside.stats.reverse_steps
    assert inside.stats.vjp_evals == outside.stats.vjp_evals
    # It solves forward once more in the reverse pass.
    assert inside.stats.reverse_rhs_evals == inside.stats.rhs_evals


def test_the_bare_call_on_arrays_of_jax():
    problem = tiny.decay()
    run = ab.prepare(problem, "jax-blackbox", **TIGHT)
    with jax.enable_x64(True):
        params, y0 = jax.device_put((dict(problem.params), problem.y0))
    loss, dparams, dy0 = run.compiled(params, y0)
    found = [np.asarray(v).item() for v in (loss, dparams["k"], dy0)]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-7)


def test_results_live_on_the_device_asked_for():
    problem = tiny.decay()
    run = ab.prepare(problem, "jax-blackbox", device="cpu:1", **TIGHT)
    with jax.enable_x64(True):
        params, y0 = jax.device_put((dict(problem.params), problem.y0), jax.devices("cpu")[1])
    for value in jax.tree.leaves(run.compiled(params, y0)):
        assert value.devices() == {jax.devices("cpu")[1]}
    with pytest.raises(ValueError, match="device='cpu:9'"):
        ab.prepare(problem, "jax-blackbox", device="cpu:9")


RUNNING_AHEAD = """
    import os, sys
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
    import faulthandler
    faulthandler.dump_traceback_later(100, exit=True)
    import jax, jax.numpy as jnp, numpy as np
    from adjointbench.adjoints.jax.blackbox import blackbox_solve

    def rhs(t, y, w):
        return y @ w - y

    def loss(w, y0):
        return (blackbox_solve(rhs, y0, (0.3,), w, rtol=1e-3, atol=1e-3).ys ** 2).mean()

    n, batch = 300, 50
    gradient = jax.jit(jax.grad(loss))
    with jax.enable_x64(True):
        w, y0 = jnp.asarray(np.random.default_rng(0).normal(size=(n, n)) / n), jnp.ones((batch, n))
        direction, h = jnp.ones_like(w), 1e-3
        for turn in range(8):
            for i in range(5):
                dw = gradient(w + i * 1e-3, y0)
            last = w + 4e-3
            difference = loss(last + h * direction, y0) - loss(last - h * direction, y0)
        print(float((dw * direction).sum()), float(difference / (2 * h)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("cores", ["1", "2"])
def test_no_deadlock_where_the_main_thread_runs_ahead(cores):
    # 720 kB of parameters and 120 kB of state: above 100 kB JAX leaves a transfer to its pool.
    # And nothing waits for a gradient before the next operations are dispatched: a callback that
    # started a JAX computation itself hung here, on one core and on two.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RUNNING_AHEAD), cores],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found, difference = map(float, done.stdout.split())
    assert found == pytest.approx(difference, rel=1e-2)


def test_the_first_step_that_was_asked_for_is_taken(x64):
    k, y0 = values()
    own = blackbox_solve(decay, y0, (2.0,), k, solver="rk45")
    small = blackbox_solve(decay, y0, (2.0,), k, solver="rk45", first_step=1e-6)
    assert int(small.steps) > int(own.steps)
