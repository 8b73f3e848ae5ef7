"""Where compiled programs are kept from one process to the next."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import tempfile
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """A folder of that name among the user's caches; ``None`` where nothing can be kept."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(caches) / "adjointbench" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


@functools.cache
def machine() -> str:
    """What distinguishes processors for which code is made: caches may be shared by several."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform()
    known = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(known[:2]) or platform.platform()


def key_of(*parts: str) -> str:
    """A name for what is made of these parts on this machine."""
    return hashlib.sha256("\0".join([*parts, machine()]).encode()).hexdigest()[:32]
