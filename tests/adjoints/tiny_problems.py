"""Small problems with known gradients, for the tests of the methods."""

import numpy as np
from array_api_compat import array_namespace

from adjointbench import Problem


def decay(**changes):
    """y' = -k y with two saves; the gradient is elementary."""
    arguments = {
        "name": "decay",
        "rhs": lambda t, y, p: -p["k"] * y,
        "y0": np.array([1.5]),
        "params": {"k": np.array([0.5])},
        "t_span": (0.0, 2.0),
        "save_at": np.array([1.0, 2.0]),
        "loss": lambda ys, p: (ys**2).sum() + p["k"].sum(),
    }
    return Problem(**{**arguments, **changes})


def decay_gradient(k=0.5, y0=1.5, times=(1.0, 2.0)):
    """(loss, dk, dy0) of :func:`decay`, the loss's direct dependence included."""
    decayed = np.exp(-2 * k * np.asarray(times))
    dk = (-2 * np.asarray(times) * y0**2 * decayed).sum() + 1.0
    return (y0**2 * decayed).sum() + k, dk, (2 * y0 * decayed).sum()


DOSE_TIMES = (1.0, 2.0)
DOSE_SAVES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def doses(**changes):
    """Decay with a dose given at two times, saved before, at and after them."""

    def jump(i, t, y, p):
        return y * p["kept"] + p["dose"][i]

    arguments = {
        "name": "doses",
        "rhs": lambda t, y, p: -p["k"] * y,
        "y0": np.array([0.3]),
        "params": {"k": np.array([0.7]), "dose": np.array([1.0, 2.0]), "kept": np.array([0.9])},
        "t_span": (0.0, 3.0),
        "save_at": np.array(DOSE_SAVES),
        "loss": lambda ys, p: (ys[:, 0] ** 2).sum(),
        "jump_times": DOSE_TIMES,
        "jump": jump,
    }
    return Problem(**{**arguments, **changes})


def doses_loss(x):
    """The loss of :func:`doses` in closed form, of x = (k, dose1, dose2, kept, y0)."""
    k, dose1, dose2, kept, y0 = x

    def state(t):
        y = y0 * np.exp(-k * min(t, 1.0))
        for start, dose in zip(DOSE_TIMES, (dose1, dose2), strict=True):
            if t >= start:
                y = (y * kept + dose) * np.exp(-k * (min(t, start + 1.0) - start))
        return y

    return sum(state(t) ** 2 for t in DOSE_SAVES)


def doses_gradient():
    """The gradient of :func:`doses_loss` by a complex step."""
    x = np.array([0.7, 1.0, 2.0, 0.9, 0.3])
    step = 1e-30
    return np.array([doses_loss(x + 1j * step * e).imag / step for e in np.eye(5)])


def switch(**changes):
    """y' = a before t = 1 and b from then on: exact for every method that sees the correct side."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return xp.where(t < 1.0, p["slopes"][0], p["slopes"][1]) + 0 * y

    arguments = {
        "name": "switch",
        "rhs": rhs,
        "y0": np.array([0.5]),
        "params": {"slopes": np.array([1.0, -300.0])},
        "t_span": (0.0, 3.0),
        "save_at": np.array([1.0, 3.0]),
        "loss": lambda ys, p: ys[0, 0] * 10 + ys[1, 0],
        "discontinuities": (1.0,),
    }
    return Problem(**{**arguments, **changes})


def blow_up():
    """y' = k y^2 has a pole at t = 1."""
    return Problem(
        name="blow_up",
        rhs=lambda t, y, p: p["k"] * y**2,
        y0=np.array([1.0]),
        params={"k": np.array([1.0])},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: ys.sum(),
    )


def turns_nan():
    """A right-hand side that has no value after t = 1."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return -p["k"] * y * xp.sqrt(1.0 - t)

    return Problem(
        name="turns_nan",
        rhs=rhs,
        y0=np.array([1.0]),
        params={"k": np.array([1.0])},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: ys.sum(),
    )


def always_nan():
    """A right-hand side that never has a value."""
    return decay(name="always_nan", rhs=lambda t, y, p: p["k"] * y * float("nan"))


def oscillators(shape=(2, 3), **changes):
    """A state with axes, coupled over the last one, with a matrix of parameters."""

    def rhs(t, y, p):
        return y @ p["a"] + p["b"] * p["forcing"]

    rng = np.random.default_rng(1)
    arguments = {
        "name": "oscillators",
        "rhs": rhs,
        "y0": rng.normal(size=shape),
        "params": {"b": rng.normal(size=shape), "a": rng.normal(size=(shape[1], shape[1])) / 3},
        "constants": {"forcing": rng.normal(size=shape), "count": np.arange(3)},
        "t_span": (0.0, 1.0),
        "save_at": np.array([0.5, 1.0]),
        "loss": lambda ys, p: (ys[-1] ** 2).sum() + (ys[0] * p["b"]).sum(),
    }
    return Problem(**{**arguments, **changes})


def log_error(result, dparams, params):
    """Relative error of the gradient to the logarithm of the parameters."""

    def flat(arrays):
        return np.concatenate([np.ravel(arrays[name]) for name in params])

    p = flat(params)
    return np.linalg.norm(p * (flat(result.dparams) - flat(dparams))) / np.linalg.norm(
        p * flat(dparams)
    )


#: SUNDIALS CVODES, set-up of cvsLotkaVolterra_ASA; values re-computed with DOP853 forward
#: sensitivities, 7 digits.
LOTKA_VOLTERRA_DP = np.array([0.62196159, 0.0680014, 0.16917646, 0.27256069])
LOTKA_VOLTERRA_DY0 = np.array([0.29959951, -0.01415182])

#: dy1(1e4)/d(k1, k2, k3), k2 = 3e7: SciPy's Radau on the forward sensitivity equations at rtol
#: 1e-11, atol 1e-14; 7 digits.
ROBERTSON_DK = np.array([-3.43781691, -2.27961424e-9, 1.36776641e-5])
