"""The claim about what PyTorch's compiler makes of an adaptive loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..measuring.timing import Silence, in_turn, timed
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Claim, Figures, Limit, Limits, Verdict
from .median_and_range import quartiles
from .refusals import error_of, told


def compiled_by_torch(quick: bool, silence: Silence) -> Figures:
    """An adaptive loop in PyTorch: whole, in parts, and as torch's own ``while_loop``."""
    import torch

    y, k = torch.ones(2, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    message = error_of(lambda: torch.compile(_adaptive_loop, fullgraph=True)(y, k))
    ways: dict[str, Callable[..., Any]] = {
        "eager": _adaptive_loop,
        "compiled, not as a whole": torch.compile(_adaptive_loop),
    }
    if not quick:
        ways["while_loop, compiled as a whole"] = torch.compile(_torch_while_loop, fullgraph=True)
    exact = float(_adaptive_loop(y, k)[0])
    errors = {way: abs(float(call(y, k)[0]) / exact - 1) for way, call in ways.items()}
    inputs = [(y, k * (1 + 1e-6 * number)) for number in range(8)]
    calls = [timed(call, inputs) for call in ways.values()]
    with silence():
        seconds = in_turn(calls, 0.3)
    lines = [
        {"way": way, "seconds": float(np.median(mine)), "error": errors[way]}
        for way, mine in zip(ways, seconds, strict=True)
    ]
    return {
        "fullgraph_raises": float(message is not None),
        **told(message),
        **quartiles("speedup", seconds[0] / seconds[1]),
        "worst_error": max(errors.values()),
        **_while_loop_errors(y, k),
        "lines": lines,
    }


def _heun_step(t: Any, y: Any, h: Any, k: Any) -> Any:
    """One attempt of an adaptive step of y' = -k y up to t = 1."""
    import torch

    h = torch.minimum(h, 1.0 - t)
    first = -k * y
    second = -k * (y + h * first)
    error = (0.5 * h * (second - first)).abs().max()
    accepted = error < 1e-4
    factor = torch.clamp(0.9 * (1e-4 / (error + 1e-30)) ** 0.5, 0.2, 5.0)
    moved = y + 0.5 * h * (first + second)
    return torch.where(accepted, t + h, t), torch.where(accepted, moved, y), h * factor


def _adaptive_loop(y: Any, k: Any) -> Any:
    """As anybody writes it: a Python loop until the end is reached."""
    t, h = y.new_zeros(()), y.new_full((), 0.1)
    while t < 1.0:
        t, y, h = _heun_step(t, y, h, k)
    return y


def _torch_while_loop(y: Any, k: Any) -> Any:
    """The same by the loop that ``torch.compile`` can see into."""
    from torch._higher_order_ops.while_loop import while_loop

    t, h = y.new_zeros(()), y.new_full((), 0.1)
    carried = (t, y, h)
    return while_loop(lambda t, y, h: t < 1.0, lambda t, y, h: _heun_step(t, y, h, k), carried)[1]


def _while_loop_errors(y: Any, k: Any) -> Figures:
    """How far value and gradient by torch's ``while_loop`` are from those of the eager loop."""
    import torch

    def value_and_gradient(function: Callable[..., Any]) -> tuple[float, float]:
        rate = k.clone().requires_grad_()
        value = function(y, rate).sum()
        value.backward()
        return value.item(), float("nan") if rate.grad is None else rate.grad.item()

    # Captured as a whole and differentiated as ever, but run by PyTorch's own kernels.
    loop = torch.compile(_torch_while_loop, fullgraph=True, backend="aot_eager")
    value, gradient = value_and_gradient(loop)
    exact, exact_gradient = value_and_gradient(_adaptive_loop)
    return {
        "while_loop_error": abs(value / exact - 1),
        "while_loop_gradient_error": abs(gradient / exact_gradient - 1),
    }


def _judge_compiled(figures: Figures, limits: Limits) -> Verdict:
    raises = figures["fullgraph_raises"] == 1.0
    faster = figures["speedup"] >= limits["faster"].value
    word = DOES_NOT_HOLD if not raises else IN_PART if faster else HOLDS
    return Verdict(
        word,
        f"As a whole it {'is refused' if raises else 'compiles'}; without fullgraph=True, where "
        f"the steps are compiled and the loop is not, it is {figures['speedup']:.2g} times as "
        f"fast as eager. As torch's while_loop it compiles as a whole: its value is "
        f"{figures['while_loop_error']:.1e} off and its gradient "
        f"{figures['while_loop_gradient_error']:.1e}.",
    )


TORCH_COMPILE = (
    Claim(
        key="15",
        sentence="TorchScript (today torch.compile) cannot optimise it.",
        source="Pal et al., ICML 2021, arXiv:2105.03918",
        measured="an adaptive loop of Heun steps under torch.compile: with fullgraph=True, and "
        "its time over that of the eager loop without; and value and gradient of the same loop as "
        "torch's while_loop, with all sizes its time too",
        measure=compiled_by_torch,
        leading="speedup",
        unit="times as fast as eager, compiled in parts",
        limits={"faster": Limit(1.2, "times as fast, from which it is optimised")},
        decide=_judge_compiled,
    ),
)
