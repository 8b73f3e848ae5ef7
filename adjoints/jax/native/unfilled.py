"""Storage that is not filled: memory that is never written to costs nothing.

XLA fills every array that it makes. A record of ``max_steps`` states of which a few are ever taken
would cost more than the solve: 88 ms for 128 states of 401,408 numbers beside 100 ms for a gradient
of four steps.
"""

from __future__ import annotations

import functools
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...native.compiler import NoCompilerError, loaded

#: The name of the handler.
TARGET = "adjointbench_unfilled"

#: Smaller arrays are filled with zeros: that takes as long as the call.
SMALLEST_BYTES = 1 << 14


def unfilled(shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """An array of any numbers on the CPU; of zeros where it is small or there is no C compiler."""
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
    text = files(__package__).joinpath("unfilled.c").read_text()
    try:
        library = loaded(text, f"-I{jax.ffi.include_dir()}")
    except NoCompilerError:
        return False
    handler = jax.ffi.pycapsule(library.leave_unfilled)
    jax.ffi.register_ffi_target(TARGET, handler, platform="cpu")
    return True
