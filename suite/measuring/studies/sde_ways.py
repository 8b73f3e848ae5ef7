"""Pathwise gradients as users of each library take them, on a path of their own or on a given one.

A way is a method with a solver and a step size or tolerance. It is called with parameters, a start
value and a number, from which its path is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from ....adjoints.arguments import check_name
from ....problems.stochastic import SdeProblem
from ..names import split_name
from .sde import MAX_STEPS
from .sde_given_path import increment, on_given_path
from .sde_losses import gradient_of, loss_of

Params = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Found:
    """What a way gives: gradients, the states at the saves, and its steps where it tells them."""

    dparams: dict[str, np.ndarray]
    dy0: np.ndarray
    ys: np.ndarray
    steps: int | None
    rejected: int | None
    ok: bool


class Way(Protocol):
    """Pathwise gradients of one problem by one method."""

    def on_given_path(self, params: Params, y0: np.ndarray, number: int) -> Found:
        """The gradient on the path of the open solver."""
        ...

    def calls(self, variants: Iterator[Params]) -> tuple[Callable[..., Any], list[Any], Any]:
        """For timing: a function on its own paths, its inputs, and how to wait for its results."""
        ...

    def kept_bytes(self) -> int:
        """Bytes kept from the forward pass for the reverse pass."""
        ...


def way(problem: SdeProblem, method: str) -> Way:
    """The way that `method` names, with ``solver`` and ``step`` or ``tol`` among its settings.

    Raises
    ------
    ValueError
        Where a name is unknown, or a library refuses the problem.
    ModuleNotFoundError
        Where a package is missing.
    """
    name, settings = split_name(method)
    library, _, adjoint = name.partition("-")
    check_name("library", library, tuple(_LIBRARIES))
    return _LIBRARIES[library](problem, adjoint, **settings)


def max_steps_of(problem: SdeProblem, step: float | None) -> int:
    """As many as there are, where they are constant."""
    t0, t1 = problem.t_span
    return MAX_STEPS if step is None else round((t1 - t0) / step)


def _open(problem: SdeProblem, adjoint: str, **settings: Any) -> Way:
    return _on_jax("jax", problem, adjoint, lambda key: key, settings)


def _diffrax(problem: SdeProblem, adjoint: str, **settings: Any) -> Way:
    from ....adjoints.peers.diffrax_sde import own_path

    return _on_jax("diffrax", problem, adjoint, partial(own_path, problem), settings)


def _on_jax(
    library: str,
    problem: SdeProblem,
    adjoint: str,
    own: Callable[[Any], Any],
    settings: Mapping[str, Any],
) -> Way:
    steps = max_steps_of(problem, settings.get("step"))
    loss = loss_of(library, problem, adjoint=adjoint, max_steps=steps, **settings)
    kind, most = "step" if "step" in settings else "tol", max(steps, MAX_STEPS)
    on_given = on_given_path(library, problem, adjoint, settings["solver"], kind, most)
    return _OnJax(problem, loss, own, partial(on_given, settings.get(kind)), adjoint)


class _OnJax:
    """Compiled gradients in double precision, on paths of its own and on the given one."""

    def __init__(
        self,
        problem: SdeProblem,
        loss: Callable[..., Any],
        own: Callable[[Any], Any],
        on_given: Callable[..., Any],
        adjoint: str,
    ) -> None:
        import jax

        self._problem, self._loss, self._own = problem, loss, own
        self._forward = adjoint == "forward"
        wanted = gradient_of(adjoint)

        def run(params: Any, y0: Any, number: Any) -> Any:
            return wanted(loss, params, y0, own(jax.random.key(number)))

        self._on_own, self._on_given = jax.jit(run), on_given

    def on_given_path(self, params: Params, y0: np.ndarray, number: int) -> Found:
        """The gradient on the path of the open solver."""
        import jax

        with jax.enable_x64(True):
            (dparams, dy0), report = self._on_given(dict(params), y0, number)
        return Found(
            dparams={name: np.asarray(value) for name, value in dparams.items()},
            dy0=np.asarray(dy0),
            ys=np.asarray(report["ys"]),
            steps=int(report["steps"]),
            rejected=int(report["rejected"]),
            ok=bool(report["ok"]),
        )

    def calls(self, variants: Iterator[Params]) -> tuple[Callable[..., Any], list[Any], Any]:
        """For timing."""
        import jax

        def run(*arguments: Any) -> Any:
            with jax.enable_x64(True):
                return self._on_own(*arguments)

        with jax.enable_x64(True):
            y0 = jax.device_put(self._problem.y0)
            inputs = [(jax.device_put(dict(p)), y0, k) for k, p in enumerate(variants)]
        return run, inputs, jax.block_until_ready

    def kept_bytes(self) -> int:
        """From the shapes of what JAX hands over."""
        import jax

        if self._forward:
            return 0

        def reverse(params: Any, y0: Any) -> Any:
            path = self._own(jax.random.key(0))
            return jax.vjp(lambda p, y: self._loss(p, y, path)[0], params, y0)[1]

        with jax.enable_x64(True):
            kept = jax.eval_shape(reverse, dict(self._problem.params), self._problem.y0)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))


def _torchsde(problem: SdeProblem, adjoint: str, **settings: Any) -> Way:
    return _OnTorch(problem, adjoint, settings)


class _OnTorch:
    """Autograd in double precision."""

    def __init__(self, problem: SdeProblem, adjoint: str, settings: Mapping[str, Any]) -> None:
        from ....adjoints.peers import torchsde

        self._problem, self._peer = problem, torchsde
        self._loss = torchsde.loss_function(problem, adjoint=adjoint, **settings)
        self._step = settings.get("step")

    def on_given_path(self, params: Params, y0: np.ndarray, number: int) -> Found:
        """The gradient on the path of the open solver, which is read in JAX."""
        import jax
        import torch

        with jax.enable_x64(True):
            key = jax.random.key(number)
            compiled = jax.jit(partial(increment, self._problem))

            def read(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
                w, area = compiled(key, start, end)
                return np.array(w), np.array(area)

            path = self._peer.GivenPath(read, torch.as_tensor(y0))
            dparams, dy0, ys = self._gradient(params, y0, path)
        steps = None if self._step is None else max_steps_of(self._problem, self._step)
        found = {name: value.numpy() for name, value in dparams.items()}
        return Found(found, dy0.numpy(), ys.detach().numpy(), steps, None, ok=True)

    def calls(self, variants: Iterator[Params]) -> tuple[Callable[..., Any], list[Any], Any]:
        """For timing."""

        def run(params: Params, number: int) -> Any:
            return self._gradient(
                params, self._problem.y0, self._peer.own_path(self._problem, number)
            )

        return run, [(p, k) for k, p in enumerate(variants)], lambda result: result

    def kept_bytes(self) -> int:
        """From what autograd saves."""
        from ....adjoints.torch.saved_bytes import SavedBytes

        params, y0 = self._tensors(self._problem.params, self._problem.y0)
        path = self._peer.own_path(self._problem, 0)
        with SavedBytes(*params.values(), y0) as saved:
            kept = self._loss(params, y0, path)
        del kept
        return saved.total

    def _gradient(self, params: Params, y0: np.ndarray, path: Any) -> Any:
        import torch

        tensors, start = self._tensors(params, y0)
        loss, ys = self._loss(tensors, start, path)
        *dparams, dy0 = torch.autograd.grad(loss, (*tensors.values(), start))
        return dict(zip(tensors, dparams, strict=True)), dy0, ys

    def _tensors(self, params: Params, y0: np.ndarray) -> tuple[dict[str, Any], Any]:
        import torch

        def tensor(value: np.ndarray) -> Any:
            return torch.tensor(value, requires_grad=True)

        return {name: tensor(value) for name, value in params.items()}, tensor(y0)


_LIBRARIES: dict[str, Callable[..., Way]] = {
    "jax": _open,
    "diffrax": _diffrax,
    "torchsde": _torchsde,
}
