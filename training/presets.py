"""The presets: what can be trained with nothing but a name."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..adjoints.arguments import check_name
from . import latent_task, stochastic_tasks, tasks
from .preset import Optimizer, Preset, Schedule

#: Of AdamW, on both backends.
WEIGHT_DECAY = 1e-4


#: As published for MNIST with the estimates of the published code: the mean of the scaled error
#: times h, annealed from 100 to 10, and the stiffness estimate by its largest value over 3.5068.
PUBLISHED = {
    "error": (Schedule(100.0, 10.0),),
    "error_squared": (Schedule(100.0, 10.0),),
    "stiffness": (Schedule(0.0285 / 3.5068),),
    "error+stiffness": (Schedule(100.0, 10.0), Schedule(0.0285 / 3.5068)),
    "taylor": (Schedule(3.02e-3),),
    "kinetic": (Schedule(1e-2),),
    "jacobian": (Schedule(1e-2),),
    "steer": (Schedule(0.5),),
    "local": (Schedule(2.5, 1.0),),
}

#: Chosen for digits on seeds 100 and 101, from 100:10, 10:1 and 1:0.1, as the cheapest within a
#: point of the best accuracy: the published one, the first, costs more.
_DIGITS = {
    **PUBLISHED,
    "error": (Schedule(10.0, 1.0),),
    "error+stiffness": (Schedule(10.0, 1.0), Schedule(0.0285 / 3.5068)),
}

#: As published for Physionet; what is published of MNIST alone as there.
PUBLISHED_PHYSIONET = {
    **PUBLISHED,
    "error": (Schedule(1000.0, 100.0),),
    "error_squared": (Schedule(1000.0, 100.0),),
    "stiffness": (Schedule(10.0 / 3.5068),),
    "error+stiffness": (Schedule(10.0), Schedule(1.0 / 3.5068)),
}

_LATENT = Optimizer("adamax", 1e-2, decay=1e-5)
_MOMENTUM = Optimizer("sgd", 0.1, 0.9, 1e-5)

#: As in the published code: 0.2 times the sum of the scaled error times h. What it took of the
#: stiffness is not kept; here it is the paper's sum, divided by the stability size of the solver
#: as in its other experiments.
_SPIRAL = {
    "error": (Schedule(0.2),),
    "error_squared": (Schedule(0.2),),
    "stiffness": (Schedule(0.2 / 10.6),),
    "error+stiffness": (Schedule(0.2), Schedule(0.2 / 10.6)),
}

_DIGITS_PRESET = Preset(
    "digits",
    "8 x 8 digits, 64-32-64 with time, batch 128: seconds",
    tasks.digits,
    _MOMENTUM,
    epochs=60,
    rtol=1e-6,
    atol=1e-6,
    coefficients=_DIGITS,
)
_MNIST_PRESET = Preset(
    "mnist-published",
    "MNIST 784-100-784 with time, batch 512, tolerance 1.4e-8, at which the error estimate "
    "is rounding in float32: ten minutes on a core",
    tasks.mnist,
    _MOMENTUM,
    epochs=75,
    rtol=1.4e-8,
    atol=1.4e-8,
    coefficients=PUBLISHED,
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "two_spirals",
            "two-spirals classifier 2-64-64-2, 512 points: seconds",
            tasks.two_spirals,
            Optimizer("adam", 5e-3),
            epochs=250,
            rtol=1e-5,
            atol=1e-5,
            # Chosen on seeds 100 and 101 as for digits: the published ones keep it from learning
            # at all, and 10:1 costs more than a point against 1:0.1.
            coefficients={
                **PUBLISHED,
                "error": (Schedule(1.0, 0.1),),
                "error_squared": (Schedule(1.0, 0.1),),
                "error+stiffness": (Schedule(1.0, 0.1), Schedule(0.0285 / 3.5068)),
                "taylor": (Schedule(1e-4),),
            },
        ),
        _DIGITS_PRESET,
        replace(
            _DIGITS_PRESET,
            name="digits-float64",
            about="digits in float64 at the published tolerance, which is below rounding in "
            "float32",
            rtol=1.4e-8,
            atol=1.4e-8,
            dtype="float64",
        ),
        _MNIST_PRESET,
        replace(
            _MNIST_PRESET,
            name="mnist-published-float64",
            about="the same in float64, where it is no rounding: six minutes on a core and more",
            dtype="float64",
            max_steps=128,
        ),
        replace(
            _MNIST_PRESET,
            name="mnist",
            about="the published MNIST at 1e-5, the tightest power of ten at which little of the "
            "estimate is rounding in float32: two minutes on a core",
            rtol=1e-5,
            atol=1e-5,
            max_steps=128,
        ),
        Preset(
            "cubic_spiral",
            "trajectories of the cubic spiral, 2-50-2",
            tasks.cubic_spiral,
            Optimizer("adam", 1e-2),
            epochs=50,
            rtol=1e-6,
            atol=1e-6,
            coefficients=PUBLISHED,
        ),
        Preset(
            "stiff_neural_ode",
            "Robertson's reaction learnt by a network with scaled states and time",
            tasks.stiff_neural_ode,
            Optimizer("adamw", 5e-3),
            epochs=50,
            rtol=1e-6,
            atol=1e-8,
            dtype="float64",
            max_steps=1024,
            coefficients=PUBLISHED,
        ),
        Preset(
            "latent_ode",
            "latent ODE 10-50-10-50-10, irregularly seen sinusoids: two minutes on a core",
            latent_task.latent_ode,
            _LATENT,
            epochs=120,
            rtol=1e-7,
            atol=1e-7,
            dtype="float64",
            # Chosen on seed 100 from 1000:100, as published, 300:30 and 100:10, as the cheapest
            # that learns: the first does not in these epochs. The others are as published.
            coefficients={**PUBLISHED_PHYSIONET, "error": (Schedule(300.0, 30.0),)},
        ),
        Preset(
            "latent_ode-physionet",
            "the published latent ODE of Physionet, in float64, from path=set-a.tar.gz",
            latent_task.physionet,
            _LATENT,
            epochs=300,
            rtol=1.4e-8,
            atol=1.4e-8,
            dtype="float64",
            max_steps=512,
            coefficients=PUBLISHED_PHYSIONET,
        ),
        Preset(
            "spiral_sde",
            "noisy spiral by its means and variances, drift 2-50-2, 100 trajectories; an epoch is "
            "10 iterations",
            stochastic_tasks.spiral_sde,
            Optimizer("adabelief", 1e-2),
            epochs=25,
            rtol=0.3,
            atol=0.3,
            solver="sosri2",
            coefficients=_SPIRAL,
            reduction="sum",
            stochastic=True,
        ),
        Preset(
            "mnist_sde",
            "MNIST by a neural SDE of 32 states, 5,000 images instead of the published 60,000",
            stochastic_tasks.mnist_sde,
            Optimizer("adam", 1e-2, decay=1e-5),
            epochs=40,
            rtol=0.14,
            atol=0.14,
            solver="sosri2",
            coefficients={
                "error": (Schedule(10.0),),
                "error_squared": (Schedule(10.0),),
                "stiffness": (Schedule(0.1 / 10.6),),
                "error+stiffness": (Schedule(10.0), Schedule(0.1 / 10.6)),
            },
            stochastic=True,
        ),
    )
}


def get_preset(name: str) -> Preset:
    """The preset of this name.

    Raises
    ------
    ValueError
        Where it is unknown, with close matches.
    """
    check_name("task", name, tuple(PRESETS))
    return PRESETS[name]


def coefficients_of(preset: Preset, regularizer: str, given: Any = None) -> tuple[Schedule, ...]:
    """The schedules of a regulariser's coefficients: the preset's own, or those `given`.

    Parameters
    ----------
    preset : Preset
    regularizer : str
        A regulariser's name, or ``"none"``.
    given : sequence of str or float or Schedule, optional
        ``"100:10"`` is annealed, ``"0.1"`` is constant.

    Raises
    ------
    ValueError
        Where a coefficient is no number, or there is nothing to multiply.
    """
    if regularizer == "none":
        if given:
            raise ValueError(
                f"coefficient={given!r}: there is no regularizer to multiply; name one, as "
                "regularizer='error'"
            )
        return ()
    if given:
        return tuple(_schedule(value) for value in given)
    return preset.coefficients[regularizer]


def _schedule(value: Any) -> Schedule:
    if isinstance(value, Schedule):
        return value
    start, colon, end = str(value).partition(":")
    try:
        found = Schedule(float(start), float(end) if colon else None)
    except ValueError:
        found = Schedule(math.nan)
    if not all(map(math.isfinite, (found.start, found.end or 0.0))):
        raise ValueError(
            f"coefficient={value!r} is not known; pass a number, as 0.1, or two to anneal from "
            "one to the other, as 100:10"
        )
    if found.end is not None and min(found.start, found.end) <= 0:
        raise ValueError(
            f"coefficient={value!r} is annealed exponentially; both ends must be positive, as in "
            "100:10"
        )
    return found
