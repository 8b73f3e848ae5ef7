"""How arrays travel between a JAX program and a callback, whole and without a deadlock.

JAX hands the arguments of a callback over as its own arrays, with two consequences. Where the
*caller's* 64-bit mode is off, float64 arguments become float32, even in a program compiled with
it on: so 64-bit numbers travel as pairs of 32-bit words. And a transfer of more than about 100 kB
is left to a pool thread, which on a single core may be the one that waits for the callback to
return: so vectors travel in small pieces.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..scipy.jax_derivatives import split


def words(size: int, dtype: Any) -> jax.ShapeDtypeStruct:
    """The type of a vector that comes back from a callback."""
    return jax.ShapeDtypeStruct(_shape(size, dtype), _word(dtype))


def send(vector: jax.Array) -> list[jax.Array]:
    """A vector as arguments of a callback."""
    if vector.dtype != np.float64:
        return split(vector)
    return [lax.bitcast_convert_type(piece, jnp.uint32) for piece in split(vector)]


def land(pieces: list[Any], dtype: Any) -> np.ndarray:
    """In the callback: the vector that was sent, as float64."""
    arrays = [np.ascontiguousarray(piece).view(dtype).reshape(-1) for piece in pieces]
    return np.concatenate(arrays).astype(np.float64)


def give_back(values: np.ndarray, dtype: Any) -> np.ndarray:
    """In the callback: a result for its way into JAX, of type :func:`words`."""
    vector = np.ascontiguousarray(values, dtype=dtype).reshape(-1)
    return vector.view(_word(dtype)).reshape(_shape(vector.size, dtype))


def receive(result: jax.Array, dtype: Any) -> jax.Array:
    """The vector that a callback gave back."""
    return lax.bitcast_convert_type(result, dtype) if dtype == np.float64 else result


def _word(dtype: Any) -> Any:
    return jnp.uint32 if dtype == np.float64 else dtype


def _shape(size: int, dtype: Any) -> tuple[int, ...]:
    return (size, 2) if dtype == np.float64 else (size,)
