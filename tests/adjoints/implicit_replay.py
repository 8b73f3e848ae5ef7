"""An independent replay of recorded implicit steps in NumPy; complex numbers pass through."""

from functools import partial

import numpy as np

from adjointbench.adjoints.steps.tableaus import tableau


def replay_implicit(rhs, jacobian, time_slope, solver, y, p, steps, mass=None):
    """The state after the given steps, Newton's method converged to rounding."""
    one_step = _rosenbrock_step if tableau(solver).kind == "rosenbrock" else _dirk_step
    one_step = one_step if mass is None else partial(one_step, mass=mass)
    y = np.asarray(y)
    for t, h in zip(*map(np.asarray, steps), strict=True):
        y = one_step(rhs, jacobian, time_slope, tableau(solver), t, y, h, p)
    return y


def _rosenbrock_step(rhs, jacobian, time_slope, tab, t, y, h, p, mass=None):
    mass = np.eye(len(y)) if mass is None else mass
    matrix = mass / tab.gamma - h * jacobian(t, y, p)
    stages = []
    for i in range(tab.steps):
        at = y + h * sum((tab.a[i, j] * stages[j] for j in range(i)), 0 * y)
        right = rhs(t + tab.c[i] * h, at, p) + h * tab.time_weights[i] * time_slope(t, y, p)
        right = right + mass @ sum((tab.coupling[i, j] * stages[j] for j in range(i)), 0 * y)
        stages.append(np.linalg.solve(matrix, right))
    return y + h * sum(w * u for w, u in zip(tab.b, stages, strict=True))


def _dirk_step(rhs, jacobian, time_slope, tab, t, y, h, p):
    stages = []
    for i in range(tab.steps):
        base = y + h * sum((tab.a[i, j] * stages[j] for j in range(i)), 0 * y)
        time, diagonal = t + tab.c[i] * h, h * tab.a[i, i]
        k = rhs(time, base, p)
        for _ in range(50 if diagonal else 0):
            matrix = np.eye(len(y)) - diagonal * jacobian(time, base + diagonal * k, p)
            k = k - np.linalg.solve(matrix, k - rhs(time, base + diagonal * k, p))
        stages.append(k)
    return y + h * sum(w * k for w, k in zip(tab.b, stages, strict=False))
