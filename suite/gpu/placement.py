"""Whether a gradient stays where it was asked to be computed."""

from __future__ import annotations

from typing import Any

from ...adjoints.run import Run
from ..measuring.timing import inputs_of


def strays(run: Run) -> str:
    """What a gradient leaves on, or moves to, another device; empty where nothing.

    On JAX a compiled call, given arrays of its device, must move none by itself, and its results
    must lie there. On PyTorch the results must, and so must those of all operations on the way,
    but for the numbers that the host asks for.
    """
    if run.settings.method.backend == "jax":
        return _on_jax(run)
    return _on_torch(run)


def _on_jax(run: Run) -> str:
    import jax

    from ...adjoints.jax.device import find_device

    device = find_device(run.settings.device)
    inputs, compiled = inputs_of(run, 1), run.compiled
    try:
        with jax.transfer_guard("disallow"):
            found = compiled(*inputs)
    except jax.errors.JaxRuntimeError as moved:
        return f"a call moves arrays by itself: {str(moved).splitlines()[0][:200]}"
    elsewhere = {str(x.devices()) for x in jax.tree.leaves(found) if x.devices() != {device}}
    return f"results lie on {', '.join(sorted(elsewhere))}" if elsewhere else ""


def _on_torch(run: Run) -> str:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    from ...adjoints.torch.device import find_device

    device = find_device(run.settings.device)
    made: dict[str, int] = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            for x in tree_leaves(out):
                # Shapes alone, without data, are worked out on "meta" within some derivatives.
                if isinstance(x, torch.Tensor) and x.device not in (device, torch.device("meta")):
                    made[str(func)] = made.get(str(func), 0) + 1
            return out

    with Watch():
        loss, dparams, dy0 = run.compiled(*inputs_of(run, 1))
    if any(x.device != device for x in (loss, *dparams.values(), dy0)):
        return "results lie on another device"
    computed = {name: n for name, n in made.items() if not name.startswith("aten._to_copy")}
    told = ", ".join(f"{name} ({n})" for name, n in sorted(computed.items(), key=lambda x: -x[1]))
    return f"computed on another device: {told[:200]}" if told else ""
