"""One differentiable solve for all adjoints: record forwards, pull back in reverse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from ..attempts import CODES, Terms
from . import continuous, discrete, through_control
from .forward import solve_forward
from .record import Outputs, Pulled, outputs, solve_recording
from .state import Config, Operands

Tree = Any
ADJOINTS = ("discrete", "forward", *continuous.CONTINUOUS)


def recorder(config: Config) -> Callable[..., tuple[Outputs, Any]]:
    """``record(config, keep_steps, y0, operands)`` of the adjoint asked for."""
    return _module(config).record


def puller(config: Config) -> Callable[..., Pulled]:
    """``pull_back(config, kept, dys, dtotals)`` of the adjoint asked for."""
    return _module(config).pull_back


def _module(config: Config) -> Any:
    if config.adjoint != "discrete":
        return continuous
    return through_control if config.through_step_size else discrete


def solve_outputs(
    config: Config,
    keep_steps: bool,
    y0: jax.Array,
    params: Tree,
    save_at: jax.Array,
    rest: Operands,
) -> Outputs:
    """Solve; ``y0``, ``params`` (floating leaves only) and ``save_at`` can be differentiated.

    Parameters
    ----------
    config : Config
    keep_steps : bool
        Whether to return the accepted steps, ``max_steps`` rows of them.
    y0, params, save_at : array, pytree, array
    rest : Operands
        Everything else; its ``params`` and ``save_at`` are not read.
    """
    if config.adjoint == "forward":
        ops = rest._replace(params=params, save_at=save_at)
        return solve_forward(config, keep_steps, y0, ops)
    return _solve_reverse(config, keep_steps, y0, params, save_at, rest)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _solve_reverse(
    config: Config,
    keep_steps: bool,
    y0: jax.Array,
    params: Tree,
    save_at: jax.Array,
    rest: Operands,
) -> Outputs:
    ops = rest._replace(params=params, save_at=save_at)
    return outputs(solve_recording(config, y0, ops, keep_steps=keep_steps, keep_rows=False))


def _forward(config: Config, keep_steps: bool, *arguments: Any) -> Any:
    y0, params, save_at, rest = jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: hasattr(leaf, "perturbed")
    )
    ops = rest._replace(params=params, save_at=save_at)
    out, kept = recorder(config)(config, keep_steps, y0, ops)
    return out, (kept, out.final.status)


def _reverse(config: Config, keep_steps: bool, residuals: Any, cotangents: Outputs) -> Any:
    kept, status = residuals
    zero = lambda leaf: isinstance(leaf, SymbolicZero)  # noqa: E731
    dys = cotangents.ys
    dys = jnp.zeros(dys.shape, dys.dtype) if zero(dys) else dys
    dtotals = Terms(*(None if d is None or zero(d) else d for d in cotangents.totals))
    pulled = puller(config)(config, kept, dys, dtotals)
    ok = (status == CODES["ok"]) & (pulled.counts.status == CODES["ok"])
    dy0, dparams, dsave = jax.tree.map(
        lambda g: jnp.where(ok, g, jnp.nan), (pulled.dy0, pulled.dparams, pulled.dsave_at)
    )
    return dy0, dparams, dsave, None


_solve_reverse.defvjp(_forward, _reverse, symbolic_zeros=True)
