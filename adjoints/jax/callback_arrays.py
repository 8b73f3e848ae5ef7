"""Callbacks whose arrays arrive whole, whose caller does not hang, and that cost little.

JAX hands the arguments of a callback over as its own arrays. Where the *caller's* 64-bit mode is
off, float64 arguments so become float32, even in a program compiled with it on; and a transfer of
more than about 100 kB is left to a pool thread, which on a single core may be the very one that
waits for the callback to return. Each array also costs some fifty microseconds. Hence everything
travels together, as one vector of 32-bit words, in pieces where it is large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

#: Words that travel in one piece: 64 kB.
PIECE = 16384

#: The type of an integer in a parcel.
INTEGER = jax.ShapeDtypeStruct((), jnp.int32)


class Parcel:
    """Arrays of known types as one vector of words.

    Parameters
    ----------
    *types : jax.ShapeDtypeStruct
        int32, float32 or float64.
    """

    def __init__(self, *types: jax.ShapeDtypeStruct) -> None:
        self._types = types
        sizes = [int(np.prod(t.shape)) * (np.dtype(t.dtype).itemsize // 4) for t in types]
        self._ends = np.cumsum([0, *sizes])

    @property
    def words(self) -> jax.ShapeDtypeStruct:
        """The type of the vector of words."""
        return jax.ShapeDtypeStruct((int(self._ends[-1]),), jnp.uint32)

    def send(self, *arrays: jax.Array) -> list[jax.Array]:
        """In the program: the words of `arrays`, in pieces."""
        parts = [lax.bitcast_convert_type(a, jnp.uint32).reshape(-1) for a in arrays]
        words = jnp.concatenate(parts)
        return [words[i : i + PIECE] for i in range(0, max(words.size, 1), PIECE)]

    def land(self, pieces: Sequence[Any]) -> list[np.ndarray]:
        """In the callback: the arrays that were sent, floating ones as float64."""
        words = np.concatenate([np.asarray(piece) for piece in pieces])
        arrays = (part.view(t.dtype).reshape(t.shape) for part, t in self._parts(words))
        return [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]

    def pack(self, *values: Any) -> np.ndarray:
        """In the callback: the words of `values`, for the way back."""
        # What is too large for single precision arrives as infinite.
        with np.errstate(over="ignore"):
            arrays = [np.ravel(v).astype(t.dtype) for v, t in zip(values, self._types, strict=True)]
        return np.concatenate([array.view(np.uint32) for array in arrays])

    def receive(self, words: jax.Array) -> list[jax.Array]:
        """In the program: the arrays that came back."""
        return [_from_words(part, t) for part, t in self._parts(words)]

    def _parts(self, words: Any) -> list[tuple[Any, jax.ShapeDtypeStruct]]:
        ends = self._ends
        return [(words[ends[i] : ends[i + 1]], t) for i, t in enumerate(self._types)]


def call(
    function: Callable[..., Sequence[Any]], takes: Parcel, gives: Parcel, *arrays: jax.Array
) -> list[jax.Array]:
    """Call a NumPy function from a JAX program; once a lane under ``vmap``.

    Parameters
    ----------
    function : callable
        Takes arrays of the types of `takes`, floating ones as float64, and returns those of
        `gives`.
    takes, gives : Parcel
    *arrays : jax.Array
    """

    def run(pieces: list[Any]) -> np.ndarray:
        return gives.pack(*function(*takes.land(pieces)))

    words = jax.pure_callback(run, gives.words, takes.send(*arrays), vmap_method="sequential")
    return gives.receive(words)


def joined(parts: list[jax.Array], dtype: Any) -> jax.Array:
    """All `parts` in one vector, which may be empty."""
    return jnp.concatenate([jnp.zeros(0, dtype), *(part.reshape(-1) for part in parts)])


def _from_words(words: jax.Array, kind: jax.ShapeDtypeStruct) -> jax.Array:
    pairs = words.reshape((*kind.shape, 2)) if np.dtype(kind.dtype).itemsize == 8 else words
    return lax.bitcast_convert_type(pairs, kind.dtype).reshape(kind.shape)
