"""A user's equations as a native program that XLA can call: translated once, or refused."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...native.compiler import NoCompilerError
from ...native.equations import Data, Equations
from ...native.loop import NativeLoop, Refused, native_loop, refused_of_numbers
from ...native.translation import UntranslatableError
from ...scipy.flat import parts
from ..config import Config
from .bridge import register
from .jaxpr import expressions_of

Tree = Any

#: Bytes of constants by which programs are told from each other.
MOST_DATA = 1 << 20


def loop_of(
    config: Config,
    y0: jax.Array,
    params: Tree,
    constants: Tree,
    jumps: tuple[int, ...],
    most: int | None,
) -> NativeLoop | Refused:
    """The program of a solve, or why there is none.

    Parameters
    ----------
    config : Config
    y0 : array
    params, constants : pytree of array
        Parameters that are differentiated, and those that are not.
    jumps : tuple of int
        The numbers of the jumps that may act.
    most : int, optional
        How many operations the right-hand side may have.
    """
    smooth, structure = jax.tree.flatten(params)
    sizes, dtypes = [leaf.size for leaf in smooth], [leaf.dtype for leaf in smooth]
    refused = refused_of_numbers(y0.size, sizes, dtypes, y0.dtype, most)
    if refused is not None:
        return refused
    leaves, form = jax.tree.flatten(constants)
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return Refused("a constant among params is known at run time alone")
    arrays = [np.asarray(leaf) for leaf in leaves]
    if sum(a.nbytes for a in arrays) > MOST_DATA:
        return Refused(f"the constants have more than {MOST_DATA} bytes")
    known = form, tuple((a.shape, a.dtype.str, a.tobytes()) for a in arrays)
    kinds = tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in smooth)
    # Until ``jax.clear_caches()`` calls for what functions read by now, as with JAX's own programs.
    age = jax.eval_shape(_age).shape
    return _translated(
        age, config, (y0.shape, np.dtype(y0.dtype)), (structure, kinds), known, jumps, most
    )


_ages = itertools.count()


@jax.jit
def _age() -> jax.Array:
    """An array of a shape that is new whenever JAX traces anew."""
    return jnp.zeros(next(_ages), bool)


@lru_cache(maxsize=256)
def _translated(
    age: tuple[int, ...],
    config: Config,
    state: Any,
    parameters: Any,
    known: Any,
    jumps: tuple[int, ...],
    most: int | None,
) -> NativeLoop | Refused:
    try:
        equations = _equations(config, state, parameters, known, jumps)
    except UntranslatableError as error:
        return Refused(str(error))
    found = native_loop(equations, config.tableau, state[1], breaks=config.breaks, most=most)
    try:
        if isinstance(found, NativeLoop):
            register(found)
    except NoCompilerError as error:
        return Refused(str(error))
    return found


def _equations(
    config: Config, state: Any, parameters: Any, known: Any, jumps: tuple[int, ...]
) -> Equations:
    """A user's functions, traced by JAX, on flat expressions."""
    y0, t = jax.ShapeDtypeStruct(*state), jax.ShapeDtypeStruct((), state[1])
    structure, kinds = parameters
    smooth = [jax.ShapeDtypeStruct(*kind) for kind in kinds]
    shapes = [leaf.shape for leaf in smooth]
    form, given = known
    values = [np.frombuffer(raw, kind).reshape(shape) for shape, kind, raw in given]
    constants = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in values]
    read = (jax.tree.unflatten(structure, smooth), jax.tree.unflatten(form, constants))
    rhs = jax.make_jaxpr(config.rhs)(t, y0, read)
    jump = None
    if jumps:
        assert config.on_stop is not None
        which = jax.ShapeDtypeStruct((1,), jnp.int32)
        jump = jax.make_jaxpr(config.on_stop)(which, t, y0, read)

    def at(program: Any, *leading: Any, t: Any, y: Any, p: Any, data: Data) -> Any:
        entered = [data(value) for value in values]
        arguments = [*leading, t, y.reshape(y0.shape), *parts(p, shapes), *entered]
        (value,) = expressions_of(data.make, program, arguments, data)
        return value

    return Equations(
        n=int(np.prod(y0.shape)),
        m=sum(int(np.prod(leaf.shape)) for leaf in smooth),
        rhs=lambda t, y, p, data: at(rhs, t=t, y=y, p=p, data=data),
        jump=lambda i, t, y, p, data: at(jump, np.array([i], np.int32), t=t, y=y, p=p, data=data),
        jumps=jumps,
        mass=config.mass,
    )
