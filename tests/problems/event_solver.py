"""A solver for events and moving times that shares no line with the ones under test.

SciPy's DOP853 from stop to stop: each event ends a solve, and the next begins after its jump.
"""

import numpy as np
from scipy.integrate import solve_ivp


def solved(problem, params, y0, rtol=1e-12, atol=1e-13):
    """``(ys, event_times)`` of `problem` at other parameters and start value."""
    p = {**params, **problem.constants}
    t, (_, end), y = problem.t_span[0], problem.t_span, np.array(y0)
    stops = declared(problem, p)
    ys, times = np.full((len(problem.save_at), *y.shape), np.nan), []
    while t < end:
        kind, until = next((s for s in stops if s[1] > t), (None, end))
        part = solve_ivp(
            inside(problem, p, t, until),
            (t, until),
            y,
            method="DOP853",
            rtol=rtol,
            atol=atol,
            dense_output=True,
            events=[watched(event, p) for event in problem.events] or None,
        )
        assert part.success, part.message
        for i in np.flatnonzero((problem.save_at >= t) & (problem.save_at <= part.t[-1])):
            ys[i] = part.sol(problem.save_at[i])
        y, t = part.y[:, -1], part.t[-1]
        if part.status == 1:
            which = next(i for i, found in enumerate(part.t_events) if len(found))
            times.append(t)
            event = problem.events[which]
            y = y if event.jump is None else event.jump(t, y, p)
            if event.terminal:
                ys[problem.save_at > t] = y
                break
        elif kind is not None and problem.jump is not None:
            y = problem.jump(kind, t, y, p)
    return ys, np.array(times)


def inside(problem, p, start, end):
    """The right-hand side as it is between two stops, and not on them."""
    first, last = np.nextafter(start, end), np.nextafter(end, start)
    return lambda t, y: problem.rhs(np.clip(t, first, last), y, p)


def declared(problem, p):
    """``(number of the jump, time)`` of the declared times inside the span, in order."""

    def at(times):
        return np.ravel(times.at(p)) if hasattr(times, "at") else np.asarray(times)

    jumps = [(i, float(t)) for i, t in enumerate(at(problem.jump_times))]
    kinks = [(None, float(t)) for t in at(problem.discontinuities)]
    return sorted([*jumps, *kinks], key=lambda stop: stop[1])


def watched(event, p):
    """The event as ``solve_ivp`` takes it."""

    def when(t, y):
        return float(event.when(t, y, p))

    when.terminal, when.direction = True, event.direction
    return when


def loss_of(problem, params, y0):
    """The loss of :func:`solved`."""
    ys, times = solved(problem, params, y0)
    shown = np.full(problem.max_events, np.inf)
    shown[: len(times)] = times
    p = {**params, **problem.constants, **problem.events_seen_by_loss(shown)}
    return float(problem.loss(ys, p))
