"""``BrownianPath``: the Brownian motion that a solve sees, to be read at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from ...steps.brownian import Increment
from ..inputs import checked_array
from ..times import check_known_times
from .inputs import checked_key, levels_of
from .tree import Tree


@dataclass(frozen=True)
class BrownianPath:
    """The Brownian motion that ``solve_sde`` sees with the same key, times and state.

    Between two saves it is a virtual tree, so that the path belongs to its key, to `t0` and to
    `save_at`: other save times are another path of the same law.

    Parameters
    ----------
    key : array
        Of ``jax.random``.
    like : array
        Of the shape and dtype of the state: one motion a component.
    save_at, t0 : array, float
    path_resolution : float, optional
        As of ``solve_sde``. Two times in the same cell of this share of the time between two
        saves do not belong together.
    """

    key: Any
    like: Any
    save_at: Any
    t0: Any = 0.0
    path_resolution: float | None = None
    _tree: Tree = field(init=False, repr=False)

    def __post_init__(self) -> None:
        like = jnp.asarray(self.like)
        save_at = checked_array("save_at", self.save_at, like.dtype)
        t0 = checked_array("t0", self.t0, like.dtype)
        check_known_times(save_at, t0)
        words, kind = checked_key(self.key)
        levels = levels_of(self.path_resolution, like.dtype)
        for name, value in {
            "key": jax.random.wrap_key_data(words, impl=kind),
            "save_at": save_at,
            "t0": t0,
            "_tree": Tree(like.shape, like.dtype, levels),
        }.items():
            object.__setattr__(self, name, value)

    def at_saves(self) -> jax.Array:
        """W at the save times, shape ``(len(save_at), *like.shape)``; it is 0 at `t0`."""
        count = self.save_at.shape[0]
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(self.key, jnp.arange(count))
        times = jnp.concatenate([self.t0[None], self.save_at])
        root = jnp.sqrt(jnp.diff(times)).reshape(count, *(1,) * len(self._tree.shape))
        return jnp.cumsum(root * jax.vmap(self._tree.root)(keys).w, axis=0)

    def __call__(self, t: Any) -> jax.Array:
        """W at one time from `t0` to the last save; NaN at others."""
        t = jnp.asarray(t, self.save_at.dtype)
        interval = jnp.minimum(jnp.searchsorted(self.save_at, t), self.save_at.shape[0] - 1)
        times = jnp.concatenate([self.t0[None], self.save_at])
        begin, length = times[interval], times[interval + 1] - times[interval]
        share = (t - begin) / jnp.where(length > 0, length, 1)
        moves = (share > 0) & (share <= 1)
        key = jax.random.fold_in(self.key, interval)
        part = self._tree.between(key, jnp.zeros_like(share), jnp.where(moves, share, 1))
        at_saves = self.at_saves()
        before = jnp.concatenate([jnp.zeros_like(at_saves[:1]), at_saves])[interval]
        inside = (t >= self.t0) & (t <= self.save_at[-1])
        w = before + jnp.where(moves, jnp.sqrt(length) * part.w, 0)
        return jnp.where(inside, w, jnp.nan)

    def between(self, start: Any, end: Any) -> Increment:
        """Increment and space-time Lévy area from `start` to `end`; NaN across a save."""
        dtype = self.save_at.dtype
        begin, finish = jnp.asarray(start, dtype), jnp.asarray(end, dtype)
        interval = jnp.searchsorted(self.save_at, (begin + finish) / 2)
        times = jnp.concatenate([self.t0[None], self.save_at])
        first, last = times[interval], times[interval + 1]
        length = jnp.where((begin >= first) & (finish <= last), last - first, jnp.nan)
        part = self._tree.between(
            jax.random.fold_in(self.key, interval),
            (begin - first) / length,
            (finish - first) / length,
        )
        return jax.tree.map(lambda leaf: jnp.sqrt(length) * leaf, part)
