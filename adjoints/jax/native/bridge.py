"""How XLA calls native programs: one handler for all, which finds a program by its key."""

from __future__ import annotations

import ctypes
import functools
import threading

from ...native.loop import NativeLoop
from .handlers import handler_library
from .handlers import register as register_handler

#: The name of the handler, and the numbers of the calls that a program takes.
TARGET = "adjointbench_native"
CALLS = ("solve", "pull_back", "estimates")

_lock = threading.Lock()
_known: dict[int, NativeLoop] = {}


def register(loop: NativeLoop) -> None:
    """Make a program known to XLA, as long as the process lives.

    Parameters
    ----------
    loop : NativeLoop

    Raises
    ------
    NoCompilerError
        Where the handler cannot be compiled.
    """
    with _lock:
        if loop.key not in _known:
            _add(loop.key, loop.library, many=False)
            _known[loop.key] = loop


def _add(key: int, program: ctypes.CDLL, *, many: bool) -> None:
    entries = [getattr(program, call) for call in CALLS]
    if not _bridge().add_program(ctypes.c_int64(key), ctypes.c_int64(many), *entries):
        raise MemoryError("there is no room for another native program")


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _compile_lanes(key: int) -> None:
    """The program of many lanes, when they are first called for; where that fails, that of one."""
    program = _known[key].lanes_or_one()
    with _lock:
        _add(key, program, many=True)


@functools.cache
def _bridge() -> ctypes.CDLL:
    """The handler, compiled against the headers of this jaxlib."""
    assert __package__ is not None
    library = handler_library(__package__, "bridge.c")
    library.set_compiler(_compile_lanes)
    register_handler(TARGET, library.call_program)
    return library
