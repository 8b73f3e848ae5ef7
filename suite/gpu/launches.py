"""What a gradient asks of the device: kernels launched, and how often the host waits for it.

Counted by the framework's own profiler on one warm call. On a CPU there is nothing to wait for,
and what stands for kernels is the operations that the framework runs one by one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from ...adjoints.run import Run
from ..measuring.timing import inputs_of

#: Calls by which CUDA programs launch kernels, and by which the host waits.
_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cuGraphLaunch")
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")

#: Lines of JAX's profile that hold kernels: of a card, of a CPU.
_CARD, _HOST = ("/device:GPU", "Stream"), ("/host:CPU", "tf_XLAPjRtCpuClient")


class Counts(TypedDict):
    """Of one gradient."""

    launches: int | None
    waits: int | None


def counts_of(run: Run) -> Counts:
    """Kernels launched and waits of the host in one warm gradient; ``None`` where not known."""
    inputs = inputs_of(run, 2)
    if run.settings.method.backend == "jax":
        return _of_jax(run, inputs)
    return _of_torch(run, inputs)


def _of_jax(run: Run, inputs: Any) -> Counts:
    import jax

    with tempfile.TemporaryDirectory(prefix="adjointbench-") as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(run.compiled(*inputs))
        on_card = not run.settings.device.startswith("cpu")
        names = [n for file in Path(folder).rglob("*.xplane.pb") for n in _events(file, on_card)]
    if not names:
        return {"launches": None, "waits": None}
    copies = [name for name in names if "memcpy" in name.lower()]
    waits = sum("d2h" in name.lower() for name in copies) if on_card else None
    return {"launches": len(names) - len(copies), "waits": waits}


def _events(file: Path, on_card: bool) -> Iterator[str]:
    """The names of what ran on the device."""
    import jax

    plane_name, line_name = _CARD if on_card else _HOST
    for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
        for line in plane.lines if plane.name.startswith(plane_name) else ():
            if line.name.startswith(line_name):
                names = (event.name for event in line.events)
                yield from (name for name in names if on_card or _is_operation(name))


def _is_operation(name: str) -> bool:
    """Whether it is one of the program's, and not of the threads that run it."""
    return not name.startswith(("end: ", "Threadpool")) and "::" not in name


def _of_torch(run: Run, inputs: Any) -> Counts:
    import torch
    from torch.profiler import ProfilerActivity, profile

    on_card = not run.settings.device.startswith("cpu")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_card else [])]
    with profile(activities=activities) as profiled:
        run.compiled(*inputs)
        if on_card:
            torch.cuda.synchronize()
    called = {event.key: event.count for event in profiled.key_averages()}
    if not on_card:
        return {
            "launches": sum(n for name, n in called.items() if name.startswith("aten::")),
            "waits": called.get("aten::_local_scalar_dense", 0),
        }
    # The last wait is that of this measurement.
    return {
        "launches": sum(n for name, n in called.items() if name.startswith(_LAUNCHES)),
        "waits": max(0, sum(n for name, n in called.items() if name.startswith(_WAITS)) - 1),
    }
