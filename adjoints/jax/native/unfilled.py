"""Storage that is not filled: memory that is never written to costs nothing.

XLA fills every array that it makes. A record of ``max_steps`` states of which a few are ever taken
would cost more than the solve: 88 ms for 128 states of 401,408 numbers beside 100 ms for a gradient
of four steps.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap

from ...native.compiler import NoCompilerError
from .handlers import handler_library, register

#: The name of the handler.
TARGET = "adjointbench_unfilled"

#: Smaller arrays are filled with zeros: that takes as long as the call.
SMALLEST_BYTES = 1 << 14


def unfilled(shape: tuple[int, ...], dtype: jnp.dtype, beside: jax.Array) -> jax.Array:
    """An array of any numbers on the CPU; of zeros where it is small or there is no C compiler.

    Under ``vmap`` there is one for each lane of `beside`, any array that is at hand. Without it one
    array would be made for all, and copied for each.
    """

    @custom_vmap
    def alone(beside: jax.Array) -> jax.Array:
        return _left(shape, dtype)

    @alone.def_vmap
    def _(lanes: int, batched: Any, beside: jax.Array) -> tuple[jax.Array, bool]:
        flat = unfilled((lanes * shape[0], *shape[1:]), dtype, beside)
        return flat.reshape(lanes, *shape), True

    return alone(lax.stop_gradient(beside))


def _left(shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    like = jax.ShapeDtypeStruct(shape, dtype)
    size = like.size * like.dtype.itemsize
    if size < SMALLEST_BYTES or not _registered():
        return jnp.zeros(shape, dtype)

    def leave() -> jax.Array:
        return jax.ffi.ffi_call(TARGET, like)(row=np.int64(size // shape[0]))

    return lax.platform_dependent(cpu=leave, default=lambda: jnp.zeros(shape, dtype))


@functools.cache
def _registered() -> bool:
    """Whether XLA knows the handler, compiled against the headers of this jaxlib."""
    assert __package__ is not None
    try:
        library = handler_library(__package__, "unfilled.c")
    except NoCompilerError:
        return False
    register(TARGET, library.leave_unfilled)
    return True
