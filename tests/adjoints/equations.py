"""Equations with known solutions, and an independent replay of recorded steps."""

import numpy as np
from array_api_compat import array_namespace

from adjointbench.adjoints.steps.tableaus import tableau


def riccati(t, y, p):
    """``y' = -k y^2 cos t``: nonlinear, depends on time, solved in closed form."""
    return -p["k"] * y * y * array_namespace(y).cos(t)


def riccati_exact(t, k, y0):
    """The solution, and its derivatives by ``k`` and ``y0``."""
    y = 1 / (1 / y0 + k * np.sin(t))
    return y, -np.sin(t) * y**2, (y / y0) ** 2


def lotka_volterra(t, y, p):
    prey, predators = y[0], y[1]
    return array_namespace(y).stack(
        [p[0] * prey - p[1] * prey * predators, p[3] * prey * predators - p[2] * predators]
    )


def numpy_lotka_volterra(t, y, p):
    return np.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]])


def replay(rhs, solver, y, p, steps, save_at):
    """The solution at the save times over given steps, in NumPy; complex numbers pass through."""
    tab = tableau(solver)
    saves, last = [], len(save_at) - 1
    y = np.asarray(y)
    for t, h in zip(*map(np.asarray, steps), strict=True):
        k = []
        for i in range(tab.stages):
            inner = sum((tab.a[i, j] * k[j] for j in range(i)), 0 * y)
            k.append(rhs(t + tab.c[i] * h, y + h * inner, p))
        inside = [s for s in save_at[:last] if t <= s < t + h * (1 - 1e-14)]
        for s in inside:
            x = (s - t) / h
            powers = x ** np.arange(1, tab.dense.shape[1] + 1)
            saves.append(y + h * sum(w * ki for w, ki in zip(tab.dense @ powers, k, strict=True)))
        y = y + h * sum(tab.a[tab.steps, j] * k[j] for j in range(tab.steps))
    return np.stack([*saves, y])
