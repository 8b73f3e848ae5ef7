"""How XLA calls what solves banded and sparse systems: compiled handlers, or a callback."""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...linear_systems.factorizations import Factorizations, factorizations_by
from ...native.compiler import NoCompilerError
from ..callback_arrays import INTEGER, Parcel, call
from ..native.handlers import handler_library, register

#: The names of the handlers.
FACTORIZE_BANDED, SOLVE_BANDED, HOST = (
    f"adjointbench_{name}" for name in ("factorize_banded", "solve_banded", "call_host")
)

#: What a host is asked for.
FACTORIZE, SOLVE, SOLVE_TRANSPOSED = range(3)


class _Array(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
    )


@functools.cache
def handlers() -> bool:
    """Whether XLA knows the handlers, compiled against the headers of this jaxlib."""
    assert __package__ is not None
    try:
        library = handler_library(__package__, "calls.c")
    except NoCompilerError:
        return False
    library.set_lapack(*(_lapack(kind + name) for kind in "ds" for name in ("gbtrf", "gbtrs")))
    library.set_host(_answer)
    for name in (FACTORIZE_BANDED, SOLVE_BANDED, HOST):
        register(name, getattr(library, name.removeprefix("adjointbench_")))
    return True


def _lapack(name: str) -> ctypes.c_void_p:
    """The address of a function of the LAPACK that SciPy brings along."""
    capsule = importlib.import_module("scipy.linalg.cython_lapack").__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    kind = api.PyCapsule_GetName(ctypes.py_object(capsule))
    pointer = api.PyCapsule_GetPointer(ctypes.py_object(capsule), ctypes.c_char_p(kind))
    return ctypes.c_void_p(pointer)


def host_factorize(known: Factorizations, values: jax.Array) -> jax.Array:
    """The number of the factor of a sparse matrix, shape ``(1,)``; 0 where it is singular."""
    if handlers():
        return _ask(known, FACTORIZE, jax.ShapeDtypeStruct((1,), jnp.int32), values)

    def factorize(values: np.ndarray) -> list[int]:
        return [known.factorize(values)]

    takes, gives = Parcel(_kind(values)), Parcel(INTEGER)
    return call(factorize, takes, gives, values)[0][None]


def host_solve(
    known: Factorizations,
    number: jax.Array,
    values: jax.Array,
    right: jax.Array,
    *,
    transposed: bool,
) -> jax.Array:
    """The solution of a sparse system, by the factor of that number, or of the transposed one."""
    if handlers():
        task = SOLVE_TRANSPOSED if transposed else SOLVE
        return _ask(known, task, _kind(right), number, values, right)

    def solve(number: np.ndarray, values: np.ndarray, right: np.ndarray) -> list[np.ndarray]:
        return [known.solve(int(number[0]), values, right, transposed=transposed)]

    takes, gives = Parcel(_kind(number), _kind(values), _kind(right)), Parcel(_kind(right))
    return call(solve, takes, gives, number, values, right)[0]


def _ask(known: Factorizations, task: int, gives: Any, *arrays: jax.Array) -> jax.Array:
    """Call the handler that asks Python; lanes are asked for together."""
    asked: Callable[..., Any] = jax.ffi.ffi_call(HOST, gives, vmap_method="expand_dims")
    return asked(*arrays, key=np.int64(known.key), task=np.int64(task))


def _kind(array: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


@ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(_Array)
)
def _answer(key: int, task: int, count: int, given: Any) -> int:
    """What the handler asks: 0 where it could be done."""
    try:
        known = factorizations_by(key)
        if task == FACTORIZE:
            values, numbers = _floats(given[0]), _integers(given[1])
            for lane in np.ndindex(values.shape[:-1]):
                numbers[lane] = known.factorize(values[lane])
            return 0
        numbers, values, right, found = _integers(given[0]), *map(_floats, given[1:count])
        transposed = task == SOLVE_TRANSPOSED
        if numbers.size == 1:
            own = values.reshape(-1)
            found[...] = known.solve(numbers.item(), own, right, transposed=transposed)
            return 0
        numbers, values, right = (
            np.broadcast_to(a, (*found.shape[:-1], a.shape[-1])) for a in (numbers, values, right)
        )
        for lane in np.ndindex(found.shape[:-1]):
            number = int(numbers[lane][0])
            found[lane] = known.solve(number, values[lane], right[lane], transposed=transposed)
    except Exception:  # nothing may be raised through XLA
        return 1
    return 0


def _floats(given: _Array) -> np.ndarray:
    return _as_array(given, np.dtype(f"f{given.bytes}"))


def _integers(given: _Array) -> np.ndarray:
    return _as_array(given, np.dtype(np.int32))


def _as_array(given: _Array, dtype: np.dtype) -> np.ndarray:
    shape = given.dims[: given.rank]
    memory: Any = (ctypes.c_char * (math.prod(shape) * dtype.itemsize)).from_address(given.data)
    return np.ndarray(shape, dtype, memory)
