"""The derivative formulas on JAX, compiled ahead of time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .derivative_formulas import Formula, Framework

FRAMEWORK = Framework(
    vjp=jax.vjp, jacfwd=jax.jacfwd, jacrev=jax.jacrev, second=jax.jacfwd, concat=jnp.concatenate
)


class JaxBackend:
    """Runs the derivative formulas on JAX's CPU, in float64 whatever the global setting is."""

    name = "jax"
    framework = FRAMEWORK

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
        program = jax.jit(formula).lower(_double(size), _double(m), given).compile()
        return lambda z, theta: np.asarray(program(z, theta, given))

    def put(self, theta: np.ndarray) -> jax.Array:
        """The parameters on the device."""
        return jnp.asarray(theta)


def _double(size: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((size,), jnp.float64)
