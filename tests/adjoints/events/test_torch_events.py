"""Events and times that move, on the open PyTorch solver: against closed forms."""

import math

import numpy as np
import pytest
import torch
from closed_forms import BALL, DOSED, SWITCHED, bounces, dosed, flight, slopes, switched

from adjointbench import Event
from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.solve import ADJOINTS

TIGHT = {"rtol": 1e-10, "atol": 1e-12}
#: With fewer steps to the same accuracy.
FEW = {**TIGHT, "solver": "dop853"}
CLOSE = {"rtol": 1e-8, "atol": 0.0}
EVERY = pytest.mark.parametrize("adjoint", ADJOINTS)
END = 3.0
#: Every solver by the discrete adjoint; the expensive ones but for one in the long run.
SOLVERS = (
    "tsit5",
    "rodas5p",
    pytest.param("dopri5", marks=pytest.mark.long),
    pytest.param("rodas4p", marks=pytest.mark.long),
    pytest.param("kvaerno5", marks=pytest.mark.long),
)


def tensors(values, **options):
    return torch.tensor(values, dtype=torch.float64, **options)


def gradients(function, values, adjoint, weights):
    """What `function` returns of one tensor, and the derivative of its weighted sum."""
    x = tensors(values)

    def total(x):
        return function(x) @ tensors(weights)

    slope = torch.func.jacfwd(total) if adjoint == "forward" else torch.func.grad(total)
    return function(x).numpy(), slope(x).numpy()


def falling(t, y, p):
    return torch.stack([y[1], -p["gravity"]])


def bouncing(direction=-1):
    def jump(t, y, p):
        return torch.stack([0 * y[0], -p["restitution"] * y[1]])

    return Event(when=lambda t, y, p: y[0], jump=jump, direction=direction)


def dropped(x, end, **options):
    y0, p = torch.stack([x[2], 0 * x[2]]), {"gravity": x[0], "restitution": x[1]}
    return solve(falling, y0, [end], p, events=bouncing(), **{**TIGHT, **options})


def medicated(x, save_at=(END,), **options):
    def jump(t, y, p):
        return y + p["dose"]

    event = Event(when=lambda t, y, p: y[0] - p["threshold"], jump=jump)
    p = {"clearance": x[0], "threshold": x[1], "dose": x[2]}
    own = {**FEW, **options}
    return solve(lambda t, y, p: -p["clearance"] * y, x[3:], save_at, p, events=event, **own)


def seen_of_doses(x, **options):
    """The first two times, and what there is at the end."""
    solution = medicated(x, **options)
    assert int(solution.status_code) == 0
    return torch.cat([solution.event_times[:2], solution.ys[-1]])


@pytest.mark.parametrize("adjoint", ["discrete", pytest.param("tape", marks=pytest.mark.long)])
def test_twenty_bounces(adjoint):
    count, x = 20, tensors(BALL, requires_grad=True)
    end = float(bounces(np.array(BALL), count + 1)[0, -2:] @ (0.7, 0.3))
    solution = dropped(x, end, adjoint=adjoint, max_events=count + 2)
    assert solution.status == "ok"
    assert solution.event_index.tolist() == [0] * count + [-1] * 2
    assert solution.event_times[count:].tolist() == [math.inf] * 2
    before, after = solution.event_states
    exact = bounces(np.array(BALL), count)
    np.testing.assert_allclose(solution.event_times[:count].detach(), exact[0], **CLOSE)
    np.testing.assert_allclose(after[:count, 1].detach(), exact[1], **CLOSE)
    np.testing.assert_allclose(before[:count, 1].detach(), -exact[1] / BALL[1], **CLOSE)
    np.testing.assert_allclose(solution.ys[0].detach(), flight(np.array(BALL), count, end), **CLOSE)

    by_x = slopes(lambda x: bounces(x, count), BALL)
    rows = (
        (solution.event_times[count - 1], by_x[0, -1]),
        (after[count - 1, 1], by_x[1, -1]),
        (solution.ys[0, 0], slopes(lambda x: flight(x, count, end), BALL)[0]),
    )
    for value, expected in rows:
        (slope,) = torch.autograd.grad(value, x, retain_graph=True)
        np.testing.assert_allclose(slope, expected, **CLOSE)


@pytest.mark.parametrize(
    "adjoint",
    [pytest.param(x, marks=pytest.mark.long) if x == "forward" else x for x in ADJOINTS],
)
def test_doses_at_a_threshold(adjoint):
    weights = (0.7, -0.4, 1.1)
    found, slope = gradients(lambda x: seen_of_doses(x, adjoint=adjoint), DOSED, adjoint, weights)
    np.testing.assert_allclose(found, dosed(np.array(DOSED), END), **CLOSE)
    expected = weights @ slopes(lambda x: dosed(x, END), DOSED)
    np.testing.assert_allclose(slope, expected, **CLOSE)


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers(solver):
    weights = (0.7, -0.4, 1.1)
    found, slope = gradients(
        lambda x: seen_of_doses(x, solver=solver, rtol=1e-11), DOSED, "discrete", weights
    )
    np.testing.assert_allclose(found, dosed(np.array(DOSED), END), **CLOSE)
    expected = weights @ slopes(lambda x: dosed(x, END), DOSED)
    np.testing.assert_allclose(slope, expected, **CLOSE)


def test_fixed_steps_find_events_too():
    """The ball's path is a parabola, which Runge-Kutta's method of order four has exactly."""
    end = float(bounces(np.array(BALL), 3)[0, -2:].mean())
    solution = dropped(tensors(BALL), end, solver="rk4", first_step=0.05)
    exact = bounces(np.array(BALL), 2)[0]
    np.testing.assert_allclose(solution.event_times[:2], exact, **CLOSE)


@pytest.mark.parametrize("rtol", [1e-3, pytest.param(1e-6, marks=pytest.mark.long)])
def test_an_event_happens_once_at_loose_tolerances(rtol):
    """Where the solve goes on, an event's value may still be on the side that it came from."""

    def rhs(t, y):
        return torch.stack([y[1], -y[0]])

    event = Event(when=lambda t, y: y[0], jump=lambda t, y: 0.98 * y)
    own = {"rtol": rtol, "atol": 1e-2 * rtol, "max_events": 8}
    solution = solve(rhs, tensors([1.0, 0.0]), [17.0], events=event, **own)
    times = (np.arange(5) + 0.5) * np.pi
    assert solution.event_index.tolist() == [0] * 5 + [-1] * 3
    np.testing.assert_allclose(solution.event_times[:5], times, rtol=10 * rtol)


@EVERY
def test_terminal_event_whose_time_is_the_loss(adjoint):
    rate, threshold, start = 0.7, 0.4, 1.0

    def seen(x):
        event = Event(
            when=lambda t, y, p: y[0] - p[1], jump=lambda t, y, p: y + p[0] * t, terminal=True
        )
        solution = solve(
            lambda t, y, p: -p[0] * y, x[2:], [0.5, 2.0, 3.0], x, events=event,
            adjoint=adjoint, **FEW,
        )  # fmt: skip
        assert int(solution.status_code) == 0
        return torch.cat([solution.event_times[:1], solution.ys[:, 0]])

    def exact(x):
        time = np.log(x[2] / x[1]) / x[0]
        rest = x[1] + x[0] * time
        return np.array([time, x[2] * np.exp(-0.5 * x[0]), rest, rest])

    values, weights = (rate, threshold, start), (1.0, 0.5, -0.3, 0.2)
    found, slope = gradients(seen, values, adjoint, weights)
    np.testing.assert_allclose(found, exact(np.array(values)), **CLOSE)
    np.testing.assert_allclose(slope, weights @ slopes(exact, values), **CLOSE)


def test_saves_behind_a_terminal_event_do_not_move():
    save_at = tensors([0.5, 3.0], requires_grad=True)
    event = Event(when=lambda t, y: y[0] - 0.4, terminal=True)
    solution = solve(lambda t, y: -y, tensors([1.0]), save_at, events=event, **FEW)
    (slope,) = torch.autograd.grad(solution.ys.sum(), save_at)
    np.testing.assert_allclose(slope, [-math.exp(-0.5), 0.0], **CLOSE)


def rate(t, y, p):
    return -torch.where(t < p["change"], p["before"], p["behind"]) * y


@EVERY
def test_times_that_move(adjoint):
    names = ("change", "before", "behind", "time", "amount")

    def seen(x):
        p = dict(zip(names, x, strict=False))
        solution = solve(
            rate, x[5:], [0.5, 1.0, 2.0], p,
            discontinuities=[x[0], 1.7], jump_times=x[3:4],
            jump=lambda i, t, y, p: y + p["amount"] * t, adjoint=adjoint, **FEW,
        )  # fmt: skip
        assert int(solution.status_code) == 0
        return solution.ys[:, 0]

    weights = (0.7, -0.4, 1.1)
    found, slope = gradients(seen, SWITCHED, adjoint, weights)
    np.testing.assert_allclose(found, switched(np.array(SWITCHED)), **CLOSE)
    np.testing.assert_allclose(slope, weights @ slopes(switched, SWITCHED), **CLOSE)


def test_a_jump_and_a_switch_that_move_together():
    """The change of the right-hand side counts once."""

    def seen(x):
        p = dict(zip(("change", "before", "behind"), x, strict=False))
        return solve(
            rate, x[3:], [2.0], p, discontinuities=x[:1], jump_times=x[:1],
            jump=lambda i, t, y, p: y + t, **TIGHT,
        ).ys[:, 0]  # fmt: skip

    def exact(x):
        return (x[3] * np.exp(-x[1] * x[0]) + x[0]) * np.exp(-x[2] * (2 - x[0]))

    values = (0.7, 0.5, 2.0, 1.3)
    _, slope = gradients(seen, values, "discrete", [1.0])
    np.testing.assert_allclose(slope, slopes(exact, values), **CLOSE)


@pytest.mark.parametrize("place", [0.0, 1.0, 2.0])
def test_times_that_move_over_the_start_or_a_save(place):
    x = tensors(place, requires_grad=True)
    p = {"change": x.detach(), "before": tensors(0.5), "behind": tensors(2.0)}
    solution = solve(rate, tensors([1.0]), [1.0, 2.0], p, discontinuities=[x])
    assert solution.status == "event"
    assert torch.isnan(torch.autograd.grad(solution.ys.sum(), x)[0])


def test_second_derivatives_by_the_tape():
    def last(rate):
        x = torch.cat([rate[None], tensors(DOSED[1:])])
        return seen_of_doses(x, adjoint="tape", rtol=1e-11).sum()

    rate = tensors(DOSED[0], requires_grad=True)
    (slope,) = torch.autograd.grad(last(rate), rate, create_graph=True)
    (bend,) = torch.autograd.grad(slope, rate)
    step = 1e-4
    either = [
        slopes(lambda x: dosed(x, END).sum(), (DOSED[0] + by, *DOSED[1:]))[0]
        for by in (step, -step)
    ]
    np.testing.assert_allclose(bend, (either[0] - either[1]) / (2 * step), rtol=1e-6)


def linear(t, y):
    return -torch.ones_like(y)


def half(i=0):
    return Event(when=lambda t, y: y[i] - 0.5, jump=lambda t, y: y + 1)


@pytest.mark.parametrize(
    ("save_at", "options"),
    [
        ([0.25, 0.5, 2.0], {}),
        ([0.5], {}),
        ([2.0], {"discontinuities": [0.5]}),
        ([2.0], {"jump_times": [0.5], "jump": lambda i, t, y: y + 1}),
        ([2.0], {"events": (half(), half(1))}),
    ],
    ids=["save", "end", "discontinuity", "jump", "two"],
)
def test_events_whose_effect_is_not_defined(save_at, options):
    y0 = tensors([1.0, 1.0], requires_grad=True)
    solution = solve(linear, y0, save_at, **{"events": half(), **options})
    assert solution.status == "event"
    (slope,) = torch.autograd.grad(solution.ys.sum(), y0)
    assert torch.isnan(slope).all()


@pytest.mark.parametrize(
    ("start", "status", "times"),
    [(1.0, "event", []), (1.001, "ok", []), (0.999, "ok", [1 - 0.001**0.5, 1 + 0.001**0.5])],
)
def test_a_value_that_touches_zero(start, status, times):
    event = Event(when=lambda t, y: y[0])
    solution = solve(lambda t, y: 2 * (t - 1) + 0 * y, tensors([start]), [2.0], events=event)
    assert solution.status == status
    np.testing.assert_allclose(solution.event_times[: len(times)], times, rtol=1e-9)
    assert not math.isfinite(solution.event_times[len(times)])


@pytest.mark.parametrize("rtol", [1e-3, 1e-10])
def test_a_value_that_is_zero_at_the_start_is_no_event(rtol):
    p = {"gravity": tensors(9.81), "restitution": tensors(0.9)}
    y0 = tensors([0.0, 3.0])
    solution = solve(falling, y0, [1.0], p, events=bouncing(0), rtol=rtol)
    np.testing.assert_allclose(solution.event_times[:1], [6 / 9.81], rtol=1e-9)
    assert math.isinf(solution.event_times[1])


def test_more_events_than_there_is_room_for():
    x = tensors(BALL, requires_grad=True)
    solution = dropped(x, 4.0, max_events=3)
    assert solution.status == "max_events"
    assert torch.isnan(solution.event_times).all()
    assert solution.event_index.tolist() == [0] * 3
    assert torch.isnan(torch.autograd.grad(solution.ys.sum(), x)[0]).all()


def test_an_event_that_changes_nothing_may_be_at_a_save():
    solution = solve(linear, tensors([1.0]), [0.5, 2.0], events=Event(when=lambda t, y: y[0] - 0.5))
    assert solution.status == "ok"
    np.testing.assert_allclose(solution.event_times[0], 0.5, **CLOSE)
    np.testing.assert_allclose(solution.ys[:, 0], [0.5, -1.0], **CLOSE)


def test_a_jump_that_carries_another_value_through_zero_is_no_event_of_that():
    first = Event(when=lambda t, y: y[0] - 0.5, jump=lambda t, y: y - 1.0)
    other = Event(when=lambda t, y: y[0])
    solution = solve(linear, tensors([1.0]), [2.0], events=(first, other))
    assert solution.event_index[:2].tolist() == [0, -1]


def test_structures_and_backwards():
    """A cosine from zero back: in that direction it rises through one half at -5/3 pi."""
    amplitude = tensors(1.0, requires_grad=True)
    y0 = {"x": amplitude, "v": tensors(0.0)}
    event = Event(when=lambda t, y: y["x"] - 0.5, direction=1)
    solution = solve(lambda t, y: {"x": y["v"], "v": -y["x"]}, y0, [-6.0], events=event, **FEW)
    time = -5 / 3 * math.pi
    np.testing.assert_allclose(solution.event_times[0].item(), time, **CLOSE)
    assert solution.event_times[1].item() == math.inf
    before, after = solution.event_states
    np.testing.assert_allclose([before["x"][0].item(), after["x"][0].item()], 0.5, **CLOSE)
    (slope,) = torch.autograd.grad(solution.event_times[0], amplitude)
    np.testing.assert_allclose(slope, 0.5 / math.sin(time), **CLOSE)


def test_lanes_one_after_the_other():
    """Each with as many events as it has."""
    starts = tensors([0.5, 0.8, 1.2])

    def seen(start):
        solution = medicated(torch.cat([tensors(DOSED[:3]), start[None]]), [0.6])
        return solution.event_times[0] + solution.ys[0, 0], solution.event_index[:2]

    (total, index), slope = (
        torch.func.vmap(seen)(starts),
        torch.func.vmap(torch.func.grad(lambda x: seen(x)[0]))(starts),
    )
    alone = [seen(start) for start in starts]
    assert torch.equal(total, torch.stack([x for x, _ in alone]))
    assert torch.equal(index, torch.stack([x for _, x in alone]))
    each = torch.stack([torch.func.grad(lambda x: seen(x)[0])(start) for start in starts])
    torch.testing.assert_close(slope, each, rtol=1e-12, atol=0.0)


def test_checkpoints():
    x = tensors(DOSED, requires_grad=True)
    own = {"max_steps": 200, "save_at": (0.5, END)}
    found = [
        torch.autograd.grad(seen_of_doses(x, **own, **more).sum(), x)[0]
        for more in ({}, {"checkpoints": 25})
    ]
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-14)


def test_conditions_that_look_at_numbers():
    """The threshold is another from time one on: `when` cannot be mapped, and is differentiated."""
    rate = tensors(0.7, requires_grad=True)

    def when(t, y, p):
        return y[0] - (0.4 if t.item() < 1 else 0.3)

    solution = solve(
        lambda t, y, p: -p * y, tensors([1.0]), [1.9], rate, events=Event(when=when), **FEW
    )
    (slope,) = torch.autograd.grad(solution.event_times[0], rate)
    np.testing.assert_allclose(slope, math.log(0.3) / 0.49, **CLOSE)


def test_what_ran():
    x = tensors(DOSED)
    assert "events" in medicated(x).engine
    assert medicated(x, engine="torch").engine == "torch"
    with pytest.raises(ValueError, match="this solve looked for no events"):
        _ = solve(linear, tensors([1.0]), [1.0]).event_times


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "native"}, "events is nothing that a native loop does"),
        ({"compile": True}, "leave compile out"),
        ({"dense_output": True}, "read it at save_at"),
        ({"step_size": 0.1}, "first_step is the size"),
        ({"steps": ([0.0], [2.0])}, "leave out steps"),
        ({"max_events": 0}, "1 or more"),
        ({"events": Event(when=lambda t, y: y)}, r"when returned shape \(2,\)"),
        ({"events": [1.0]}, "pass adjointbench.Event"),
    ],
)
def test_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        solve(linear, tensors([1.0, 1.0]), [2.0], **{"events": half(), **options})


def test_times_that_differ_from_lane_to_lane_are_refused():
    def last(time):
        return solve(linear, tensors([1.0]), [2.0], discontinuities=[time]).ys

    with pytest.raises(ValueError, match="call solve once for each"):
        torch.func.vmap(last)(tensors([0.3, 0.4]))


def test_thresholds_that_would_get_no_gradient_are_refused():
    threshold = tensors(0.4, requires_grad=True)
    event = Event(when=lambda t, y: y[0] - threshold)
    with pytest.raises(ValueError, match="when closes over 1 tensor"):
        solve(linear, tensors([1.0]), [2.0], events=event)


@pytest.mark.parametrize("adjoint", ["discrete", "tape"])
def test_the_solution_between_its_saves_knows_times_that_move(adjoint):
    change = tensors(0.6, requires_grad=True)
    p = {"change": change, "before": 0.5, "behind": 2.0}
    own = {"discontinuities": [change], "adjoint": adjoint, "dense_output": True, **TIGHT}
    solution = solve(rate, tensors([1.0]), [1.9], p, **own)
    for t in (0.3, 1.0, 1.9):
        (slope,) = torch.autograd.grad(solution(t).sum(), change, retain_graph=True)
        exact = 1.5 * math.exp(-0.3 - 2 * (t - 0.6)) if t > 0.6 else 0.0
        np.testing.assert_allclose(slope, exact, **CLOSE)


def test_times_that_move_backwards():
    change = tensors(0.6, requires_grad=True)
    p = {"change": change, "before": 0.5, "behind": 2.0}
    solution = solve(rate, tensors([1.0]), [0.0], p, t0=1.9, discontinuities=[change], **FEW)
    (slope,) = torch.autograd.grad(solution.ys.sum(), change)
    np.testing.assert_allclose(slope, -1.5 * math.exp(0.3 + 2.6), **CLOSE)
