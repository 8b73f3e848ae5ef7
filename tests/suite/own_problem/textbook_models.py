"""Two models as users bring them: from textbooks, fitted to data, one of them stiff."""

import numpy as np
from array_api_compat import array_namespace

import adjointbench as ab

TIMES = np.linspace(1.0, 20.0, 20)


def michaelis_menten():
    """E + S <-> ES -> E + P: binding is a million times faster than the time span is long."""

    def rhs(t, y, p):
        on, off, make = p["k"][0], p["k"][1], p["k"][2]
        binds = on * y[1] * y[0] - off * y[2]
        makes = make * y[2]
        return array_namespace(y).stack([-binds, makes - binds, binds - makes, makes])

    return ab.Problem(
        name="michaelis_menten",
        rhs=rhs,
        y0=np.array([1.0, 0.01, 0.0, 0.0]),
        params={"k": np.array([1e6, 1e3, 10.0])},
        t_span=(0.0, 20.0),
        save_at=TIMES,
        loss=lambda ys, p: ((ys[:, 3] - p["data"]) ** 2).sum(),
        constants={"data": 1.0 - np.exp(-0.12 * TIMES)},
    )


def fitzhugh_nagumo():
    """A nerve that fires: two states, no stiffness to speak of at these values."""

    def rhs(t, y, p):
        a, b, c = p["theta"][0], p["theta"][1], p["theta"][2]
        v, r = y[0], y[1]
        return array_namespace(y).stack([c * (v - v**3 / 3 + r), -(v - a + b * r) / c])

    return ab.Problem(
        name="fitzhugh_nagumo",
        rhs=rhs,
        y0=np.array([-1.0, 1.0]),
        params={"theta": np.array([0.2, 0.2, 3.0])},
        t_span=(0.0, 20.0),
        save_at=TIMES,
        loss=lambda ys, p: ((ys - p["data"]) ** 2).sum(),
        constants={"data": np.stack([2 * np.cos(0.6 * TIMES), np.sin(0.6 * TIMES)], axis=1)},
    )
