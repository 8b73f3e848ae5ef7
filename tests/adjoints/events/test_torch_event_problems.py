"""Problems with events and moving times by the adjoints of the open PyTorch solver."""

import numpy as np
import pytest
from array_api_compat import array_namespace
from closed_forms import BALL, SWITCHED, bounces, flight, slopes, switched

import adjointbench as ab

TIGHT = {"rtol": 1e-10, "atol": 1e-12, "solver": "dop853"}
CLOSE = {"rtol": 1e-8, "atol": 0.0}
METHODS = [m.name for m in ab.methods(backend="torch") if "events" in m.models]
EVERY = pytest.mark.parametrize("method", METHODS)
#: Forward mode takes several times as long as the others, which its solves are tested with.
MOST = [pytest.param(m, marks=pytest.mark.long) if m == "torch-forward" else m for m in METHODS]
#: Between the second bounce and the third.
END = 1.7


def ball(**options):
    """A loss of the time of the second bounce, and of height and speed at the end."""

    def jump(t, y, p):
        return array_namespace(y).stack([0 * y[0], -p["restitution"] * y[1]])

    return ab.Problem(
        name="dropped",
        rhs=lambda t, y, p: array_namespace(y).stack([y[1], 0 * y[0] - p["gravity"]]),
        y0=np.array([BALL[2], 0.0]),
        params={"gravity": np.array(BALL[0]), "restitution": np.array(BALL[1])},
        t_span=(0.0, END),
        loss=lambda ys, p: 2 * p["event_times"][1:2].sum() + ys[0, 0] - 3 * ys[0, 1],
        events=[ab.Event(when=lambda t, y, p: y[0], jump=jump, direction=-1)],
        **{"max_events": 4, **options},
    )


def loss_of_ball(x):
    end = flight(x, 2, END)
    return 2 * bounces(x, 2)[0, 1] + end[0] - 3 * end[1]


def changed(**options):
    """Decay whose rate changes at a time that is a parameter, and to which is added at another."""

    def rhs(t, y, p):
        rate = array_namespace(y).where(t < p["change"], p["before"], p["behind"])
        return -rate * y

    names = ("change", "before", "behind", "time", "amount")
    return ab.Problem(
        name="changed",
        rhs=rhs,
        y0=np.array([SWITCHED[-1]]),
        params=dict(zip(names, map(np.array, SWITCHED), strict=False)),
        t_span=(0.0, 2.0),
        save_at=np.array([0.5, 1.0, 2.0]),
        loss=lambda ys, p: (ys**2).sum(),
        discontinuities=("change", 1.7),
        jump_times=lambda p: p["time"],
        jump=lambda i, t, y, p: y + p["amount"] * t,
        **options,
    )


def loss_of_changed(x):
    return (switched(x) ** 2).sum()


def numbers(result):
    return np.hstack([*result.dparams.values(), result.dy0])


@EVERY
def test_events(method):
    result = ab.gradient(ball(), method, **TIGHT)
    assert result.status == "ok", result.message
    np.testing.assert_allclose(result.loss, loss_of_ball(np.array(BALL)), **CLOSE)
    np.testing.assert_allclose(numbers(result)[:3], slopes(loss_of_ball, BALL), **CLOSE)
    if method != "torch-blackbox":
        assert "events" in result.stats.engine or "adjoint" in result.stats.engine


@pytest.mark.parametrize("method", MOST)
def test_times_follow_the_parameters(method):
    run = ab.prepare(changed(), method, **TIGHT)
    for time, change in ((1.2, 0.7), (1.5, 0.8)):
        x = (change, *SWITCHED[1:3], time, *SWITCHED[4:])
        params = {"change": change, "time": time}
        result = run(params)
        assert result.status == "ok", result.message
        np.testing.assert_allclose(result.loss, loss_of_changed(np.array(x)), **CLOSE)
        np.testing.assert_allclose(run.primal(params), result.loss, rtol=1e-12)
        np.testing.assert_allclose(numbers(result), slopes(loss_of_changed, x), **CLOSE)


@pytest.mark.parametrize("method", ["torch-discrete", "torch-interpolating"])
@pytest.mark.parametrize("problem", [ball(), changed()], ids=["ball", "changed"])
def test_error_bars(method, problem):
    """The steps that are taken again go on to the events that happened."""
    result = ab.gradient(problem, method, rtol=1e-5, atol=1e-8, error_bar=True)
    error = result.gradient_error
    exact = {"dropped": (loss_of_ball, BALL), "changed": (loss_of_changed, SWITCHED)}
    gradient = slopes(*exact[problem.name])
    off = abs(numbers(result)[: len(gradient)] - gradient)
    assert off.max() <= 10 * error.largest * abs(gradient).max() + 1e-12
    assert error.largest < 1e-3


def test_a_time_that_moves_over_a_save():
    result = ab.gradient(changed(), "torch-discrete", params={"time": 1.0})
    assert (result.status, result.phase) == ("event", "forward")
    assert np.isnan(numbers(result)).all()


def test_times_that_only_happen_to_be_the_same():
    result = ab.gradient(changed(), "torch-discrete", params={"time": SWITCHED[0]})
    assert result.status == "event"


def test_no_room():
    result = ab.gradient(ball(max_events=1), "torch-tape")
    assert result.status == "max_events"
    assert np.isnan(result.loss)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"compile": True}, "leave compile out"),
        ({"engine": "native"}, "engine='native'"),
        ({"regularizer": "error"}, "is for problems without events"),
    ],
)
@pytest.mark.parametrize("problem", [ball(), changed()], ids=["ball", "changed"])
def test_refused(problem, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ab.gradient(problem, "torch-discrete", **options)
