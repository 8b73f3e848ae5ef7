"""How XLA calls native programs: one handler for all, which finds a program by its key."""

from __future__ import annotations

import ctypes
import functools
import threading
from importlib.resources import files

import jax

from ...native.compiler import loaded

#: The name of the handler, and the numbers of the calls that a program takes.
TARGET = "adjointbench_native"
CALLS = ("solve", "pull_back", "estimates")

_lock = threading.Lock()
_known: set[int] = set()


def register(key: int, program: ctypes.CDLL) -> None:
    """Make a program known to XLA.

    Parameters
    ----------
    key : int
        What it is found by, as long as the process lives.
    program : CDLL

    Raises
    ------
    NoCompilerError
        Where the handler cannot be compiled.
    """
    with _lock:
        if key in _known:
            return
        entries = [getattr(program, call) for call in CALLS]
        if not _bridge().add_program(ctypes.c_int64(key), *entries):
            raise MemoryError("there is no room for another native program")
        _known.add(key)


@functools.cache
def _bridge() -> ctypes.CDLL:
    """The handler, compiled against the headers of this jaxlib."""
    assert __package__ is not None
    text = files(__package__).joinpath("bridge.c").read_text()
    library = loaded(text, f"-I{jax.ffi.include_dir()}")
    handler = jax.ffi.pycapsule(library.call_program)
    jax.ffi.register_ffi_target(TARGET, handler, platform="cpu")
    return library
