"""The back end of PyTorch's compiler, which makes a program in C++ of a graph of operations."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._guards import TracingContext, tracing
from torch._inductor import config as inductor
from torch._inductor.compile_fx import compile_fx_inner
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from .program_inputs import Axes, Source, length
from .state import Tensors
from .traced_graph import traced

#: What it is told; what a version does not know is left out.
OPTIONS = {
    "cpp_wrapper": True,
    "fx_graph_cache": True,
    "aot_inductor.enable_line_tables": False,
}

#: And on the usual processors: its kernels are written with vector instructions, for which the C++
#: compiler's highest level takes twice as long and makes nothing faster, and which need no trial.
OPTIONS_OF_X86 = {"cpp.march": "native -O2", "cpp.vec_isa_ok": True}


def program(
    build: Callable[[Sequence[Any]], Source], inputs: Tensors, axes: Axes | None
) -> tuple[Callable[[Tensors], Tensors], Callable[[int], bool]]:
    """The compiled function, and for which lengths of the open axes it holds."""
    shapes = ShapeEnv()
    mode = FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True)
    fakes = [
        _fake(mode, x, axis) for x, axis in zip(inputs, axes or (None,) * len(inputs), strict=True)
    ]
    # The length is an input of its own: what is kept on disk is kept with conditions on that.
    lengths: list[Any] = [] if axes is None else [length(tuple(fakes), axes)]

    def function(*given: Any) -> Any:
        return source.function(*given[len(lengths) :])

    with mode:
        source = build(fakes)
        known = [_fake(mode, x, None) for x in source.held]
        graph, held = traced(function, (*lengths, *fakes, *known))
        examples = (*lengths, *fakes, *known, *(_fake(mode, x, None) for x in held))
    with inductor.patch(_options()), tracing(TracingContext(mode)), torch.no_grad():
        run = compile_fx_inner(graph, examples, cpp_wrapper=True)
    kept = (*source.held, *held)

    def call(inputs: Tensors) -> Tensors:
        given: list[Any] = [x if x.is_contiguous() else x.contiguous() for x in (*inputs, *kept)]
        return run([length(inputs, axes), *given] if lengths else given)

    return call, _condition(shapes, *lengths)


def _fake(mode: FakeTensorMode, x: torch.Tensor, axis: int | None) -> torch.Tensor:
    """A contiguous tensor like `x` that has no numbers, the length of one of its axes a symbol."""
    x = x.detach()
    x = x if x.is_contiguous() else x.contiguous()
    if axis is None:
        return mode.from_tensor(x, static_shapes=True)
    lengths = [DimDynamic.STATIC] * x.ndim
    lengths[axis] = DimDynamic.DUCK
    return mode.from_tensor(x, symbolic_context=StatelessSymbolicContext(dynamic_sizes=lengths))


def _condition(shapes: ShapeEnv, *lengths: torch.SymInt) -> Callable[[int], bool]:
    """For which lengths of the open axes the conditions hold that were met along the way."""
    if not lengths:
        return lambda size: True
    symbol, traced_on = lengths[0].node.expr, lengths[0].node.hint
    fixed = shapes.replace(symbol) != symbol
    conditions = [guard.expr for guard in shapes.guards]

    def serves(size: int) -> bool:
        if size == traced_on:
            return True
        return not fixed and all(bool(x.subs(symbol, size)) for x in conditions)

    return functools.cache(serves)


def _options() -> dict[str, Any]:
    """What the back end is told."""
    wanted = {**OPTIONS, "cpp.threads": torch.get_num_threads()}
    if sys.platform == "linux" and platform.machine() == "x86_64":
        wanted |= OPTIONS_OF_X86
    return {name: x for name, x in wanted.items() if _known(name)}


def _known(name: str) -> bool:
    """Whether this version of PyTorch has an option of that name."""
    place: Any = inductor
    for part in name.split("."):
        if not hasattr(place, part):
            return False
        place = getattr(place, part)
    return True
