"""Trajectories side by side: each as it is alone, whatever the others beside it do."""

import ctypes

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.jax import solve
from adjointbench.adjoints.native import compiler, source
from adjointbench.adjoints.native import loop as native_loop
from adjointbench.adjoints.native.compiled_loop import CompiledLoop
from adjointbench.adjoints.native.compiler import loaded
from adjointbench.adjoints.native.equations import equations_of
from adjointbench.adjoints.native.operands import Whole, numbers_of, pointers, stop_operands
from adjointbench.adjoints.native.source import source_of
from adjointbench.adjoints.scipy.flat import pack
from adjointbench.adjoints.steps.stops import stops_between
from adjointbench.adjoints.steps.tableaus import tableau

#: The fastest decay takes more.
MAX_STEPS = 200


@pytest.fixture
def compiled_in_haste(monkeypatch):
    """As long programs are."""
    monkeypatch.setattr(compiler, "OPTIMISED_UP_TO", 0)


def doses(**changes):
    """Doses whose decay may blow up, or take many steps; the constants are handed over as data."""
    return tiny.doses(
        name="uneven doses",
        rhs=lambda t, y, p: y * (p["rates"][1] * y - p["rates"][0] * p["table"][3]),
        constants={"table": np.linspace(0.7, 1.7, 20)},
        params={"rates": np.array([0.7, 0.0]), "dose": np.array([1.0, 2.0]), "kept": np.array(0.9)},
        discontinuities=(1.5,),
        **changes,
    )


def uneven(problem, count):
    """Parameters of so many lanes: the third blows up, the last takes too many steps."""
    theta = pack(problem.params) * np.linspace(1.0, 2.0, count)[:, None]
    theta[2:3, 1] = 30.0
    theta[3:][-1:, 0] = 600.0
    return theta


@pytest.mark.parametrize("count", [1, 3, 8, 17])
def test_lanes_are_what_each_is_alone(count):
    problem = doses()
    theta, y0 = uneven(problem, count), np.linspace(0.3, 0.5, count)[:, None]
    loop = CompiledLoop(problem, tableau("tsit5"), 1e-4, 1e-4, max_steps=MAX_STEPS)
    found = loop.lanes(theta, y0)
    alone = [loop(*each) for each in zip(theta, y0, strict=True)]
    assert found.status == tuple(one.status for one in alone)
    if count > 3:
        assert {"ok", "step_too_small", "max_steps"} == set(found.status)
    for name in ("steps", "attempts", "swept", "loss", "dtheta", "dy0"):
        expected = [getattr(one, name) for one in alone]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-12, err_msg=name)


@pytest.mark.usefixtures("compiled_in_haste")
def test_lanes_of_float32():
    problem = doses().with_dtype(np.float32)
    theta, y0 = uneven(problem, 33).astype("f4"), np.linspace(0.3, 0.5, 33, dtype="f4")[:, None]
    loop = CompiledLoop(problem, tableau("tsit5"), 1e-4, 1e-4, max_steps=MAX_STEPS)
    found = loop.lanes(theta, y0)
    for name in ("loss", "dtheta", "dy0"):
        values = getattr(found, name)
        assert values.dtype == np.float32
        expected = [getattr(loop(*each), name) for each in zip(theta, y0, strict=True)]
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("compiled_in_haste")
def test_each_lane_of_a_stiff_problem_has_its_own_pivots():
    problem = ab.problems.get("van_der_pol")
    theta = pack(problem.params) * np.geomspace(1e-3, 1.0, 11)[:, None]
    loop = CompiledLoop(problem, tableau("rodas5p"), 1e-5, 1e-5)
    found = loop.lanes(theta, np.repeat(problem.y0[None], 11, 0))
    for lane, (parameters, steps) in enumerate(zip(theta, found.steps, strict=True)):
        alone = loop(parameters, problem.y0)
        assert (found.status[lane], steps) == ("ok", alone.steps)
        np.testing.assert_allclose(found.dtheta[lane], alone.dtheta, rtol=1e-10)
        np.testing.assert_allclose(found.dy0[lane], alone.dy0, rtol=1e-10)


def called(lanes, theta, dys, dtotals):
    """Counts, saves, gradients and estimates of the doses, by the calls that frameworks make."""
    problem, (count, m) = doses(), theta.shape
    stops = stops_between(problem.discontinuities, problem.jump_times, *problem.t_span, "f8")
    program = source_of(
        equations_of(problem, (0, 1)), tableau("tsit5"), "f8", breaks=True, lanes=lanes
    )
    params = np.column_stack([theta, np.repeat(program.data[None], count, 0)])
    shared = [problem.y0, np.full(1, 1e-4), numbers_of(0.0, None, None, "f8"), problem.save_at]
    shared += stop_operands(stops, "f8")
    start, tolerance, *rest = pointers([x[None] for x in shared], 1)[0]
    rows = [[start, each, tolerance, tolerance, *rest, 0] for each in row_pointers(params)]
    read = np.array(rows, np.uintp)
    found, end = np.zeros((count, 4), np.int32), np.zeros((count, 1))
    ys, steps = np.zeros((count, 6)), np.zeros((count, MAX_STEPS, 2))
    dy0, dp, estimates = np.zeros((count, 1)), np.zeros((count, m)), np.zeros((count, 3))
    none = np.zeros(count, np.uintp)
    of_solve = [row_pointers(array) for array in (found, end, steps)]
    given = [none, row_pointers(dys), row_pointers(dtotals)]
    later = np.column_stack([read, *of_solve, *given])
    whole = Whole(saves=6, jumps_a_stop=1, max_steps=MAX_STEPS, window=MAX_STEPS).array
    for name, entered, written in (
        ("solve", read, [row_pointers(ys), *of_solve, none]),
        ("pull_back", later, [row_pointers(dy0), row_pointers(dp)]),
        ("estimates", later, [row_pointers(estimates)]),
    ):
        out = np.column_stack(written)
        sizes = np.array([count, entered.shape[1], out.shape[1]])
        arrays = (sizes, entered, whole, out)
        getattr(loaded(program.text), name)(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
    return found, ys, steps, end, dy0, dp, estimates[found[:, 0] == 0]


def row_pointers(array):
    """The addresses of the rows of an array."""
    return pointers([array], len(array))[:, 0]


@pytest.mark.usefixtures("compiled_in_haste")
def test_solve_and_pull_back_give_each_lane_what_it_has_alone(monkeypatch):
    """Lanes are filled again as trajectories end, and windows of eight steps taken again; the
    estimates have cotangents too.
    """
    monkeypatch.setattr(source, "GROUP_BYTES", 0)
    theta, rng = np.roll(uneven(doses(), 19), 7, 0), np.random.default_rng(1)
    cotangents = rng.normal(size=(19, 6)), rng.normal(size=(19, 3))
    alone, beside = (called(lanes, theta, *cotangents) for lanes in (False, True))
    assert sorted(set(alone[0][:, 0])) == [0, 1, 2]
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-10)


@pytest.mark.usefixtures("compiled_in_haste")
def test_vmap_of_the_jax_solve_calls_a_program_of_many_lanes(monkeypatch):
    """Over two axes, of which each operand has one or none; some trajectories have a pole."""
    programs, load = [], native_loop.loaded
    monkeypatch.setattr(native_loop, "loaded", lambda text: programs.append(text) or load(text))

    def loss(p, y0):
        def rhs(t, y, p):
            return y * (p[0] * y - p[1])

        return solve(rhs, y0, jnp.array([0.5, 1.0]), p, rtol=1e-5, engine="native").ys.sum()

    with jax.enable_x64(True):
        p, y0 = np.geomspace(0.1, 2.0, 10).reshape(5, 2), np.array([[0.3], [0.7], [20.0]])
        gradient = jax.jit(jax.value_and_grad(loss, (0, 1)))
        beside = jax.vmap(jax.vmap(gradient, (0, None)), (None, 0))(p, y0)
        alone = [gradient(each, start) for start in y0 for each in p]
        alone = jax.tree.map(lambda *lanes: np.stack(lanes), *alone)
    assert ["VECTOR_BYTES / 8" in text for text in programs] == [False, True]
    assert 0 < np.isnan(beside[0]).sum() < 15
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(beside), strict=True):
        np.testing.assert_allclose(np.reshape(other, one.shape), one, rtol=1e-10)
