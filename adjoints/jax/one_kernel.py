"""Whole computations as one kernel of XLA's CPU backend.

On the CPU, XLA runs a compiled program kernel by kernel, at some 20 ns each, which is most of the
time of a solve with few states: one step of Lotka-Volterra is about 20 kernels of a few
operations. It compiles loops that touch less than a kilobyte a turn into single kernels; larger
ones only where an environment variable raises that limit for the whole process. The mark that
this pass leaves on the calls it makes can also be put there by hand, call by call, and that is
what :func:`one_kernel` does. The numbers are the same but for rounding.

``ADJOINTBENCH_ONE_KERNEL=0`` in the environment turns it off. It is used in the programs of
``adjointbench.prepare``, whose arguments are known; ``solve`` inside somebody's own program runs
as XLA runs it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import jaxlib.version
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from .storage import pack_by_type, unpack_by_type

Tree = Any

#: The mark is no public interface of XLA: with versions that were not tried it is not set.
_TESTED = jaxlib.version.__version_info__[:2] in {(0, 10), (0, 11)}

_allowed: ContextVar[bool] = ContextVar("single kernels allowed", default=False)

_MARK = {"xla_cpu_small_call": "true", "inlineable": "false"}

#: Arithmetic operations of one instruction, at most: beyond that XLA's own kernels, which use
#: several threads, are better, and sums are emitted in a way that cannot stand in one kernel.
LARGEST, LARGEST_SUM = 32768, 4096

#: Operands of so many numbers, at most, are handed over together.
PACKED = 64


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What may stand in one kernel. Sorting, scattering, random numbers, callbacks, factorisations
#: and products of matrices may not: XLA runs them by themselves.
_ARITHMETIC = _names(
    "abs add add_any and cbrt ceil clamp cos cosh div eq erf exp exp2 expm1 floor ge gt "
    "le_to lt_to "
    "integer_pow is_finite le log log1p logistic lt max min mul ne neg nextafter not or pow rem "
    "round rsqrt select_n sign sin sinh sqrt square sub tan tanh xor"
)
_REDUCING = _names(
    "argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum"
)
_OTHER = _names(
    "bitcast_convert_type broadcast_in_dim concatenate convert_element_type copy copy_p "
    "dynamic_slice dynamic_update_slice empty2 expand_dims gather iota pad reduce_precision "
    "reshape rev slice split squeeze stack stop_gradient transpose unstack "
    "closed_call cond custom_jvp_call custom_linear_solve custom_vjp_call custom_vmap_call jit "
    "optimization_barrier pjit scan while xla_metadata_value"
)


@contextmanager
def single_kernels(device: Any) -> Iterator[bool]:
    """What is traced inside may use :func:`one_kernel`, where it is for a CPU; says whether.

    Only programs whose floating arguments are known at run time alone belong inside: constants
    cannot be handed to a single kernel.
    """
    wanted = os.environ.get("ADJOINTBENCH_ONE_KERNEL", "1") != "0"
    allowed = wanted and _TESTED and device.platform == "cpu"
    before = _allowed.set(allowed)
    try:
        yield allowed
    finally:
        _allowed.reset(before)


@contextmanager
def no_single_kernels() -> Iterator[None]:
    """What is traced inside runs as XLA runs it."""
    before = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(before)


def one_kernel(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """`function`, as one kernel wherever that is allowed and the computation is fit for it.

    Parameters
    ----------
    function : callable
        Of trees of arrays, at least one of them floating. It must not close over traced values.

    Returns
    -------
    callable
        It gives the same. It must not be differentiated in reverse nor mapped by ``vmap``
        afterwards; see :func:`~adjointbench.adjoints.jax.control_flow.apart`.
    """

    def run(*operands: Tree) -> Tree:
        if not _allowed.get():
            return function(*operands)
        small, large = _apart(operands)

        def with_trace(packed: Tree, large: Tree) -> tuple[Tree, jax.Array]:
            found = function(*_together(unpack_by_type(packed, small), large))
            return found, _trace_of((packed, large))

        # What is added to each operand is a kernel to compile each time.
        jitted, given = jax.jit(with_trace), (pack_by_type(small), large)
        if not is_fit(jitted.trace(*given).jaxpr):
            return jitted(*given)[0]
        marked = set_xla_metadata(jitted(*_not_constant(given)), **_MARK)
        return lax.optimization_barrier(marked)[0]

    return run


def _apart(operands: Tree) -> tuple[Tree, Tree]:
    """The operands of few numbers, and the others; ``None`` where one is among the others."""
    is_small = jax.tree.map(lambda leaf: jnp.size(leaf) <= PACKED, operands)
    small = jax.tree.map(lambda here, leaf: leaf if here else None, is_small, operands)
    return small, jax.tree.map(lambda here, leaf: None if here else leaf, is_small, operands)


def _together(small: Tree, large: Tree) -> Tree:
    """The inverse of :func:`_apart`."""

    def either(one: Any, other: Any) -> Any:
        return other if one is None else one

    return jax.tree.map(either, small, large, is_leaf=lambda leaf: leaf is None)


def _trace_of(operands: Tree) -> jax.Array:
    """Something that depends on each operand: the emitter aborts where one is never read."""
    return jnp.stack([jnp.ravel(leaf)[0].astype(jnp.float32) for leaf in _filled(operands)])


def _not_constant(operands: Tree) -> Tree:
    """The operands, none of them a constant any more: the emitter aborts where one is.

    A zero is added to each: what is not a number is not negative, but XLA does not know, unless all
    that the zero is made of are constants. So it is made of every operand, packed ones whole.
    """
    packed, large = (_floating(part) for part in operands)
    firsts = [jnp.ravel(leaf)[0] for leaf in large]
    total = sum(part.astype(jnp.float32) for part in (*(jnp.sum(x) for x in packed), *firsts))
    zero = jnp.isnan(total) & (total < 0)
    return jax.tree.map(
        lambda leaf: leaf | zero if leaf.dtype == bool else leaf + zero.astype(leaf.dtype),
        operands,
    )


def _floating(operands: Tree) -> list[jax.Array]:
    return [leaf for leaf in _filled(operands) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def _filled(operands: Tree) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(operands) if jnp.size(leaf)]


def is_fit(program: ClosedJaxpr) -> bool:
    """Whether a program may become one kernel."""
    return all(_is_fit(e) for jaxpr in _all_parts(program.jaxpr) for e in jaxpr.eqns)


def _is_fit(equation: JaxprEqn) -> bool:
    name = equation.primitive.name
    if name in _ARITHMETIC:
        return _size(equation.outvars[0]) <= LARGEST
    if name in _REDUCING:
        return _size(equation.invars[0]) <= LARGEST_SUM
    return name in _OTHER


def _all_parts(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """A program and all programs inside it."""
    yield jaxpr
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(tuple(equation.params.values()), is_leaf=_is_program):
            if _is_program(value):
                yield from _all_parts(getattr(value, "jaxpr", value))


def _is_program(value: Any) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)


def _size(variable: Any) -> int:
    return math.prod(variable.aval.shape)
