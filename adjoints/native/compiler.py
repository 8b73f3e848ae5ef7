"""The C compiler of this machine, and what it made before."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .cache_folder import cache_folder, key_of

#: Straight lines up to so many bytes are optimised in full; of longer ones compiling would take
#: longer than they are ever run.
OPTIMISED_UP_TO = 200_000

_FLAGS = ("-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11", "-w")


class NoCompilerError(RuntimeError):
    """There is no C compiler, or it fails."""


@functools.cache
def compiler() -> tuple[str, ...]:
    """The command of the C compiler: ``$CC``, ``cc``, ``gcc``, ``clang``, or ziglang's.

    Raises
    ------
    NoCompilerError
        Where there is none.
    """
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        command = name.split()
        if command and shutil.which(command[0]):
            return tuple(command)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise NoCompilerError(
        "no C compiler was found; install one (gcc or clang, or pip install ziglang), or name it "
        "in the environment variable CC"
    )


def loaded(source: str, *flags: str) -> ctypes.CDLL:
    """The library made of a C program, compiled unless it was before.

    Parameters
    ----------
    source : str
    *flags : str
        For the compiler besides.

    Raises
    ------
    NoCompilerError
        Where there is no compiler, or it fails, or what it made cannot be loaded.
    """
    level = "-O3" if len(source) <= OPTIMISED_UP_TO else "-O1"
    command = (*compiler(), level, *_FLAGS, *flags)
    library = _folder() / f"{key_of(*command, source)}.so"
    try:
        if not library.exists():
            _compile(command, source, library)
        return ctypes.CDLL(str(library))
    # A full disk, or a folder from which nothing may be run.
    except OSError as error:
        raise NoCompilerError(f"what is compiled cannot be kept or loaded: {error}") from error


def _compile(command: tuple[str, ...], source: str, library: Path) -> None:
    """Compile beside the place of the library and move there, so that nobody loads half of it."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        program, made = Path(folder) / "program.c", Path(folder) / "program.so"
        program.write_text(source)
        files = ("-shared", "-fPIC", "-o", str(made), str(program), "-lm")
        try:
            run = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
        except OSError as error:
            raise NoCompilerError(f"{command[0]} did not start: {error}") from error
        if run.returncode:
            told = run.stderr.strip().splitlines()[:1] or [f"exit status {run.returncode}"]
            raise NoCompilerError(f"{command[0]} failed: {told[0]}")
        made.replace(library)


@functools.cache
def _folder() -> Path:
    """Where libraries are kept: among the user's caches, or for this process alone."""
    return cache_folder("native") or Path(tempfile.mkdtemp(prefix="adjointbench-native-"))
