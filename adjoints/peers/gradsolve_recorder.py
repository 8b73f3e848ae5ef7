"""gradsolve's recorder: the steps of an adaptive solve, to be replayed by :mod:`.gradsolve`."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...problems import Problem
from ..program import Settings
from ..scipy.flat import flat_system, pack

# It switches the whole process to double precision when it is imported.
_BEFORE = jax.config.read("jax_enable_x64")
try:
    from gradsolve.solvers.dense import vmap_saveat as vmap_saveat
    from gradsolve.solvers.method import TSIT5_METHOD
    from gradsolve.solvers.record_jax import record_adaptive_jax
    from gradsolve.solvers.rodas5p_replay import replay_rodas5p_jax
    from gradsolve.solvers.rodas5p_step import RODAS5P_METHOD
    from gradsolve.solvers.vern7_replay import replay_vern7_jax
    from gradsolve.solvers.vern7_step import VERN7_METHOD
    from gradsolve.warp.warp_replay import replay_solve_jax
finally:
    jax.config.update("jax_enable_x64", _BEFORE)

#: Its methods, and their replays to the end of the span.
SOLVERS = {
    "tsit5": (TSIT5_METHOD, replay_solve_jax),
    "vern7": (VERN7_METHOD, replay_vern7_jax),
    "rodas5p": (RODAS5P_METHOD, replay_rodas5p_jax),
}

#: How its errors go on, and the status that each stands for.
ERRORS = {"exhausted max_steps": "max_steps", "underflow floor": "step_too_small"}

#: Steps for which there is room in a recording before it is known how many there are.
ROOM = 1024

_OUT_OF_STEPS = (
    "gradsolve used up max_steps or met a value that is not finite, which it tells alike; "
    "raise max_steps, loosen the tolerances, or use an implicit solver if the problem is stiff"
)


class Steps(NamedTuple):
    """A recording: its step sizes, shape ``(1, n)``, and how many there are without padding."""

    sizes: np.ndarray
    accepted: int
    rejected: int


class Breakdown(Exception):
    """No recording: one of our statuses."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status
        self.message = _OUT_OF_STEPS if status == "max_steps" else ""


class Recorder:
    """Records the steps of a problem, in storage that grows with what it has seen.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    equations : SimpleNamespace
        From :func:`equations_of`.

    Attributes
    ----------
    room : int
        Steps for which a recording begins with storage.
    """

    def __init__(self, problem: Problem, settings: Settings, equations: SimpleNamespace) -> None:
        self._names = tuple(problem.params)
        self._settings = settings
        self._equations = equations
        self.room = ROOM

    def __call__(self, params: Mapping[str, Any], y0: Any) -> Steps:
        """The steps of an adaptive solve at `params` and `y0`; ``Breakdown`` where it fails."""
        settings, method = self._settings, SOLVERS[self._settings.solver][0]
        start = np.asarray(y0, np.float64).reshape(1, -1)
        theta = pack({name: np.asarray(params[name]) for name in self._names})
        try:
            with jax.enable_x64(True):
                _, sizes, accepted, rejected = record_adaptive_jax(
                    method,
                    self._equations.f_jax,
                    start,
                    theta[None],
                    self._equations.t0,
                    self._equations.t1,
                    rtol=settings.rtol,
                    atol=settings.atol,
                    dt0=settings.first_step,
                    max_steps=settings.max_steps,
                    cap0=self.room,
                )
        except RuntimeError as error:
            raise Breakdown(_status(error)) from error
        if accepted[0] > self.room:
            # Or it would look for the room again, solve by solve.
            self.room = 1 << int(accepted[0]).bit_length()
        return Steps(sizes, int(accepted[0]), int(rejected[0]))


def padded(steps: int) -> int:
    """The length to which so many steps are filled up: one of eight for each power of two."""
    unit = max(1, (1 << (steps - 1).bit_length()) // 16)
    return -(-steps // unit) * unit


def equations_of(problem: Problem) -> SimpleNamespace:
    """What gradsolve takes for a problem, and our loss of the states at the saves."""
    system = flat_system(problem)
    t0, t1 = (float(t) for t in problem.t_span)
    return SimpleNamespace(
        name=problem.name,
        dim=system.n,
        t0=t0,
        t1=t1,
        f_jax=lambda t, y, theta: system.rhs(t, y, theta, _on_jax(system.constants)),
        loss=lambda ys, theta: system.loss(ys, theta, _on_jax(system.constants)),
    )


def _on_jax(constants: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: jnp.asarray(value) for name, value in constants.items()}


def _status(error: RuntimeError) -> str:
    """The status that an error of the recorder stands for; raised again if it stands for none."""
    for said, status in ERRORS.items():
        if said in str(error):
            return status
    raise error
