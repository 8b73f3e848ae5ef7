"""Handlers that XLA calls, compiled against the headers of this jaxlib."""

from __future__ import annotations

import ctypes
from importlib.resources import files
from typing import Any

import jax

from ...native.compiler import loaded


def handler_library(package: str, file: str) -> ctypes.CDLL:
    """The library made of a file in C of a package, behind what all handlers have in common.

    Raises
    ------
    NoCompilerError
        Where it cannot be compiled.
    """
    assert __package__ is not None
    common = files(__package__).joinpath("handler.c").read_text()
    own = files(package).joinpath(file).read_text()
    return loaded(common + own, f"-I{jax.ffi.include_dir()}")


def register(name: str, function: Any) -> None:
    """Make a function of a library known to XLA, by a name."""
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(function), platform="cpu")
