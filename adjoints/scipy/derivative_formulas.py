"""The derivatives that the methods need, written once for JAX, PyTorch and NumPy.

Every function here takes a :class:`~.flat.FlatSystem` and a :class:`Framework` and returns
``f(z, theta, constants)``, where the vector ``z`` packs time, state and direction into a single
array: one small transfer to the framework a call, and one back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from .flat import FlatSystem
from .sparsity import entries_of

Array = Any
#: ``f(z, theta, constants)``.
Formula = Callable[[Array, Array, Mapping[str, Array]], Array]
#: ``behind(t, y, theta, constants)``: what a jump or an event makes of the state.
Behind = Callable[[Array, Array, Array, Mapping[str, Array]], Array]


@dataclass(frozen=True)
class Framework:
    """The transformations of ``jax`` or ``torch.func``, and joining of arrays.

    ``second`` is ``jacfwd`` of what is a derivative itself.
    """

    vjp: Callable[..., Any]
    jacfwd: Callable[..., Any]
    jacrev: Callable[..., Any]
    second: Callable[..., Any]
    concat: Callable[..., Array]


def jacobian(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y] -> df/dy``, shape ``(n, n)``."""
    n = system.n
    of_state = ad.jacfwd(system.rhs, argnums=1)
    return lambda z, theta, constants: of_state(z[0], z[1 : n + 1], theta, constants)


def jacobian_entries(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y] -> df/dy``, the entries of its pattern."""
    n = system.n
    assert system.sparsity is not None
    entries = partial(entries_of, system.sparsity.state)

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        return entries(lambda y: system.rhs(z[0], y, theta, constants), z[1 : n + 1], ad.jacfwd)

    return formula


def whole_jacobian_entries(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y] -> [df/dy, df/dtheta]``, the entries of its pattern."""
    n = system.n
    assert system.sparsity is not None
    assert system.sparsity.whole is not None
    entries = partial(entries_of, system.sparsity.whole)

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        def rhs(both: Array) -> Array:
            return system.rhs(z[0], both[:n], both[n:], constants)

        return entries(rhs, ad.concat([z[1 : n + 1], theta]), ad.jacfwd)

    return formula


def parameter_jacobian(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y] -> df/dtheta``, shape ``(n, m)``."""
    n = system.n
    transform = ad.jacfwd if system.m <= n else ad.jacrev
    of_parameters = transform(system.rhs, argnums=2)
    return lambda z, theta, constants: of_parameters(z[0], z[1 : n + 1], theta, constants)


def vjp(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y, w] -> [w df/dy, w df/dtheta]``."""
    n = system.n

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        _, pull = ad.vjp(
            lambda y, theta: system.rhs(z[0], y, theta, constants), z[1 : n + 1], theta
        )
        return ad.concat(pull(z[n + 1 :]))

    return formula


def parameter_vjp(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y, w] -> w df/dtheta``."""
    n = system.n

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        y = z[1 : n + 1]
        _, pull = ad.vjp(lambda theta: system.rhs(z[0], y, theta, constants), theta)
        return pull(z[n + 1 :])[0]

    return formula


def sensitivities(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y, S] -> [f, S']``, the forward sensitivity equations.

    ``S`` has one row for each parameter and then one for each start value: row ``j`` is
    ``dy/dtheta_j`` or ``dy/dy0_j``.
    """
    n, m = system.n, system.m
    of_state, of_parameters = jacobian(system, ad), parameter_jacobian(system, ad)

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        f = system.rhs(z[0], z[1 : n + 1], theta, constants)
        rows = z[n + 1 :].reshape((m + n, n)) @ of_state(z, theta, constants).T
        driven = rows[:m] + of_parameters(z, theta, constants).T
        return ad.concat([f, driven.reshape((-1,)), rows[m:].reshape((-1,))])

    return formula


def curvature(system: FlatSystem, ad: Framework) -> Formula:
    """``[t, y, S] -> dS'/dy``, shape ``((m + n) n, n)``: how the sensitivities follow the state."""
    n = system.n
    inner = sensitivities(system, ad)

    def rates(y: Array, z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        return inner(ad.concat([z[:1], y, z[n + 1 :]]), theta, constants)[n:]

    of_state = ad.second(rates, argnums=0)
    return lambda z, theta, constants: of_state(z[1 : n + 1], z, theta, constants)


def loss_gradient(system: FlatSystem, ad: Framework) -> Formula:
    """``[ys, times] -> [loss, dloss/dys, dloss/dtimes, dloss/dtheta]``, all flat."""
    n, seen = system.n, system.times_seen

    def value(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        stop = z.shape[0] - seen
        ys = z[:stop].reshape((-1, n))
        return system.loss(ys, theta, constants, z[stop:]).reshape((1,))

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        loss, pull = ad.vjp(lambda z, theta: value(z, theta, constants), z, theta)
        return ad.concat([loss, *pull(loss * 0 + 1)])

    return formula


def jump_jacobians(system: FlatSystem, ad: Framework, i: int) -> Formula:
    """``[t, y] -> [d jump/dy, d jump/dtheta]`` of jump number `i`, shape ``(n, n + m)``."""
    return _jacobians_behind(partial(system.jump, i), system.n, ad)


def event_jacobians(system: FlatSystem, ad: Framework, e: int) -> Formula:
    """``[t, y] -> d[state, time]/d[y, theta]`` of event number `e`, shape ``(n + 1, n + m)``."""
    return _jacobians_behind(partial(system.event, e), system.n, ad)


def _jacobians_behind(behind: Behind, n: int, ad: Framework) -> Formula:
    both = ad.jacrev(behind, argnums=(1, 2))

    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        return ad.concat(both(z[0], z[1 : n + 1], theta, constants), axis=1)

    return formula


def jump_vjp(system: FlatSystem, ad: Framework, i: int) -> Formula:
    """``[t, y, w] -> [w d jump/dy, w d jump/dtheta]`` of jump number `i`."""
    return _vjp_behind(partial(system.jump, i), system.n, ad)


def event_vjp(system: FlatSystem, ad: Framework, e: int) -> Formula:
    """``[t, y, w, s] -> [w, s] d[state, time]/d[y, theta]`` of event number `e`."""
    return _vjp_behind(partial(system.event, e), system.n, ad)


def _vjp_behind(behind: Behind, n: int, ad: Framework) -> Formula:
    def formula(z: Array, theta: Array, constants: Mapping[str, Array]) -> Array:
        _, pull = ad.vjp(lambda y, theta: behind(z[0], y, theta, constants), z[1 : n + 1], theta)
        return ad.concat(pull(z[n + 1 :]))

    return formula


def input_size(name: str, system: FlatSystem, saves: int = 0) -> int:
    """The length of the vector ``z`` that the formula called `name` takes."""
    n, m = system.n, system.m
    sizes = {
        "vjp": 1 + 2 * n,
        "parameter_vjp": 1 + 2 * n,
        "jump_vjp": 1 + 2 * n,
        "sensitivities": 1 + n + (m + n) * n,
        "curvature": 1 + n + (m + n) * n,
        "event_vjp": 2 + 2 * n,
        "loss_gradient": saves * n + system.times_seen,
    }
    return sizes.get(name, 1 + n)


def output_shape(name: str, system: FlatSystem) -> tuple[int, ...]:
    """The shape of the result of the formulas that an adjoint uses."""
    n, m = system.n, system.m
    shapes = {
        "jacobian": (n, n),
        "parameter_jacobian": (n, m),
        "vjp": (n + m,),
        "parameter_vjp": (m,),
        "jump_vjp": (n + m,),
        "event_vjp": (n + m,),
    }
    return shapes[name]
