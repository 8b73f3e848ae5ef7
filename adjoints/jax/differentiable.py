"""One differentiable solve for all adjoints: record forwards, pull back in reverse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from ..steps.acceptance import CODES, Terms
from . import continuous, discrete, through_control
from .config import Config
from .forward_mode import solve_forward
from .forward_pass import outputs, solve_recording
from .mass import begun
from .native import engine
from .outcomes import Outputs, Pulled
from .reverse_warnings import differentiated_once, tell_breakdown
from .slopes_by_times import saves_by_time, start_by_time
from .state import Operands

Tree = Any
ADJOINTS = ("discrete", "forward", *continuous.CONTINUOUS)


def recorder(config: Config) -> Callable[..., tuple[Outputs, Any]]:
    """``record(config, keep_steps, y0, operands)`` of the adjoint asked for."""
    return _module(config).record


def puller(config: Config) -> Callable[..., Pulled]:
    """``pull_back(config, kept, dys, dtotals, dpath, dbefore)`` of the adjoint asked for."""
    return _module(config).pull_back


def _module(config: Config) -> Any:
    if config.native is not None:
        return engine
    if config.adjoint in continuous.CONTINUOUS:
        return continuous
    return through_control if config.through_step_size else discrete


def undifferentiated(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> Outputs:
    """Solve, with nothing kept for a reverse pass."""
    if config.native is not None:
        return engine.outputs(config, y0, ops)
    return outputs(solve_recording(config, y0, ops, keep_steps=keep_steps, keep_rows=False))


def solve_outputs(
    config: Config,
    keep_steps: bool,
    y0: jax.Array,
    params: Tree,
    t0: jax.Array,
    save_at: jax.Array,
    rest: Operands,
) -> Outputs:
    """Solve; ``y0``, ``params`` (floating leaves only) and all times can be differentiated.

    Parameters
    ----------
    config : Config
    keep_steps : bool
        Whether to return the accepted steps, ``max_steps`` rows of them.
    y0, params : array, pytree
    t0, save_at : array
    rest : Operands
        Everything else; its ``params`` are not read, and its times are held.
    """
    ops = rest._replace(params=params)
    y0, ops = begun(config, t0, y0, ops)
    rest = rest._replace(begins=ops.begins)
    start = start_by_time(config, t0, y0, ops)
    out: Any
    if config.adjoint == "forward":
        out = solve_forward(config, keep_steps, start, ops)
    else:
        out = _solve_reverse(config, keep_steps, start, params, rest)
    y_end = out.ys[-1] if config.dense_output else None
    if out.met is not None:
        ops = ops._replace(stops=out.met.stops)
    return out._replace(ys=saves_by_time(config, save_at, out.ys, ops), y_end=y_end)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _solve_reverse(
    config: Config,
    keep_steps: bool,
    y0: jax.Array,
    params: Tree,
    rest: Operands,
) -> Outputs:
    return undifferentiated(config, keep_steps, y0, rest._replace(params=params))


# Traced once for all solves of a program that differ in numbers alone.
_recorded = jax.jit(lambda config, *given: recorder(config)(config, *given), static_argnums=(0, 1))
_pulled_back = jax.jit(lambda config, *given: puller(config)(config, *given), static_argnums=0)


def _forward(config: Config, keep_steps: bool, *arguments: Any) -> Any:
    y0, params, rest = jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: hasattr(leaf, "perturbed")
    )
    if config.adjoint in continuous.CONTINUOUS:
        y0, params = differentiated_once((y0, params))
    ops = rest._replace(params=params)
    out, kept = _recorded(config, keep_steps, y0, ops)
    return out, (kept, out.final.status)


def _reverse(config: Config, keep_steps: bool, residuals: Any, cotangents: Outputs) -> Any:
    kept, status = residuals
    zero = lambda leaf: isinstance(leaf, SymbolicZero)  # noqa: E731
    dys = cotangents.ys
    dys = jnp.zeros(dys.shape, dys.dtype) if zero(dys) else dys
    dtotals = Terms(*(None if d is None or zero(d) else d for d in cotangents.totals))
    dpath = None if zero(cotangents.path) else cotangents.path
    met = cotangents.met
    dbefore = None if met is None or zero(met.before) else met.before
    pulled = _pulled_back(config, kept, dys, dtotals, dpath, dbefore)
    ahead = status == CODES["ok"]
    back = jnp.where(ahead, pulled.counts.status, CODES["ok"]).astype(jnp.int32)
    if config.adjoint in continuous.CONTINUOUS:
        back = tell_breakdown(back)
    ok = ahead & (back == CODES["ok"])
    dy0, dparams = jax.tree.map(lambda g: jnp.where(ok, g, jnp.nan), (pulled.dy0, pulled.dparams))
    return dy0, dparams, None


_solve_reverse.defvjp(_forward, _reverse, symbolic_zeros=True)
