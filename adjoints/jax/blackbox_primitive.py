"""A solve by SciPy as one operation of JAX, with the continuous adjoint as its derivative.

The forward solve is a :func:`jax.pure_callback`. The derivative is a second callback, which solves
forward again, keeping the dense output, and then the adjoint backwards
(:mod:`...scipy.continuous`); nothing but parameters and start value is kept between the two. How
the arrays travel is told in :mod:`.wire`. In the callbacks, ``rhs`` itself is plain NumPy; its
derivatives are JAX programs that were compiled before, and that XLA executes in the callback's
own thread.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..result import STATUSES
from ..scipy.continuous import Adjoint, compile_adjoint, solve_adjoint
from ..scipy.derivatives import Derivatives
from ..scipy.flat import FlatSystem
from ..scipy.integrate import IMPLICIT, Counts, Options
from ..scipy.primal import solve_primal
from ..scipy.segments import Schedule, Trajectory
from . import wire

#: Counts that a solve reports, in this order; -1 where SciPy does not tell.
COUNTS: tuple[str, ...] = (
    "status",
    "steps",
    "rejected",
    "rhs_evals",
    "jacobian_evals",
    "linear_solves",
)

_COUNTS_TYPE = jax.ShapeDtypeStruct((len(COUNTS),), jnp.int32)


@dataclass(frozen=True, eq=False)
class Blackbox:
    """One compiled way of solving: equations, times, solvers. Static in JAX programs."""

    derivatives: Derivatives
    plan: Schedule
    options: Options
    reverse: Options

    @property
    def system(self) -> FlatSystem:
        """The equations on flat vectors."""
        return self.derivatives.system

    def compile(self) -> float:
        """Compile the derivatives that the reverse pass needs; the seconds it took."""
        return _compile(self)

    def forward(self, theta: np.ndarray, y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Saved states and counts, on NumPy."""
        trajectory = self._solve(theta, y0, keep=False)
        return trajectory.ys, _report(trajectory.status, trajectory.counts)

    def backward(
        self, theta: np.ndarray, y0: np.ndarray, dys: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cotangents of parameters and start value, and counts, on NumPy."""
        with self.derivatives.active():
            trajectory = self._solve(theta, y0, keep=True)
            adjoint = Adjoint(trajectory.status, np.zeros(0), np.zeros(0), trajectory.counts)
            if adjoint.status == "ok":
                adjoint = solve_adjoint(
                    self.derivatives.at(theta), self.plan, trajectory, dys, self.reverse
                )
        report = _report(adjoint.status, adjoint.counts)
        if adjoint.status != "ok":
            return np.full(theta.shape, np.nan), np.full(y0.shape, np.nan), report
        return adjoint.dtheta, adjoint.dy0, report

    def _solve(self, theta: np.ndarray, y0: np.ndarray, *, keep: bool) -> Trajectory:
        functions = self.system.at(theta)
        own = self.system.jacobian_function is not None
        return solve_primal(
            functions,
            y0,
            self.plan,
            self.options,
            jacobian=(lambda t, y: self.system.jacobian(t, y, theta)) if own else None,
            keep=keep,
        )


@functools.cache
def _compile(box: Blackbox) -> float:
    implicit = box.reverse.solver in IMPLICIT
    return compile_adjoint(box.derivatives, box.plan, implicit=implicit)


def _report(status: str, counts: Counts) -> np.ndarray:
    rejected = -1 if counts.rejected is None else counts.rejected
    work = (counts.steps, rejected, counts.rhs_evals, counts.jacobian_evals, counts.linear_solves)
    return np.array([STATUSES.index(status), *work], dtype=np.int32)


def solve_blackbox(
    box: Blackbox, theta: jax.Array, y0: jax.Array, probe: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Saved states, shape ``(saves, n)``, and :data:`COUNTS` of the forward solve.

    ``probe`` holds zeros; its cotangent carries :data:`COUNTS` of the reverse pass, which has no
    other way out of a derivative.
    """
    return _solve(box, theta, y0, probe)  # type: ignore[return-value]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _solve(
    box: Blackbox, theta: jax.Array, y0: jax.Array, probe: jax.Array
) -> tuple[jax.Array, jax.Array]:
    del probe
    n, saves, dtype = box.system.n, len(box.plan.save_at), y0.dtype

    def run(theta_pieces: list[Any], y0_pieces: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        ys, report = box.forward(wire.land(theta_pieces, dtype), wire.land(y0_pieces, dtype))
        return wire.give_back(ys, dtype), report

    ys, report = jax.pure_callback(
        run,
        (wire.words(saves * n, dtype), _COUNTS_TYPE),
        wire.send(theta),
        wire.send(y0),
        vmap_method="sequential",
    )
    return wire.receive(ys, dtype).reshape(saves, n), report


def _forward_rule(
    box: Blackbox, theta: jax.Array, y0: jax.Array, probe: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    box.compile()
    return solve_blackbox(box, theta, y0, probe), (theta, y0)


def _reverse_rule(
    box: Blackbox, kept: tuple[jax.Array, jax.Array], cotangents: tuple[jax.Array, Any]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    theta, y0 = kept
    dys, dtype, shape = cotangents[0], y0.dtype, cotangents[0].shape

    def run(
        theta_pieces: list[Any], y0_pieces: list[Any], dys_pieces: list[Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        dtheta, dy0, report = box.backward(
            wire.land(theta_pieces, dtype),
            wire.land(y0_pieces, dtype),
            wire.land(dys_pieces, dtype).reshape(shape),
        )
        return wire.give_back(dtheta, dtype), wire.give_back(dy0, dtype), report

    dtheta, dy0, report = jax.pure_callback(
        run,
        (wire.words(theta.size, dtype), wire.words(y0.size, dtype), _COUNTS_TYPE),
        wire.send(theta),
        wire.send(y0),
        wire.send(dys.reshape(-1)),
        vmap_method="sequential",
    )
    return wire.receive(dtheta, dtype), wire.receive(dy0, dtype), report.astype(dtype)


_solve.defvjp(_forward_rule, _reverse_rule)


def joined(parts: list[jax.Array], dtype: Any) -> jax.Array:
    """All `parts` in one vector, which may be empty."""
    return jnp.concatenate([jnp.zeros(0, dtype), *(part.reshape(-1) for part in parts)])
