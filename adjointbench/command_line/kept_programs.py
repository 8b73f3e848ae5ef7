"""JAX's compiled programs, kept on disk for the next command.

Only the command does that. Who imports the package decides for their own process, and what is
measured is compiled anew: see ``suite/measuring/worker.py``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from adjointbench.adjoints.native.cache_folder import cache_folder, key_of

#: JAX reads this one when it is imported; who has set it has a folder of their own.
FOLDER = "JAX_COMPILATION_CACHE_DIR"

#: Keep what compiles quickly too: a gradient is a few programs of which most do.
SETTINGS = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

#: Set to 0, nothing is kept.
SWITCH = "ADJOINTBENCH_KEEP_PROGRAMS"

#: Bytes that are kept at most.
MOST_BYTES = 1 << 29


def keep_programs() -> None:
    """Let JAX keep what it compiles in this process, if it is imported, and find it again.

    In a folder for each kind of processor, of ``$XDG_CACHE_HOME/adjointbench/jax`` or
    ``~/.cache/adjointbench/jax``.
    """
    if os.environ.get(SWITCH, "1") == "0" or FOLDER in os.environ:
        return
    folder = cache_folder(f"jax/{key_of()}")
    if folder is None:
        return
    with contextlib.suppress(OSError):
        remove_oldest(folder, MOST_BYTES)
    os.environ[FOLDER] = str(folder)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def remove_oldest(folder: Path, most: int) -> None:
    """Remove the oldest files of a folder, until the others have so many bytes at most."""
    found = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    total = sum(stat.st_size for stat, _ in found)
    for stat, path in sorted(found, key=lambda pair: pair[0].st_mtime):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= stat.st_size
