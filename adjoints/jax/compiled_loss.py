"""A loss of parameters and start value, and its gradient, compiled ahead of time on one device.

In the problem's dtype whatever the host's 64-bit setting is, and without touching that setting:
tracing, compiling and handing over NumPy arrays happen inside ``jax.enable_x64(True)``. The
compiled programs themselves may be called outside, on arrays of the right dtype.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ...problems import Problem
from ..program import BareGradient, BareLoss, TrainingGradient, Work, compiled_ahead
from ..result import GradientResult
from .compile_cache import Built, built_once
from .device import find_device


def value_and_forward_gradient(
    function: Callable[..., tuple[Any, Any]], argnums: tuple[int, ...], has_aux: bool = False
) -> Callable[..., Any]:
    """As ``jax.value_and_grad``, in forward mode, one direction for each component."""

    def doubled(*arguments: Any) -> Any:
        out = function(*arguments)
        return (out[0], out) if has_aux else (out, out)

    def call(*arguments: Any) -> Any:
        gradients, out = jax.jacfwd(doubled, argnums=argnums, has_aux=True)(*arguments)
        return out, gradients

    return call


class CompiledLoss:
    """A loss and its gradient with respect to parameters and start value.

    Parameters
    ----------
    loss : callable
        ``loss(params, y0, *extra, constants) -> (loss, report)``.
    problem : Problem
        Gives shapes and dtype.
    device : str
        ``"cpu"``, ``"cpu:1"``, ``"gpu"``, ...
    extra : tuple of ndarray
        Further arguments, differentiated too, that keep these values.
    constants : mapping of str to ndarray, optional
        The problem's own by default.
    differentiate : callable
        ``jax.value_and_grad``, or :func:`value_and_forward_gradient`.
    key : hashable, optional
        What tells the loss from others of the same problem, its constants aside: with the same
        key it is compiled once for all their values. By default it is compiled for itself.
    """

    def __init__(
        self,
        loss: Callable[..., tuple[Any, Any]],
        problem: Problem,
        device: str,
        extra: tuple[np.ndarray, ...] = (),
        constants: Mapping[str, np.ndarray] | None = None,
        differentiate: Callable[..., Any] = jax.value_and_grad,
        key: Hashable = None,
    ) -> None:
        self._loss = loss
        self._problem = problem
        self._key = object() if key is None else key
        self._differentiate = differentiate
        self._device = find_device(device)
        known = problem.constants if constants is None else constants
        self._arguments = (dict(problem.params), problem.y0, *extra, dict(known))
        with jax.enable_x64(True):
            self._fixed = jax.device_put(self._arguments[2:], self._device)
        if compiled_ahead():
            _ = self._built

    @functools.cached_property
    def _built(self) -> Built:
        """The gradient, compiled."""
        numbers = tuple(range(len(self._arguments) - 1))
        gradient = self._differentiate(self._loss, argnums=numbers, has_aux=True)
        return self._compile("gradient", gradient)

    @property
    def compile_s(self) -> float:
        """Seconds that it took to compile the gradient."""
        return self._built.compile_s

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> tuple[Any, Any, Any]:
        """``(loss, report, gradients)``, all NumPy; the gradients in the order of arguments."""
        (loss, report), gradients = self._built.call(*self._put(params, y0), *self._fixed)
        return jax.device_get((loss, report, gradients))

    def traced(self, params: Any, y0: Any, constants: Any) -> tuple[Any, Any, Any]:
        """Loss, report and gradients inside somebody else's program, with other constants."""
        *extra, own = self._fixed
        constants = {**own, **constants}
        numbers = tuple(range(2 + len(extra)))
        differentiated = self._differentiate(self._loss, argnums=numbers, has_aux=True)
        (loss, report), gradients = differentiated(params, y0, *extra, constants)
        return loss, report, gradients

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> tuple[Any, Any]:
        """``(loss, report)`` without a gradient, NumPy."""
        return jax.device_get(self._primal(*self._put(params, y0), *self._fixed))

    @property
    def bare(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        """``(params, y0) -> (loss, dparams, dy0)`` on JAX arrays: the compiled gradient's."""
        executable, fixed = self._built.call, self._fixed

        def call(params: Any, y0: Any) -> tuple[Any, Any, Any]:
            (loss, _), (dparams, dy0, *_) = executable(params, y0, *fixed)
            return loss, dparams, dy0

        return call

    @property
    def bare_primal(self) -> Callable[[Any, Any], Any]:
        """``(params, y0) -> loss`` on JAX arrays, compiled when it is first asked for."""
        executable, fixed = self._primal, self._fixed
        return lambda params, y0: executable(params, y0, *fixed)[0]

    @functools.cached_property
    def _primal(self) -> Callable[..., Any]:
        return self._compile("primal", self._loss).call

    def _compile(self, name: str, function: Callable[..., Any]) -> Built:
        """`function` as a program, of which there is one of that name."""

        def make() -> Callable[..., Any]:
            with jax.enable_x64(True):
                sharding = jax.sharding.SingleDeviceSharding(self._device)
                types = jax.tree.map(
                    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
                    self._arguments,
                )
                return jax.jit(function).lower(*types).compile()

        return built_once(self._problem, (self._key, self._device, name), make)

    def _put(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> Any:
        with jax.enable_x64(True):
            return jax.device_put((dict(params), y0), self._device)


class LossProgram(ABC):
    """A program around a :class:`CompiledLoss`, whose report is for each to read.

    Parameters
    ----------
    problem : Problem
    loss : CompiledLoss
    coefficient : str, optional
        The constant of the loss that takes the coefficients of a regulariser, where it has one.
    """

    def __init__(
        self, problem: Problem, loss: CompiledLoss, coefficient: str | None = None
    ) -> None:
        self.problem = problem
        self.loss = loss
        self._coefficient = coefficient

    @abstractmethod
    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""

    @abstractmethod
    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""

    @abstractmethod
    def status_and_work(self, report: Any, *extra: Any) -> tuple[Any, Work]:
        """From a report, traced, and the gradients of further arguments."""

    @property
    def compiled(self) -> BareGradient:
        """``(params, y0) -> (loss, dparams, dy0)`` on JAX arrays, as the loss tells them."""
        return self.loss.bare

    @property
    def compiled_primal(self) -> BareLoss:
        """``(params, y0) -> loss`` on JAX arrays, as the loss tells it."""
        return self.loss.bare_primal

    def training_gradient(
        self, params: Any, y0: Any, constants: Any, coefficients: Sequence[float] | Any
    ) -> TrainingGradient:
        """Loss and gradient inside somebody else's program.

        The equations keep their own constants; only the loss sees others, and the coefficients
        among them.
        """
        if self._coefficient is not None:
            constants = {**constants, self._coefficient: coefficients}
        loss, report, (dparams, dy0, *extra) = self.loss.traced(params, y0, constants)
        return TrainingGradient(loss, dparams, dy0, *self.status_and_work(report, *extra))
