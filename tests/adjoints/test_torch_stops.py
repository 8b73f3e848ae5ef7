"""Stops of the open PyTorch solver: which side of one a step sees, and the jumps there."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.solve import ADJOINTS

EVERY = pytest.mark.parametrize("adjoint", ADJOINTS)
TIGHT = {"rtol": 1e-9, "atol": 1e-12}
START, SWITCH, END = 0.0, 1.0, 2.0
#: Two doses at one time, on the switch, one at the start and one at the end.
JUMP_TIMES = (SWITCH, 1.5, SWITCH, START, END)
SAVES = (START, 0.5, SWITCH, 1.5, 1.7, END)
VALUES = {"k": 0.6, "dose": [1.0, 0.5, 2.0, 0.3, 4.0], "kept": 0.8, "y0": 0.7}


def rate(t, closed):
    """Of decay: on both sides of the span it would be felt at once; `closed` says whose END is."""
    before = t <= SWITCH if closed else t < SWITCH
    inside = torch.where(before, 1.0 + 0.5 * t, 3.0 - 0.4 * t * t)
    outside = (t <= START) | (t >= END)
    return torch.where(outside, 300.0 + 0 * t, inside)


def integral(a, b):
    """Of the rate from `a` to `b`, on one side of the switch."""
    if b <= SWITCH:
        return (b - a) + 0.25 * (b * b - a * a)
    return 3.0 * (b - a) - 0.4 * (b**3 - a**3) / 3


def exact(x, jump_times):
    """All saves, of x = (k, *dose, kept, y0), which may be complex."""
    k, dose, kept, y = x[0], x[1:6], x[6], x[7]
    found, at = {}, START
    for t in sorted({*jump_times, *SAVES, SWITCH}):
        y, at = y * np.exp(-k * integral(at, t)), t
        for i, when in enumerate(jump_times):
            if when == t:
                y = y * kept + dose[i]
        found[t] = y
    return np.array([found[t] for t in SAVES])


def by_complex_step(weights, jump_times):
    x = np.hstack(list(VALUES.values()))
    each = [exact(x + 1e-30j * e, jump_times) @ weights for e in np.eye(len(x))]
    return exact(x, jump_times), np.array(each).imag / 1e-30


def solved(adjoint, jump_times=JUMP_TIMES, closed=False, dtype=torch.float64, **options):
    """The saves as a function of the tensors in VALUES."""

    def rhs(t, y, p):
        return -p["k"] * rate(t, closed) * y

    def jump(i, t, y, p):
        return y * p["kept"] + p["dose"][i]

    def ys(p):
        y0 = p["y0"] * torch.ones(1, dtype=dtype)
        given = {"jump_times": jump_times, "jump": jump} if jump_times else {}
        options.setdefault("discontinuities", (START, SWITCH, END))
        solution = solve(rhs, y0, SAVES, p, adjoint=adjoint, **given, **{**TIGHT, **options})
        assert solution.status_code == 0
        return solution.ys[:, 0]

    return ys


def gradient(adjoint, ys, weights, dtype=torch.float64):
    p = {name: torch.tensor(value, dtype=dtype) for name, value in VALUES.items()}
    weights = torch.tensor(weights, dtype=dtype)
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.grad
    slopes = transform(lambda p: ys(p) @ weights)(p)
    return ys(p), np.hstack([slopes[name].numpy() for name in VALUES])


WEIGHTS = np.array([0.3, 1.0, -2.0, 0.7, 1.3, 0.9])


@EVERY
@pytest.mark.parametrize(
    ("solver", "closed"), [("tsit5", False), ("tsit5", True), ("rodas5p", False)]
)
def test_switch_and_doses_on_one_time_at_the_start_and_at_the_end(adjoint, solver, closed):
    options = {"rtol": 1e-8, "atol": 1e-11} if solver == "rodas5p" else {}
    ys = solved(adjoint, closed=closed, solver=solver, **options)
    found, slopes = gradient(adjoint, ys, WEIGHTS)
    values, expected = by_complex_step(WEIGHTS, JUMP_TIMES)
    np.testing.assert_allclose(found, values, rtol=1e-7)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-7)


@EVERY
def test_switches_alone(adjoint):
    _, slopes = gradient(adjoint, solved(adjoint, jump_times=()), WEIGHTS)
    _, expected = by_complex_step(WEIGHTS, ())
    used = [0, 7]
    np.testing.assert_allclose(slopes[used], expected[used], rtol=1e-6)


@EVERY
def test_times_are_rounded_to_float32_before_they_are_compared(adjoint):
    """4.2 is no number of float32; the dose there is in the last save, and in its gradient."""
    times, k, dose = [1.4, 2.8, 4.2], 0.5, 2.0

    def ys(p):
        y0 = torch.zeros(1)
        given = {"jump_times": times, "jump": lambda i, t, y, p: y + p["dose"]}
        p = {"k": torch.tensor(k), "dose": p}
        options = {"rtol": 1e-5, "atol": 1e-7, "adjoint": adjoint}
        return solve(lambda t, y, p: -p["k"] * y, y0, times, p, **given, **options).ys[:, 0]

    expected = [sum(np.exp(-k * (t - d)) for d in times if d <= t) for t in times]
    at = torch.tensor(dose)
    np.testing.assert_allclose(ys(at), dose * np.array(expected), rtol=1e-5)
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.jacrev
    np.testing.assert_allclose(transform(ys)(at), expected, rtol=1e-4)


@EVERY
@pytest.mark.parametrize("saves", [[1.0, 1.0], [0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0]])
def test_save_times_that_are_repeated(adjoint, saves):
    def ys(k):
        y0 = torch.full((1,), 2.0, dtype=torch.float64)
        return solve(lambda t, y, p: -p * y, y0, saves, k, adjoint=adjoint, **TIGHT).ys[:, 0]

    k, at = torch.tensor(0.7, dtype=torch.float64), np.array(saves)
    np.testing.assert_allclose(ys(k), 2 * np.exp(-0.7 * at), rtol=1e-8)
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.jacrev
    np.testing.assert_allclose(transform(ys)(k), -2 * at * np.exp(-0.7 * at), rtol=1e-7)


@EVERY
def test_repeated_saves_at_a_jump_are_the_value_after_it(adjoint):
    def ys(k):
        y0 = torch.ones(1, dtype=torch.float64)
        given = {"jump_times": [1.0, 2.0], "jump": lambda i, t, y, p: 3 * y + i}
        saves = [1.0, 1.0, 2.0, 2.0]
        return solve(lambda t, y, p: -p * y, y0, saves, k, adjoint=adjoint, **given, **TIGHT).ys

    decayed = np.exp(-0.7)
    first, second = 3 * decayed, 9 * decayed**2 + 1
    k = torch.tensor(0.7, dtype=torch.float64)
    np.testing.assert_allclose(ys(k)[:, 0], [first, first, second, second], rtol=1e-8)
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.jacrev
    slopes = [-first, -first, -18 * decayed**2, -18 * decayed**2]
    np.testing.assert_allclose(transform(ys)(k)[:, 0], slopes, rtol=1e-7)


def test_jumps_without_a_function_and_the_other_way_round():
    y0 = torch.ones(1)
    with pytest.raises(ValueError, match="jump_times is given without jump"):
        solve(lambda t, y, p: -y, y0, [1.0], jump_times=[0.5])
    with pytest.raises(ValueError, match="jump is given without jump_times"):
        solve(lambda t, y, p: -y, y0, [1.0], jump=lambda i, t, y, p: y)


@pytest.mark.parametrize("solver", ["rodas5p", "rodas4p"])
@pytest.mark.parametrize("adjoint", ["discrete", "interpolating", "quadrature"])
def test_a_stiff_forced_equation_pays_little_for_a_stop(solver, adjoint):
    """Prothero-Robinson, whose solution is cos t: a stop costs a few steps."""
    stiffness, end = 1e4, 10.0

    def rhs(t, y, p):
        return -p * (y - torch.cos(t)) - torch.sin(t)

    def run(stops):
        y0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
        p = torch.tensor(stiffness, dtype=torch.float64)
        options = {"solver": solver, "adjoint": adjoint, "rtol": 1e-6, "atol": 1e-9}
        solution = solve(rhs, y0, [end], p, discontinuities=stops, **options)
        assert abs(solution.ys[-1, 0].item() - np.cos(end)) < 1e-5
        solution.ys.sum().backward()
        back = solution.ys.grad_fn.call.pulled.counts
        return int(solution.stats["steps"] + solution.stats["rejected"]), back.steps + back.rejected

    forward, reverse = run(())
    stopped_forward, stopped_reverse = run(np.arange(1.0, 10.0))
    assert stopped_forward <= forward + 30
    assert stopped_reverse <= reverse + 9 * 10


STEPS = [0.25, 0.25, 0.25, 0.25]


@EVERY
@pytest.mark.parametrize(
    ("t", "h"),
    [
        ([0.0, 0.25, 0.5], STEPS[:3]),
        ([0.1, 0.35, 0.6, 0.85], STEPS),
        ([0.0, 0.25, 0.6, 0.75], STEPS),
        ([0.0, 0.25, 0.5, 0.75], [0.25, 0.25, 0.25, 0.5]),
        ([0.0, 0.25], [0.25, 0.75]),
        ([0.0, 0.25, 0.5, 0.75], [0.25, 0.25, 0.25, float("nan")]),
        ([], []),
    ],
)
def test_given_steps_that_do_not_lead_to_the_end_are_a_status(adjoint, t, h):
    """They stop short, begin elsewhere, leave a gap, go past the end, or step over a stop."""
    steps = tuple(torch.tensor(x, dtype=torch.float64) for x in (t, h))
    y0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
    solution = solve(
        lambda t, y, p: -y, y0, [0.4, 1.0], steps=steps, discontinuities=[0.5], adjoint=adjoint
    )
    assert solution.status == "failed"
    assert solution.ys.isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_given_steps_by_rounded_times_and_padded_with_zeros(dtype):
    # Steps from somebody's own grid: t is not the sum of the sizes, to rounding.
    count = 700
    t = torch.linspace(0, 1, count + 1, dtype=dtype)
    h = torch.full((count,), 1 / count, dtype=dtype)
    none = torch.zeros(5, dtype=dtype)
    steps = (torch.cat([none, t[:-1], none]), torch.cat([none, h, none]))
    k = torch.tensor(0.7, dtype=dtype, requires_grad=True)
    y0 = torch.ones(1, dtype=dtype)
    solution = solve(lambda t, y, p: -p * y, y0, [0.4, 1.0], k, steps=steps)
    assert solution.status == "ok"
    assert int(solution.stats["steps"]) == count
    solution.ys.sum().backward()
    expected = -0.4 * np.exp(-0.28) - np.exp(-0.7)
    assert k.grad.item() == pytest.approx(expected, rel=1e-4 if dtype == torch.float32 else 1e-9)
