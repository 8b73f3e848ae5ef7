"""Diffrax begun again behind events and jumps: right where its user knows what it needs."""

import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
import tiny_problems as tiny

import adjointbench as ab

RESTARTED = ("diffrax-recursive-checkpoint", "diffrax-direct", "diffrax-forward")

#: For how many events there is room, where it matters.
ROOM = 3


def struck_once(**changes):
    """Decay with a clock, the second state, that adds a stroke when it passes a time.

    Its value goes on through zero: begun again there, it must not be an event once more.
    """

    def strike(t, y, p):
        return jnp.stack([y[0] + p["stroke"], y[1]])

    arguments = {
        "name": "struck once",
        "rhs": lambda t, y, p: jnp.stack([-p["rate"] * y[0], 1.0 + 0 * y[0]]),
        "y0": np.array([np.e, 0.0]),
        "params": {"rate": 1.0, "stroke": 0.25, "at": 1.3},
        "t_span": (0.0, 2.0),
        "save_at": np.array([1.0, 2.0]),
        "loss": lambda ys, p: (ys[:, 0] ** 2).sum() + p["event_times"][0],
        "events": (ab.Event(when=lambda t, y, p: y[1] - p["at"], jump=strike, direction=1),),
        "max_events": ROOM,
    }
    return ab.Problem(**{**arguments, **changes})


def struck_gradient(rate=1.0, stroke=0.25, at=1.3, start=np.e):
    """y(1) = e^(1-r), y(2) = e^(1-2r) + s e^(-r (2 - a)); the clock strikes at a."""
    first, struck = start * np.exp(-rate), np.exp(-rate * (2 - at))
    second = start * np.exp(-2 * rate) + stroke * struck
    return first**2 + second**2 + at, {
        "rate": -2 * first**2
        + 2 * second * (-2 * start * np.exp(-2 * rate) - (2 - at) * stroke * struck),
        "stroke": 2 * second * struck,
        "at": 2 * second * stroke * rate * struck + 1.0,
    }


def test_a_value_that_goes_on_is_one_event():
    found = ab.gradient(struck_once(), "diffrax-forward", rtol=1e-8, atol=1e-11)
    loss, gradient = struck_gradient()
    assert found.status == "ok", found.message
    assert found.loss == pytest.approx(loss, rel=1e-8)
    for name, value in gradient.items():
        np.testing.assert_allclose(found.dparams[name], value, rtol=1e-6)
    # The clock's own start: what it is ahead, it strikes sooner.
    assert found.dy0[1] == pytest.approx(-gradient["at"], rel=1e-6)


@pytest.mark.parametrize(
    ("problem", "method", "message"),
    [
        (struck_once, "diffrax-backsolve", "does not take problem 'struck once', which has events"),
        (tiny.doses, "diffrax-backsolve", r"jump_times=\(1.0, 2.0\).*scipy-adjoint"),
    ],
)
def test_the_continuous_adjoint_is_not_begun_again(problem, method, message):
    with pytest.raises(ValueError, match=message):
        ab.gradient(problem(), method)


def test_regularizers_know_nothing_of_what_is_begun_again():
    with pytest.raises(ValueError, match="jump_times"):
        ab.gradient(tiny.doses(), RESTARTED[0], regularizer="error", coefficient=1.0)


@pytest.mark.long
@pytest.mark.parametrize("method", RESTARTED)
def test_jumps_at_given_times(method):
    found = ab.gradient(tiny.doses(), method, rtol=1e-9, atol=1e-12)
    k, dose1, dose2, kept, y0 = tiny.doses_gradient()
    np.testing.assert_allclose(found.dparams["k"], [k], rtol=1e-7)
    np.testing.assert_allclose(found.dparams["dose"], [dose1, dose2], rtol=1e-7)
    np.testing.assert_allclose(found.dparams["kept"], [kept], rtol=1e-7)
    np.testing.assert_allclose(found.dy0, [y0], rtol=1e-7)


@pytest.mark.long
def test_more_events_than_there_is_room_for_are_a_status():
    ball = dataclasses.replace(
        ab.problems.get("bouncing_ball"),
        max_events=ROOM,
        loss=lambda ys, p: (ys**2).sum(),
        exact=None,
    )
    found = ab.gradient(ball, RESTARTED[0])
    assert (found.status, found.phase) == ("max_events", "forward")
    assert np.isnan(found.loss)


@pytest.mark.long
def test_a_truth_value_is_rounded_to_the_step_whatever_root_finder_is_given():
    """Diffrax itself, as its documentation says: the reason why conditions here are numbers."""
    problem = ab.problems.get("falling_time")
    time, dparams, _ = problem.exact(problem.params, problem.y0)

    def event_time(params, condition):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(problem.rhs),
            diffrax.Tsit5(),
            *problem.t_span,
            dt0=None,
            y0=jnp.asarray(problem.y0),
            args=params,
            event=diffrax.Event(condition, optimistix.Newton(1e-12, 1e-12)),
            stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-11),
        )
        return solution.ts[0]

    with jax.enable_x64(True):
        params = {name: jnp.asarray(value) for name, value in problem.params.items()}
        for condition, right in (
            (lambda t, y, args, **_: y[0], True),
            (lambda t, y, args, **_: y[0] < 0, False),
        ):
            found, slopes = jax.value_and_grad(event_time)(params, condition)
            assert (abs(found / time - 1) < 1e-8) == right
            if right:
                np.testing.assert_allclose(slopes["drag"], dparams["drag"], rtol=1e-6)
            else:
                assert slopes["drag"] == 0.0
