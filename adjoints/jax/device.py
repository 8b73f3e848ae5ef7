"""Which device a name means."""

from __future__ import annotations

from typing import Any

import jax


def find_device(name: str) -> Any:
    """The JAX device called ``"cpu"``, ``"cpu:1"``, ``"gpu"``, ``"cuda:1"``, ...

    Raises
    ------
    ValueError
        Where this machine has no such device.
    """
    kind, _, index = name.partition(":")
    try:
        devices = jax.devices(kind)
    except RuntimeError:
        devices = []
    if int(index or 0) >= len(devices):
        here = ", ".join(f"{d.platform}:{d.id}" for d in jax.devices())
        raise ValueError(f"device={name!r}: this machine lacks it; JAX sees {here}")
    return devices[int(index or 0)]
