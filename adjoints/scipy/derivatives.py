"""Derivatives of a problem's functions for solvers that have none of their own.

The problem's own Jacobian is taken where it has one. Everything else comes from JAX, compiled
once ahead of time; from PyTorch where JAX is not installed or cannot run the equations; and where
neither can, from the functions on NumPy, by complex steps or differences.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, Protocol

import numpy as np
from scipy.sparse import csc_matrix, vstack

from ...problems.functions import framework_of
from ...problems.installing import how_to_install
from . import derivative_formulas
from .flat import BoundSystem, FlatSystem
from .numpy_derivatives import NumpyBackend

#: A formula by its name in :mod:`.derivative_formulas`, and the number of the jump it is about.
Key = tuple[str, int] | tuple[str]
#: ``f(z, theta)`` on a NumPy vector ``z`` and a handle of ``theta``, returning a NumPy array.
NumpyFormula = Callable[[np.ndarray, Any], np.ndarray]


class Backend(Protocol):
    """What runs the formulas."""

    name: str
    framework: derivative_formulas.Framework

    def compile(
        self,
        formula: derivative_formulas.Formula,
        size: int,
        m: int,
        constants: Mapping[str, np.ndarray],
    ) -> NumpyFormula:
        """Make `formula` callable on vectors of `size` and parameters of size `m`."""
        ...

    def put(self, theta: np.ndarray) -> Any:
        """The parameters in the framework, for many calls."""
        ...

    def active(self) -> contextlib.AbstractContextManager[None]:
        """The context inside which compiled functions are made and called."""
        ...


def backends_for(system: FlatSystem) -> Iterator[Backend]:
    """What may run the formulas of `system`, in the order in which to try."""
    written_for = _written_for(system)
    for name, make in (("jax", _jax_backend), ("torch", _torch_backend)):
        asked = not written_for or name in written_for
        if asked and importlib.util.find_spec(name) is not None:
            yield make()
    if system.problem is not None and not written_for:
        yield NumpyBackend(system.problem)


def _written_for(system: FlatSystem) -> set[str]:
    """The frameworks for which alone a function of the user's is written."""
    functions = [system.function, system.loss_function, system.jump_function]
    if system.problem is not None:
        functions.append(system.problem.jump)
    for event in system.events:
        functions += [event.when, event.jump]
    return {framework_of(function) for function in functions} - {""}


def _refuse(system: FlatSystem) -> NoReturn:
    needed = _written_for(system) or {"jax"}
    raise ValueError(
        "this method needs derivatives of rhs and loss, which nothing here can take; "
        f"{how_to_install(needed.pop())}, or use method='finite-difference'"
    )


def _jax_backend() -> Backend:
    from .jax_derivatives import JaxBackend

    return JaxBackend()


def _torch_backend() -> Backend:
    from .torch_derivatives import TorchBackend

    return TorchBackend()


class Derivatives:
    """The derivatives of a system, compiled on demand and kept.

    Parameters
    ----------
    system : FlatSystem
    backend : Backend, optional
        By default the first of :func:`backends_for` that can take them.
    """

    def __init__(self, system: FlatSystem, backend: Backend | None = None) -> None:
        self.system = system
        self._others = iter(()) if backend else backends_for(system)
        self._backend = backend or next(self._others, None) or _refuse(system)
        self._formulas: dict[Key, NumpyFormula] = {}

    @property
    def source(self) -> str:
        """``"problem"`` where df/dy is the problem's own Jacobian, else the backend's name."""
        return self._backend.name if self.system.jacobian_function is None else "problem"

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Inside this context, and only there, the derivatives may be taken."""
        with self._backend.active():
            yield

    def compile(self, *keys: Key, saves: int = 0) -> float:
        """Compile formulas beforehand.

        Parameters
        ----------
        *keys : tuple
            Name of the formula, and the number of the jump for those of jumps.
        saves : int
            Number of save times, for ``"loss_gradient"``.

        Returns
        -------
        float
            The seconds it took.
        """
        begin = time.perf_counter()
        while True:
            try:
                self._compile(keys, saves)
                self._try(keys, saves)
                break
            except Exception:
                following = next(self._others, None)
                if following is None:
                    raise
                self._backend = following
        self._others = iter(())
        return time.perf_counter() - begin

    def _compile(self, keys: tuple[Key, ...], saves: int) -> None:
        system, backend = self.system, self._backend
        with self.active():
            for key in keys:
                name, *index = key
                formula = getattr(derivative_formulas, name)(system, backend.framework, *index)
                size = derivative_formulas.input_size(name, system, saves)
                self._formulas[key] = backend.compile(formula, size, system.m, system.constants)

    def _try(self, keys: tuple[Key, ...], saves: int) -> None:
        """Raise where PyTorch, which compiles nothing, cannot take the derivatives."""
        if self._backend.name != "torch":
            return
        from .torch_derivatives import RefusesNumbers

        theta = self._backend.put(np.ones(self.system.m))
        with RefusesNumbers():
            for key in keys:
                size = derivative_formulas.input_size(key[0], self.system, saves)
                self._formulas[key](np.ones(size), theta)

    def at(self, theta: np.ndarray) -> Point:
        """The derivatives at given parameters."""
        return Point(self.system, self._formulas, theta, self._backend.put(theta))


class Point(BoundSystem):
    """The functions and their derivatives at fixed parameters; NumPy arrays in and out."""

    def __init__(
        self,
        system: FlatSystem,
        formulas: Mapping[Key, NumpyFormula],
        theta: np.ndarray,
        handle: Any,
    ) -> None:
        super().__init__(system, theta)
        self._formulas = formulas
        self._handle = handle

    def _call(self, key: Key, *parts: Any) -> np.ndarray:
        return self._formulas[key](np.hstack(parts), self._handle)

    def jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """The derivative of the right-hand side in ``y``, shape ``(n, n)``."""
        if self.system.jacobian_function is not None:
            return self.system.jacobian(t, y, self.theta)
        return self._call(("jacobian",), t, y)

    def jacobian_for_solver(self, t: float, y: np.ndarray) -> Any:
        """The same, sparse where the system is."""
        if self.system.sparsity is None:
            return self.jacobian(t, y)
        entries = self._call(("jacobian_entries",), t, y)
        return self.system.sparsity.state.pattern.matrix(entries)

    def whole_jacobian(self, t: float, y: np.ndarray) -> Any:
        """``[df/dy, df/dtheta]`` with empty rows below, shape ``(n + m, n + m)``."""
        n, m, sparsity = self.system.n, self.system.m, self.system.sparsity
        if sparsity is not None and sparsity.whole is not None:
            entries = self._call(("whole_jacobian_entries",), t, y)
            return sparsity.whole.pattern.matrix(entries)
        both = np.hstack([self.jacobian(t, y), self.parameter_jacobian(t, y)])
        empty = csc_matrix((m, n + m))
        return vstack([csc_matrix(both), empty], format="csc")

    def parameter_jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """The derivative of the right-hand side in the parameters, shape ``(n, m)``."""
        return self._call(("parameter_jacobian",), t, y)

    def vjp(self, t: float, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """``[w df/dy, w df/dtheta]``, shape ``(n + m,)``."""
        if self.system.jacobian_function is None:
            return self._call(("vjp",), t, y, w)
        return np.hstack([w @ self.jacobian(t, y), self._call(("parameter_vjp",), t, y, w)])

    def sensitivities(self, t: float, z: np.ndarray) -> np.ndarray:
        """``[f, S']`` of the packed ``z = [y, S]``; as in :mod:`.derivative_formulas`."""
        if self.system.jacobian_function is None:
            return self._call(("sensitivities",), t, z)
        n, m = self.system.n, self.system.m
        y, rows = z[:n], z[n:].reshape(m + n, n)
        rates = rows @ self.jacobian(t, y).T
        rates[:m] += self.parameter_jacobian(t, y).T
        return np.hstack([self.rhs(t, y), rates.ravel()])

    def curvature(self, t: float, z: np.ndarray) -> np.ndarray:
        """The derivative of ``S'`` in ``y``, shape ``((m + n) n, n)``."""
        return self._call(("curvature",), t, z)

    def loss_gradient(
        self, ys: np.ndarray, times: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Loss, and its derivatives in saved states (as they are), event times and parameters."""
        value = self._call(("loss_gradient",), ys.ravel(), times)
        dys, dtimes, direct = np.split(value[1:], [ys.size, ys.size + times.size])
        return float(value[0]), dys.reshape(ys.shape), dtimes, direct

    def jump_jacobians(self, i: int, t: float, y: np.ndarray) -> np.ndarray:
        """The derivatives of jump number `i`, shape ``(n, n + m)``."""
        return self._call(("jump_jacobians", i), t, y)

    def event_jacobians(self, e: int, t: float, y: np.ndarray) -> np.ndarray:
        """The derivatives of ``[state, time]`` of event number `e`, shape ``(n + 1, n + m)``."""
        return self._call(("event_jacobians", e), t, y)

    def event_vjp(self, e: int, t: float, y: np.ndarray, w: np.ndarray, s: float) -> np.ndarray:
        """``[w, s]`` of state and time of event number `e`, pulled back to ``[y, theta]``."""
        return self._call(("event_vjp", e), t, y, w, s)

    def jump_vjp(self, i: int, t: float, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """``[w djump/dy, w djump/dtheta]`` of jump number `i`."""
        return self._call(("jump_vjp", i), t, y, w)
