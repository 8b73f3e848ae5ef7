"""The reverse sweeps of docs/methods.md are the derivatives of the steps that the solvers take."""

import numpy as np
import pytest

from adjointbench.adjoints.steps.rosenbrock import rosenbrock_stages
from adjointbench.adjoints.steps.runge_kutta import step_stages
from adjointbench.adjoints.steps.tableau import Tableau
from adjointbench.adjoints.steps.tableaus import tableau

T, H = 0.3, 0.2
Y0, P = np.array([0.7, -0.4]), np.array([1.3, 0.8, 0.5])
W1 = np.array([0.9, -1.7])


def f(t, y, p):
    return np.array([p[0] * y[1] * np.sin(t) - y[0] ** 2, -p[1] * y[0] + np.cos(p[2] * t) * y[1]])


def jacobian(t, y, p):
    return np.array([[-2 * y[0], p[0] * np.sin(t)], [-p[1], np.cos(p[2] * t)]])


def f_p(t, y, p):
    return np.array([[y[1] * np.sin(t), 0, 0], [0, -y[0], -t * np.sin(p[2] * t) * y[1]]])


def f_t(t, y, p):
    return np.array([p[0] * y[1] * np.cos(t), -p[2] * np.sin(p[2] * t) * y[1]])


def f_t_y(t, y, p):
    return np.array([[0, p[0] * np.cos(t)], [0, -p[2] * np.sin(p[2] * t)]])


def f_t_p(t, y, p):
    last = -(np.sin(p[2] * t) + p[2] * t * np.cos(p[2] * t)) * y[1]
    return np.array([[y[1] * np.cos(t), 0, 0], [0, 0, last]])


def jk_y(t, y, p, k):
    """The derivative of ``J k`` by the state."""
    return np.array([[-2 * k[0], 0], [0, 0]])


def jk_p(t, y, p, k):
    return np.array([[np.sin(t) * k[1], 0, 0], [0, -k[0], -t * np.sin(p[2] * t) * k[1]]])


def stages_of(tab: Tableau, y, p):
    """The slopes of a step, by the solvers' own functions where they are for every backend."""
    if tab.kind == "explicit":
        return step_stages(f, tab, np.float64(T), y, np.float64(H), p, None, lambda t: t)[1]
    if tab.kind == "rosenbrock":
        matrix = np.eye(2) / tab.gamma - H * jacobian(T, y, p)
        solve = lambda right: np.linalg.solve(matrix, right)  # noqa: E731
        slopes = (f(T, y, p), f_t(T, y, p))
        return rosenbrock_stages(lambda t, y: f(t, y, p), tab, T, y, H, *slopes, solve)
    slopes: list = []
    for i in range(tab.steps):
        known = y + H * sum(tab.a[i, j] * slopes[j] for j in range(i))
        t, k = T + tab.c[i] * H, f(T, y, p)
        for _ in range(20):
            at = known + H * tab.a[i, i] * k
            matrix = np.eye(2) - H * tab.a[i, i] * jacobian(t, at, p)
            k = k - np.linalg.solve(matrix, k - f(t, at, p))
        slopes.append(k)
    return slopes


def step(tab: Tableau, y, p):
    stages = stages_of(tab, y, p)
    return y + H * sum(b * k for b, k in zip(tab.b[: tab.steps], stages, strict=False))


def by_complex_step(tab: Tableau) -> tuple[np.ndarray, np.ndarray]:
    def slope(dy, dp):
        return W1 @ step(tab, Y0 + 1e-30j * dy, P + 1e-30j * dp).imag / 1e-30

    zero_y, zero_p = np.zeros(2), np.zeros(3)
    return (
        np.array([slope(e, zero_p) for e in np.eye(2)]),
        np.array([slope(zero_y, e) for e in np.eye(3)]),
    )


def by_reverse_sweep(tab: Tableau) -> tuple[np.ndarray, np.ndarray]:
    """One step backwards, as docs/methods.md writes it."""
    a, b, s = tab.a, tab.b, tab.steps
    k = stages_of(tab, Y0, P)
    t = [T + c * H for c in tab.c[:s]]
    last = [i + 1 if tab.kind == "dirk" else i for i in range(s)]
    y = [Y0 + H * sum((a[i, j] * k[j] for j in range(last[i])), np.zeros(2)) for i in range(s)]
    jacobians = [jacobian(t[i], y[i], P) for i in range(s)]
    u = [np.zeros(2)] * s
    for i in reversed(range(s)):
        later = range(i + 1, s)
        u[i] = H * b[i] * W1 + H * sum((a[m, i] * u[m] @ jacobians[m] for m in later), np.zeros(2))
        if tab.kind == "rosenbrock":
            assert tab.coupling is not None
            u[i] = u[i] + sum((tab.coupling[m, i] * u[m] for m in later), np.zeros(2))
            u[i] = u[i] @ np.linalg.inv(np.eye(2) / tab.gamma - H * jacobian(T, Y0, P))
        elif tab.kind == "dirk":
            u[i] = u[i] @ np.linalg.inv(np.eye(2) - H * a[i, i] * jacobians[i])
    w = W1 + sum(u[i] @ jacobians[i] for i in range(s))
    mu = sum(u[i] @ f_p(t[i], y[i], P) for i in range(s))
    if tab.kind == "rosenbrock":
        assert tab.time_weights is not None
        d = tab.time_weights
        at = (T, Y0, P)
        w = w + sum(H * u[i] @ (jk_y(*at, k[i]) + d[i] * f_t_y(*at)) for i in range(s))
        mu = mu + sum(H * u[i] @ (jk_p(*at, k[i]) + d[i] * f_t_p(*at)) for i in range(s))
    return w, mu


@pytest.mark.parametrize(
    "name", ["tsit5", "dopri5", "rodas5p", "rodas4p", "kvaerno5", "implicit_midpoint"]
)
def test_reverse_sweep_of_a_step(name: str) -> None:
    tab = tableau(name)
    for found, expected in zip(by_reverse_sweep(tab), by_complex_step(tab), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
