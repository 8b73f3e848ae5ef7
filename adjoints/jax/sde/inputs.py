"""What a solve of a stochastic equation is given, checked."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...arguments import number
from ..inputs import MOST_STEPS
from ..times import known

#: The shortest step in a share of the time between two saves, where none is asked for.
RESOLUTION = 2.0**-20


def checked_key(key: Any) -> tuple[jax.Array, str]:
    """The words of one key, and the kind of random numbers that it is for."""
    example = "pass jax.random.key(0), and vmap over several keys"
    if not isinstance(key, jax.Array):
        raise ValueError(f"key={key!r} is no key of JAX; {example}")
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        words, kind = jax.random.key_data(key), str(jax.random.key_impl(key))
        shape = key.shape
    else:
        shape = key.shape[:-1]
        if key.dtype != jnp.uint32 or key.ndim == 0:
            raise ValueError(f"key has dtype {key.dtype} and shape {key.shape}; {example}")
        words, kind = key, str(jax.random.key_impl(jax.random.wrap_key_data(key)))
    if shape:
        raise ValueError(f"key has shape {shape}; {example}")
    return words, kind


def levels_of(resolution: Any, dtype: Any) -> int:
    """How often the time between two saves can be halved."""
    share = RESOLUTION if resolution is None else number("path_resolution", resolution)
    finest = 2.0 ** -min(30, np.finfo(dtype).nmant)
    if not finest <= share <= 0.5:
        raise ValueError(
            f"path_resolution={resolution!r} must lie between {finest:g} and 0.5 in {dtype}: it "
            "is the shortest step in a share of the time between two saves"
        )
    return math.ceil(-math.log2(share) - 1e-9)


def pieces_needed(size: Any, starts: jax.Array, ends: jax.Array) -> int:
    """Steps of one size, as far as it is known how many there are."""
    width, begin, end = known(size), known(starts), known(ends)
    if width is None or begin is None or end is None:
        return 0
    needed = np.ceil((end - begin) / float(width)).sum() + len(end)
    if needed > MOST_STEPS:
        raise ValueError(f"{needed:g} constant steps are too many; take at most {MOST_STEPS:g}")
    return int(needed)
