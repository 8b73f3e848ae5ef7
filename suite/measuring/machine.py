"""On which machine and with which versions something was measured."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from ...adjoints.methods import METHODS

#: The packages whose versions may change a number: in this order, then what else methods need.
_FIRST = (
    "adjointbench",
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "torch",
    "diffrax",
    "equinox",
    "torchdiffeq",
    "torchsde",
    "torchode",
    "casadi",
    "optax",
    "scikit-learn",
    "mlxtend",
)
PACKAGES = tuple(dict.fromkeys((*_FIRST, *(p for method in METHODS for p in method.requires))))


def machine_name() -> str:
    """The name of this machine: ``ADJOINTBENCH_MACHINE``, or else that of the host."""
    return os.environ.get("ADJOINTBENCH_MACHINE") or platform.node() or "unknown"


def machine() -> dict[str, str]:
    """Name, processor, cores, memory, system and Python version of this machine, and its card."""
    return {
        **_cards(),
        "machine": machine_name(),
        "cpu": _cpu_name(),
        "cores": str(os.cpu_count()),
        "ram": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """The installed versions of :data:`PACKAGES`; a package that is absent is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The git commit of what is measured; empty where that is not known.

    asv names the commit that it has built in ``ASV_COMMIT``; otherwise it is the one that is
    checked out in the current folder, or in the one where asv was started.
    """
    folder = os.environ.get("ASV_CONF_DIR", ".")
    named = os.environ.get("ASV_COMMIT")
    if named:
        return named
    try:
        answer = subprocess.run(
            ["git", "-C", folder, "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.cache
def _cards() -> dict[str, str]:
    """The names of NVIDIA's cards, where there are any."""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"gpu": ", ".join(answer.stdout.split("\n")).strip(", ")}


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"
