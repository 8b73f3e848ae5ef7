"""What one training run is told."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..adjoints.arguments import check_name, number, positive, positive_int
from ..adjoints.methods import METHODS, Method, get_method, kinds, method_of, peers_on
from ..adjoints.options import check_device_name
from ..adjoints.regularizers.regularizer import NAMES, Regularizer
from .presets import Preset, Schedule, coefficients_of, get_preset
from .records import LOCAL_BIASED, RunRecord

BACKENDS = ("jax", "torch")
#: Regularisers whose draws enter the equations; the others' enter the loss alone.
_IN_EQUATIONS = ("jacobian", "steer")
#: Arguments of a task that a run decides.
_OWN = ("seed", "dtype")
#: The methods that train stochastic equations.
_STOCHASTIC = ("jax-discrete", "jax-forward")


@dataclass(frozen=True)
class RunSettings:
    """One training run: everything that its numbers depend on.

    Attributes
    ----------
    preset : Preset
    method : str
        A name of ``adjointbench.methods()``.
    regularizer : Regularizer or None
    coefficients : tuple of Schedule
        One a term of the regulariser.
    epochs, seed : int
    """

    preset: Preset
    method: str
    regularizer: Regularizer | None
    coefficients: tuple[Schedule, ...]
    epochs: int
    seed: int
    differentiate_step_size: bool = False
    device: str = "cpu"
    task_options: dict[str, Any] = field(default_factory=dict)

    @property
    def backend(self) -> str:
        """``"jax"`` or ``"torch"``."""
        return get_method(self.method).backend

    def record(self) -> RunRecord:
        """What identifies the run, in a form that JSON can hold."""
        return {
            "task": self.preset.name,
            "method": self.method,
            "regularizer": None if self.regularizer is None else asdict(self.regularizer),
            "coefficients": [[s.start, s.end] for s in self.coefficients],
            "epochs": self.epochs,
            "seed": self.seed,
            "differentiate_step_size": self.differentiate_step_size,
            "device": self.device,
            "task_options": self.task_options,
            "rtol": self.preset.rtol,
            "atol": self.preset.atol,
            "dtype": self.preset.dtype,
        }


def run_settings(
    task: str,
    *,
    regularizer: str | Regularizer = "none",
    coefficient: Any = None,
    backend: str = "jax",
    adjoint: str = "discrete",
    epochs: int | None = None,
    seed: int = 0,
    rtol: float | None = None,
    device: str = "cpu",
    differentiate_step_size: bool = False,
    **task_options: Any,
) -> RunSettings:
    """Checked settings, the preset's where nothing is said.

    Parameters
    ----------
    task : str
        A name of :data:`~adjointbench.training.presets.PRESETS`.
    regularizer : str or Regularizer
        ``"none"``, a name of :class:`~adjointbench.Regularizer`, or ``"local-biased"`` for
        ``"local"`` with times drawn as the accepted steps lie. A name alone takes the estimates
        as the published code forms them: the mean of the scaled error, the largest stiffness.
    coefficient : sequence, optional
        One a term: a number, or ``"100:10"`` to anneal.
    backend : {"jax", "torch"}
    adjoint : str
        Of the backend's methods, as ``"discrete"``, ``"backsolve"``, ``"interpolating"``,
        ``"blackbox"``; another library, as ``"diffrax"`` or ``"torchdiffeq"``, for the first of
        its methods; or a method's full name.
    epochs, seed : int, optional
    rtol : float, optional
        In place of the preset's; ``atol`` goes with it.
    device : str
    differentiate_step_size : bool
    **task_options
        Passed to the task, as ``batch=64`` or ``path="mnist.npz"``.

    Raises
    ------
    ValueError
        Where a name is unknown or something does not go together.
    """
    preset = get_preset(task)
    if rtol is not None:
        preset = _at_tolerance(preset, positive("rtol", rtol))
    _check_options(preset, task_options)
    penalty = _as_published(regularizer, preset.reduction)
    name = "none" if penalty is None else penalty.name
    method = _method(backend, adjoint)
    if preset.stochastic:
        _check_stochastic(preset, method, name, differentiate_step_size)
    schedules = coefficients_of(preset, name, coefficient)
    if penalty is not None:
        _check_penalty(penalty, get_method(method))
    count = preset.epochs if epochs is None else positive_int("epochs", epochs)
    through_control = bool(differentiate_step_size)
    options = dict(task_options)
    return RunSettings(
        preset,
        method,
        penalty,
        schedules,
        count,
        _seed(seed),
        through_control,
        check_device_name(get_method(method), device),
        options,
    )


def _at_tolerance(preset: Preset, rtol: float) -> Preset:
    """The same at another tolerance, with ``atol`` in the same ratio."""
    return replace(preset, rtol=rtol, atol=preset.atol * (rtol / preset.rtol))


def _seed(seed: Any) -> int:
    found = number("seed", seed)
    if not 0 <= found < 2**32 or found != int(found):
        raise ValueError(f"seed={seed!r} must be a whole number from 0 to 2**32 - 1")
    return int(found)


def _check_options(preset: Preset, options: dict[str, Any]) -> None:
    settable = tuple(o for o in inspect.signature(preset.task).parameters if o not in _OWN)
    for option in options:
        if option not in settable:
            raise ValueError(
                f"option {option!r} of the task {preset.name!r} is not known; "
                f"it has: {', '.join(settable) or 'none'}"
            )


def _check_penalty(penalty: Regularizer, method: Method) -> None:
    refused = f"regularizer={penalty.name!r} cannot be trained with by method={method.name!r}"
    if not method.regularizes(penalty):
        able = ", ".join(m.name for m in METHODS if m.regularizes(penalty))
        raise ValueError(f"{refused}; use one of: {able}")
    if penalty.name in _IN_EQUATIONS and method.keeps_constants:
        raise ValueError(
            f"{refused}, which is prepared "
            "with the constants of its equations, and this one draws some anew at each step; use "
            "an open solver, as adjoint='discrete' or 'interpolating'"
        )


def _check_stochastic(
    preset: Preset, method: str, regularizer: str, differentiate_step_size: bool
) -> None:
    """Refuse what there is for ordinary differential equations alone."""
    task = f"the task {preset.name!r} is a stochastic differential equation"
    if method not in _STOCHASTIC:
        raise ValueError(
            f"adjoint={method!r}: {task}, for which there is no such method; use "
            "backend='jax' with adjoint='discrete' or 'forward'"
        )
    known = ("none", *preset.coefficients)
    if regularizer not in known:
        raise ValueError(
            f"regularizer={regularizer!r}: {task}, for which there are only those that are made "
            f"of the solver's steps; use one of: {', '.join(known)}"
        )
    if differentiate_step_size:
        raise ValueError(
            f"differentiate_step_size=True: {task}, whose steps are held fixed in the derivative; "
            "leave it out"
        )


def _as_published(regularizer: str | Regularizer, reduction: str | None) -> Regularizer | None:
    """The regulariser of this name; ``None`` for none."""
    if isinstance(regularizer, Regularizer):
        return regularizer
    check_name("regularizer", regularizer, ("none", *NAMES, LOCAL_BIASED))
    if regularizer == "none":
        return None
    if regularizer == LOCAL_BIASED:
        return Regularizer("local", reduction="mean", sampling="accepted")
    usual = "max" if regularizer == "stiffness" else "mean"
    return Regularizer(regularizer, norm="scaled", reduction=reduction or usual)


def _method(backend: str, adjoint: str) -> str:
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is not known; use one of: {', '.join(BACKENDS)}")
    names = {m.name for m in METHODS if m.backend == backend}
    if adjoint in names:
        return adjoint
    own, peers = kinds(backend), peers_on(backend)
    if adjoint in own:
        return method_of(adjoint, backend).name
    if adjoint not in peers:
        raise ValueError(
            f"adjoint={adjoint!r} is not known on backend={backend!r}; use one of: "
            f"{', '.join([*sorted(own), *peers])}"
        )
    return peers[adjoint].name
