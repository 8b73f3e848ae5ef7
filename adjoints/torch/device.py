"""Which device a name means, and arrays on it and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def find_device(name: str) -> torch.device:
    """The PyTorch device called ``"cpu"``, ``"gpu"``, ``"cuda"``, ``"cuda:1"``, ...

    Raises
    ------
    ValueError
        Where this machine has no such device.
    """
    kind, _, index = name.partition(":")
    if kind == "cpu" and int(index or 0) == 0:
        return torch.device("cpu")
    found = torch.cuda.device_count() if kind != "cpu" else 0
    if int(index or 0) >= found:
        here = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise ValueError(f"device={name!r}: this machine lacks it; PyTorch sees {here}")
    return torch.device("cuda", int(index or 0))


def dtype_name(tensor: torch.Tensor) -> str:
    """The name of the dtype of a tensor, as NumPy has it too."""
    return str(tensor.dtype).removeprefix("torch.")


def put(value: np.ndarray, device: torch.device) -> torch.Tensor:
    """A tensor of its own memory, in the dtype of `value`."""
    return torch.tensor(value, device=device)


def put_named(values: Mapping[str, Any], device: torch.device) -> dict[str, torch.Tensor]:
    """Tensors on `device` by the same names."""
    return {name: put(value, device) for name, value in values.items()}


def numpy_named(values: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """NumPy arrays by the same names."""
    return {name: value.detach().cpu().numpy() for name, value in values.items()}
