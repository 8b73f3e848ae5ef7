"""The derivative formulas on JAX: compiled ahead of time, safe to call inside a callback.

A callback that JAX makes (:func:`jax.pure_callback`) may itself call compiled JAX programs on
the CPU: they run in the calling thread. What may *not* happen there is a compilation, or a
transfer of more than about 100 kB to the device: JAX hands such a transfer to the thread pool
that may be waiting for the very callback, and on a single core that is a deadlock. Hence
programs are compiled beforehand, and large vectors travel in small pieces.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .formulas import Formula, Framework

#: Elements of a float64 vector that travel at once: 64 kB.
PIECE = 8192


def split(vector: Any) -> list[Any]:
    """A vector in pieces that are safe to transfer inside a callback."""
    return [vector[i : i + PIECE] for i in range(0, max(vector.size, 1), PIECE)]


def double(size: int) -> jax.ShapeDtypeStruct:
    """The type of a float64 vector."""
    return jax.ShapeDtypeStruct((size,), jnp.float64)


class JaxBackend:
    """Runs the derivative formulas on JAX's CPU, in float64 whatever the global setting is."""

    name = "jax"
    framework = Framework(vjp=jax.vjp, jacfwd=jax.jacfwd, jacrev=jax.jacrev, concat=jnp.concatenate)

    def __init__(self) -> None:
        self._joiners: dict[int, Callable[[list[Any]], jax.Array]] = {}

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """64-bit numbers on the CPU, without touching the global configuration."""
        with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
            yield

    def compile(
        self, formula: Formula, size: int, m: int, constants: Mapping[str, np.ndarray]
    ) -> Callable[[np.ndarray, Any], np.ndarray]:
        """Compile `formula` for vectors of `size` and parameters of size `m`."""
        given = {name: jnp.asarray(value) for name, value in constants.items()}
        program = jax.jit(formula).lower(double(size), double(m), given).compile()
        self._prepare_to_put(size)
        self._prepare_to_put(m)
        return lambda z, theta: np.asarray(program(self.put(z), theta, given))

    def put(self, theta: np.ndarray) -> Any:
        """A vector for a compiled program; as it is where it is small."""
        if theta.size <= PIECE:
            return theta
        return self._joiners[theta.size](split(theta))

    def _prepare_to_put(self, size: int) -> None:
        if size <= PIECE or size in self._joiners:
            return
        pieces = [double(piece.size) for piece in split(np.empty(size))]
        self._joiners[size] = jax.jit(jnp.concatenate).lower(pieces).compile()
