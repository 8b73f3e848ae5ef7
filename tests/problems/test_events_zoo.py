"""Problems with events and moving times: their closed forms against a solver of this folder."""

import numpy as np
import pytest
from event_solver import loss_of, solved

from adjointbench import problems

NAMES = (*problems.names(tag="events"), *problems.names(tag="switching"))

#: How many events there are.
EVENTS = {
    "bouncing_ball": 20,
    "threshold_dose": 6,
    "relay_oscillator": 10,
    "integrate_and_fire": 8,
    "falling_time": 1,
}


def moved(problem, key, index, by):
    """The problem's parameters and start value, one entry of one of them moved."""
    arrays = {k: v.copy() for k, v in problem.params.items()} | {"y0": problem.y0.copy()}
    arrays[key][index] += by
    y0 = arrays.pop("y0")
    return arrays, y0


def entries(problem):
    arrays = {**problem.params, "y0": problem.y0}
    return [(key, index) for key, value in arrays.items() for index in np.ndindex(value.shape)]


def slope(problem, key, index, loss):
    """Differences of two sizes, extrapolated."""
    value = {**problem.params, "y0": problem.y0}[key][index]
    step = 1e-4 * max(0.1, abs(value))

    def central(h):
        ends = [loss(*moved(problem, key, index, s * h)) for s in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h)

    rough, fine = central(step), central(step / 2)
    return fine + (fine - rough) / 3


@pytest.mark.parametrize("name", NAMES)
def test_the_closed_form_is_what_another_solver_finds(name):
    problem = problems.get(name)
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)
    assert loss_of(problem, problem.params, problem.y0) == pytest.approx(loss, rel=1e-9)
    gradient = {**dparams, "y0": dy0}
    for key, index in entries(problem):
        found = slope(problem, key, index, lambda *at: loss_of(problem, *at))
        assert gradient[key][index] == pytest.approx(found, rel=1e-5), key


@pytest.mark.parametrize("name", NAMES)
def test_the_closed_form_is_the_derivative_of_itself(name):
    problem = problems.get(name)
    _, dparams, dy0 = problem.exact(problem.params, problem.y0)
    gradient = {**dparams, "y0": dy0}
    for key, index in entries(problem):
        found = slope(problem, key, index, lambda *at: problem.exact(*at)[0])
        assert gradient[key][index] == pytest.approx(found, rel=1e-7), key


@pytest.mark.parametrize("name", NAMES)
def test_no_event_is_near_a_save_or_the_end(name):
    """There nothing is defined, and a rough tolerance would move one past the other."""
    problem = problems.get(name)
    _, times = solved(problem, problem.params, problem.y0, rtol=1e-9, atol=1e-10)
    assert len(times) == EVENTS.get(name, 0)
    stops = [*problem.save_at, *problem.t_span]
    gaps = [abs(time - stop) for time in times for stop in stops]
    assert min(gaps, default=1.0) > 5e-3 * problem.t_span[1]


@pytest.mark.parametrize("name", problems.names(tag="switching"))
def test_the_time_that_moves_is_a_parameter(name):
    problem = problems.get(name)
    (time,) = (*problem.discontinuities, *problem.jump_times)
    assert time in problem.params.values()
    assert np.min(np.abs(problem.save_at - time)) > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"bounces": 0}, "bounces=0 must be"), ({"restitution": 1.5}, "restitution=1.5 must be")],
)
def test_a_ball_that_cannot_bounce_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        problems.get("bouncing_ball", **settings)


@pytest.mark.parametrize("bounces", [1, 5, 100])
def test_a_ball_bounces_as_often_as_is_asked(bounces):
    problem = problems.get("bouncing_ball", bounces=bounces, restitution=0.95)
    assert problem.max_events >= bounces
    _, dparams, _ = problem.exact(problem.params, problem.y0)
    assert np.isfinite(dparams["restitution"])
