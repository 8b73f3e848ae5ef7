"""The stepping loop over SciPy's solvers, and the segments of a span."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from adjointbench.adjoints.scipy.counted import Counts
from adjointbench.adjoints.scipy.integrate import Options, integrate
from adjointbench.adjoints.scipy.segments import make_schedule

METHODS = {"rk45": "RK45", "dop853": "DOP853", "radau": "Radau", "bdf": "BDF", "lsoda": "LSODA"}


def oscillate(t, y):
    return np.array([y[1], -y[0]])


def options(solver, **changes):
    return Options(**{"solver": solver, "rtol": 1e-7, "atol": 1e-10, "max_steps": 10000, **changes})


@pytest.mark.parametrize("solver", METHODS)
@pytest.mark.parametrize("t1", [7.0, -7.0])
def test_the_same_solution_as_solve_ivp(solver, t1):
    save_at, y0, counts = [0.1 * t1, 0.5 * t1, 0.9 * t1], np.array([1.0, 0.5]), Counts()
    piece = integrate(oscillate, 0.0, t1, y0, options(solver), counts, save_at=save_at, keep=True)
    theirs = solve_ivp(
        oscillate, (0.0, t1), y0, method=METHODS[solver], rtol=1e-7, atol=1e-10, dense_output=True
    )
    assert piece.status == "ok"
    assert counts.steps == len(theirs.t) - 1
    np.testing.assert_allclose(piece.y, theirs.y[:, -1], rtol=1e-12)
    np.testing.assert_allclose(piece.saved, theirs.sol(np.array(save_at)).T, rtol=1e-10)
    np.testing.assert_allclose(piece.dense()(0.3 * t1), theirs.sol(0.3 * t1), rtol=1e-10)


@pytest.mark.parametrize(("solver", "stages"), [("rk45", 6), ("dop853", 12)])
def test_rejected_steps_are_found_from_the_evaluations(solver, stages):
    def kick(t, y):
        return -y + 1e3 * np.exp(-((t - 3.0) ** 2) * 1e4)

    counts = Counts()
    integrate(kick, 0.0, 6.0, np.array([1.0]), options(solver), counts)
    assert counts.rejected > 5
    assert counts.rhs_evals == 2 + stages * (counts.steps + counts.rejected)


def test_multistep_solvers_do_not_tell_rejected_steps():
    counts = Counts()
    integrate(oscillate, 0.0, 1.0, np.array([1.0, 0.0]), options("bdf"), counts)
    assert counts.rejected is None


@pytest.mark.parametrize("solver", METHODS)
def test_a_jacobian_is_used_and_counted_by_implicit_solvers(solver):
    calls, counts = [], Counts()

    def stiff(t, y):
        return -1e5 * (y - np.cos(t))

    def jacobian(t, y):
        calls.append(t)
        return np.array([[-1e5]])

    piece = integrate(stiff, 0.0, 1e-2, np.array([2.0]), options(solver), counts, jacobian=jacobian)
    assert piece.y == pytest.approx(np.cos(1e-2), abs=1e-5)
    assert counts.jacobian_evals == len(calls)
    assert (counts.jacobian_evals > 0) == (solver in ("radau", "bdf", "lsoda"))
    assert (counts.linear_solves > 0) == (solver in ("radau", "bdf", "lsoda"))


@pytest.mark.parametrize("solver", ["radau", "bdf", "lsoda"])
def test_a_jacobian_that_is_not_finite_is_a_status(solver):
    def stiff(t, y):
        return -1e5 * (y - np.cos(t))

    counts = Counts()
    piece = integrate(
        stiff, 0.0, 1.0, np.array([2.0]), options(solver), counts,
        jacobian=lambda t, y: np.array([[np.nan]]),
    )  # fmt: skip
    assert piece.status == "nonfinite"


@pytest.mark.parametrize("solver", METHODS)
def test_an_error_of_the_users_own_function_is_not_swallowed(solver):
    def broken(t, y):
        if t > 0.5:
            raise ValueError("the user's own")
        return -y

    with pytest.raises(ValueError, match="the user's own"):
        integrate(broken, 0.0, 1.0, np.array([1.0]), options(solver), Counts())


@pytest.mark.parametrize("solver", METHODS)
def test_the_limit_of_steps_counts_over_all_pieces(solver):
    counts, y0 = Counts(), np.array([1.0, 0.0])
    limited = options(solver, max_steps=40)
    statuses = [integrate(oscillate, 0.0, 1.0, y0, limited, counts).status for _ in range(12)]
    assert statuses[0] == "ok"
    assert statuses[-1] == "max_steps"
    assert counts.attempts <= 40 + 2


def test_complex_states():
    counts = Counts()
    y0 = np.array([1.0 + 1e-30j])
    for solver in ("rk45", "dop853", "bdf"):
        piece = integrate(lambda t, y: -y, 0.0, 1.0, y0, options(solver), counts)
        assert piece.y.imag * 1e30 == pytest.approx(np.exp(-1), rel=1e-5)


def test_segments_meet_saves_jumps_and_discontinuities():
    plan = make_schedule(0.0, np.array([0.0, 0.5, 1.0, 1.5, 3.0]), (1.0, 2.5), (1.5, 2.5, 4.0))
    assert plan.start_saves == (0,)
    spans = [(s.start, s.stop) for s in plan.segments]
    assert spans == [(0.0, 1.0), (1.0, 1.5), (1.5, 2.5), (2.5, 3.0)]
    assert [s.saves for s in plan.segments] == [(1,), (), (), ()]
    assert [s.end_saves for s in plan.segments] == [(2,), (3,), (), (4,)]
    assert [s.jumps for s in plan.segments] == [(), (0,), (1,), ()]
    assert plan.jumps == ((0, 1.5), (1, 2.5))


def test_the_right_hand_side_stays_inside_its_segment():
    plan = make_schedule(0.0, np.array([2.0]), (1.0,))
    seen = [s.clip(lambda t, y: t) for s in plan.segments]
    before, after = ([f(t, None) for t in (-1.0, 0.0, 0.5, 1.0, 2.0, 9.0)] for f in seen)
    assert before == [0.0, 0.0, 0.5, np.nextafter(1.0, 0), np.nextafter(1.0, 0), np.nextafter(1, 0)]
    assert after == [np.nextafter(1.0, 2)] * 4 + [2.0, 2.0]


def test_a_save_at_the_start_alone_needs_no_step():
    plan = make_schedule(1.0, np.array([1.0]))
    assert plan.segments == ()
    assert plan.start_saves == (0,)
