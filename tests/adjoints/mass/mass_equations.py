"""Equations with mass matrices for the tests of every framework, and their solutions."""

import numpy as np
from array_api_compat import array_namespace

#: ``y' = -k z``, ``0 = z^2 - (1 + sin t)^2 y^2`` in other unknowns and other equations:
#: ``y = A u`` and each equation a combination, so that no row and no column of M is zero.
EQUATIONS = np.array([[1.0, 0.5], [-0.3, 2.0]])
UNKNOWNS = np.array([[1.0, 0.25], [0.5, -1.0]])
MASS = EQUATIONS @ np.diag([1.0, 0.0]) @ UNKNOWNS

#: y(0) = 1, and z(0) = 1 only roughly.
ROUGH = np.linalg.solve(UNKNOWNS, [1.0, 0.8])
RATE, END = 0.7, 2.0


def rhs(t, u, p):
    """In the array API."""
    xp = array_namespace(u)
    y = UNKNOWNS[0, 0] * u[0] + UNKNOWNS[0, 1] * u[1]
    z = UNKNOWNS[1, 0] * u[0] + UNKNOWNS[1, 1] * u[1]
    slope, apart = -p["k"] * z, z**2 - ((1 + xp.sin(t)) * y) ** 2
    return xp.stack([row[0] * slope + row[1] * apart for row in EQUATIONS.tolist()])


def jacobian(t, u, p):
    """In NumPy."""
    y, z = UNKNOWNS @ u
    inner = np.array([[0.0 * y, -p["k"]], [-2 * (1 + np.sin(t)) ** 2 * y, 2 * z]])
    return EQUATIONS @ inner @ UNKNOWNS


def time_slope(t, u, p):
    """In NumPy."""
    y, _ = UNKNOWNS @ u
    return EQUATIONS @ np.array([0.0 * y, -2 * (1 + np.sin(t)) * np.cos(t) * y**2])


def exact(t, k=RATE, y0=1.0):
    """The solution at a time."""
    y = y0 * np.exp(-k * (t + 1 - np.cos(t)))
    return np.linalg.solve(UNKNOWNS, np.stack([y, (1 + np.sin(t)) * y]))


def by_rate(t, k=RATE):
    """Its derivative by the rate."""
    return -(t + 1 - np.cos(t)) * exact(t, k)


def by_start(t):
    """Its derivative by the rough start values, of which ``y(0)`` alone counts."""
    return np.outer(exact(t), UNKNOWNS[0])


SHIFT, BREAK, DOSES = 0.4, 0.8, (0.5, END)
KICKED = {"k": RATE, "shift": SHIFT, "dose": 0.3}


def switched(t, u, p):
    """``y' = -k z``, ``0 = z - y``, from the break on ``0 = z - y - shift``."""
    xp = array_namespace(u)
    shift = xp.where(t >= BREAK, p["shift"], 0.0 * p["shift"])
    return xp.stack([-p["k"] * u[1], u[1] - u[0] - shift])


def dose(i, t, u, p):
    """A jump of y, which leaves z to the equations."""
    return u + array_namespace(u).stack([p["dose"], 0.0 * p["dose"]])


#: How it is solved: arguments of ``solve`` besides start, saves and parameters.
SWITCHED = {
    "mass": np.diag([1.0, 0.0]),
    "solver": "rodas5p",
    "rtol": 1e-8,
    "atol": 1e-10,
    "discontinuities": (BREAK,),
    "jump_times": DOSES,
    "jump": dose,
}


def switched_exact(p, y0=1.0):
    """The states at 0.6 and at the end, its dose included; complex numbers pass through."""
    decay = lambda t: np.exp(-p["k"] * t)  # noqa: E731
    at = y0 * decay(0.5) + p["dose"]
    broken = (at * decay(0.3) + p["shift"]) * decay(END - BREAK) - p["shift"] + p["dose"]
    return np.array([[at * decay(0.1)] * 2, [broken, broken + p["shift"]]])


def switched_derivative(name):
    """The derivative of :func:`switched_exact` by a parameter."""
    return switched_exact({**KICKED, name: KICKED[name] + 1e-30j}).imag / 1e-30
