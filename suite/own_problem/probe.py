"""Whether the equations of a problem run on a backend, told once and in one sentence."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...problems import Problem
from ..measuring.names import get_problem
from ..measuring.task import Task
from ..measuring.timing import Silence

#: The backends that are probed; a problem ran on NumPy when it was made.
BACKENDS = ("jax", "torch")

LABELS = {"jax": "JAX", "torch": "PyTorch", "scipy": "SciPy"}

REMEDY = (
    "write it in the array API (xp = array_api_compat.array_namespace(y), then xp.sin, xp.stack, "
    "...), and take arrays from p, not from a closure"
)


@dataclass(frozen=True)
class Probed:
    """Whether the equations run: ``"ok"``, or a sentence why not."""

    status: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Probe(Task):
    """A task that tells whether the equations, and their derivatives, run on a backend."""

    name = "probe"
    gives = Probed

    locator: str

    def rows(self, silence: Silence) -> Iterator[Probed]:
        """The one answer."""
        sentence = probe(get_problem(self.locator or self.problem), self.method)
        yield Probed("failed" if sentence else "ok", sentence)

    def unmeasured(self, measured: Sequence[Any], status: str, message: str) -> Iterator[Probed]:
        """The answer of a probe that was cut off."""
        yield Probed(status, message)


def probe(problem: Problem, backend: str) -> str:
    """Run the equations of `problem` and their derivatives on `backend`, once.

    Parameters
    ----------
    problem : Problem
    backend : {"jax", "torch"}

    Returns
    -------
    str
        Empty where all is well, else one sentence: what does not run, where, and the remedy.
    """
    try:
        run = _PROBES[backend](problem)
    except ModuleNotFoundError:
        return f"{LABELS[backend]} is not installed; pip install 'adjointbench[{backend}]'"
    for name, function, call in _parts(problem):
        try:
            run(call)
        except Exception as error:
            return _sentence(name, function, backend, error)
    return ""


#: ``call(t, ys, y, p)``, a part of the problem as a scalar.
Part = Callable[[Any, Any, Any, Mapping[str, Any]], Any]


def _parts(problem: Problem) -> Iterator[tuple[str, Callable[..., Any], Part]]:
    """The functions of a problem by name, each summed to one number."""
    yield "rhs", problem.rhs, lambda t, ys, y, p: _of_shape(problem.rhs(t, y, p), y).sum()
    yield "loss", problem.loss, lambda t, ys, y, p: problem.loss(ys, p)
    jump = problem.jump
    if jump is not None:
        yield "jump", jump, lambda t, ys, y, p: _of_shape(jump(0, t, y, p), y).sum()


def _of_shape(value: Any, y: Any) -> Any:
    if tuple(value.shape) != tuple(y.shape):
        raise ValueError(f"it returned shape {tuple(value.shape)} for y of {tuple(y.shape)}")
    return value


def _on_jax(problem: Problem) -> Callable[[Part], None]:
    import jax

    def run(part: Part) -> None:
        def value(params: Any, y: Any, ys: Any, t: Any, constants: Any) -> Any:
            return part(t, ys, y, {**params, **constants})

        with jax.enable_x64(True):
            arguments = jax.tree.map(jax.numpy.asarray, _arguments(problem))
            jax.eval_shape(jax.grad(value, argnums=(0, 1, 2)), *arguments)

    return run


def _on_torch(problem: Problem) -> Callable[[Part], None]:
    import torch

    def tensors(values: Any, differentiated: bool) -> Any:
        if isinstance(values, dict):
            return {name: tensors(value, differentiated) for name, value in values.items()}
        made = torch.tensor(values)
        return made.requires_grad_() if differentiated and made.is_floating_point() else made

    def run(part: Part) -> None:
        params, y, ys, t, constants = (
            tensors(value, number < 3) for number, value in enumerate(_arguments(problem))
        )
        value = part(t, ys, y, {**params, **constants})
        wanted = [*params.values(), y, ys]
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"it returned a {type(value).__name__}, not a tensor")
        if value.requires_grad:
            torch.autograd.grad(value, wanted, allow_unused=True)

    return run


_PROBES = {"jax": _on_jax, "torch": _on_torch}


def _arguments(problem: Problem) -> tuple[Any, ...]:
    """Parameters, state, saved states, time and constants, at the start."""
    ys = np.stack([problem.y0] * len(problem.save_at))
    t = np.asarray(problem.t_span[0], problem.dtype)
    return problem.params, problem.y0, ys, t, problem.constants


def _sentence(name: str, function: Callable[..., Any], backend: str, error: Exception) -> str:
    told = next(iter(str(error).splitlines()), "").rstrip(". ")[:160]
    what = f"{name} does not run on {LABELS[backend]}{_line(function, error)}"
    return f"{what} ({type(error).__name__}: {told}); {REMEDY}"


def _line(function: Callable[..., Any], error: Exception) -> str:
    """The line of the user's file at which it stopped."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f" at line {lines[-1]} of {Path(file or '').name}" if lines else ""
