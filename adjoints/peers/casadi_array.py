"""An array of the Python array API whose numbers are CasADi expressions.

CasADi's matrices have two axes, count them by columns and are no arrays of the standard. Here an
array is a column of CasADi numbers in C order, and a shape. Whatever only moves numbers about
(indexing, broadcasting, stacking, rolling, ...) is done by NumPy on the array of their positions
and then by one selection in CasADi, so that the graph has a node for each operation, not for each
number. Arrays of plain numbers stay NumPy arrays until they meet an expression: labels can be
compared and used as an index.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from types import EllipsisType
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ..standard_names import STANDARD_NAMES

#: A CasADi column (``SX`` or ``MX``) or a NumPy vector.
Column = Any


def _operator(function: Callable[..., Any], dtype: type = np.float64) -> tuple[Any, Any]:
    """An operator and its reflection."""

    def forward(self: CasadiArray, other: Any) -> CasadiArray:
        return elementwise(function, function, self, other, dtype=dtype)

    def reflected(self: CasadiArray, other: Any) -> CasadiArray:
        return elementwise(function, function, other, self, dtype=dtype)

    return forward, reflected


class CasadiArray:
    """An array of CasADi expressions, or of plain numbers.

    Parameters
    ----------
    column : SX, MX or ndarray
        The numbers in C order: an expression of shape ``(size, 1)``, or a NumPy vector.
    shape : tuple of int
    dtype : dtype
        What the expressions stand for: float64 or bool.
    """

    device = "cpu"
    #: The functions of the standard, which know arrays: :mod:`.casadi_namespace` sets it.
    namespace: ClassVar[Any]

    def __init__(
        self, column: Column, shape: tuple[int, ...], dtype: type | np.dtype = np.float64
    ) -> None:
        self.column = column
        self.shape = shape
        self.concrete = isinstance(column, np.ndarray)
        self.dtype: np.dtype = column.dtype if self.concrete else np.dtype(dtype)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return self.namespace

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's operators and functions of each element, by their counterparts here."""
        if method != "__call__":
            return NotImplemented
        return self._counterpart(ufunc)(*map(as_array, inputs), **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's other functions, by their counterparts here."""
        return self._counterpart(function)(*args, **kwargs)

    def _counterpart(self, function: Any) -> Callable[..., Any]:
        """The function of the standard that does what NumPy's does."""
        name: str = function.__name__
        return getattr(self.namespace, STANDARD_NAMES.get(name, name))

    def numpy(self) -> np.ndarray:
        """The plain numbers; ``TypeError`` where they depend on symbols."""
        if not self.concrete:
            raise TypeError("a value that depends on the state, the time or a parameter")
        return self.column.reshape(self.shape)

    def symbolic(self) -> Any:
        """The column as something that CasADi computes with."""
        return ca.DM(self.column.astype(np.float64)) if self.concrete else self.column

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def positions(self) -> np.ndarray:
        """The place of each element in the column, in the shape of the array."""
        return np.arange(self.size).reshape(self.shape)

    def taken(self, places: np.ndarray) -> CasadiArray:
        """The elements at `places` of the column, in their shape."""
        flat = places.ravel()
        if np.array_equal(flat, np.arange(self.size)):
            column = self.column
        elif self.concrete:
            column = self.column[flat]
        else:
            # A selection from a single number is a row.
            column = ca.reshape(self.column[flat.tolist()], flat.size, 1)
        return CasadiArray(column, places.shape, self.dtype)

    def __getitem__(self, key: Any) -> CasadiArray:
        keys = key if isinstance(key, tuple) else (key,)
        return self.taken(np.asarray(self.positions()[tuple(map(_plain_index, keys))]))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d array has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[CasadiArray]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if not self.concrete:
            raise TypeError("an `if` on a value that is not known yet; use xp.where")
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    __index__ = __int__

    def __repr__(self) -> str:
        return f"CasadiArray({self.column}, shape={self.shape})"

    # Methods that NumPy, JAX and PyTorch all have, beyond the standard.

    def reshape(self, *shape: Any) -> CasadiArray:
        """The same elements in another shape."""
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return self.taken(self.positions().reshape(wanted))

    def sum(self, axis: Any = None) -> CasadiArray:
        """Sum over some or all axes."""
        return self.namespace.sum(self, axis=axis)

    def mean(self, axis: Any = None) -> CasadiArray:
        """Mean over some or all axes."""
        return self.namespace.mean(self, axis=axis)

    def to_device(self, device: Any, /, *, stream: Any = None) -> CasadiArray:
        """The array itself: there is one device."""
        return self

    @property
    def T(self) -> CasadiArray:
        """The transpose of a matrix."""
        return self.taken(self.positions().T)

    @property
    def mT(self) -> CasadiArray:
        """The last two axes exchanged."""
        return self.taken(self.positions().swapaxes(-1, -2))

    __add__, __radd__ = _operator(operator.add)
    __sub__, __rsub__ = _operator(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv)
    __pow__, __rpow__ = _operator(operator.pow)
    __lt__, _ = _operator(operator.lt, np.bool_)
    __le__, _ = _operator(operator.le, np.bool_)
    __gt__, _ = _operator(operator.gt, np.bool_)
    __ge__, _ = _operator(operator.ge, np.bool_)
    __eq__, _ = _operator(operator.eq, np.bool_)
    __ne__, _ = _operator(operator.ne, np.bool_)

    def __neg__(self) -> CasadiArray:
        return elementwise(operator.neg, operator.neg, self)

    def __pos__(self) -> CasadiArray:
        return self

    def __abs__(self) -> CasadiArray:
        return elementwise(ca.fabs, np.abs, self)

    def __invert__(self) -> CasadiArray:
        return elementwise(ca.logic_not, np.logical_not, self, dtype=np.bool_)

    def __and__(self, other: Any) -> CasadiArray:
        return self.namespace.logical_and(self, other)

    def __or__(self, other: Any) -> CasadiArray:
        return self.namespace.logical_or(self, other)

    def __matmul__(self, other: Any) -> CasadiArray:
        return matmul(self, as_array(other))

    def __rmatmul__(self, other: Any) -> CasadiArray:
        return matmul(as_array(other), self)


def _plain_index(key: Any) -> int | slice | EllipsisType | np.ndarray | None:
    """One index as NumPy takes it."""
    if key is None or key is Ellipsis or isinstance(key, int | slice):
        return key
    return np.asarray(key.numpy() if isinstance(key, CasadiArray) else key)


def as_array(value: Any) -> CasadiArray:
    """`value`, a number or anything that NumPy makes an array of, as an array."""
    if isinstance(value, CasadiArray):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "O" and array.size:  # of expressions, put together by NumPy
        parts = [as_array(part).reshape(()) for part in array.ravel()]
        return CasadiArray.namespace.stack(parts).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(value).__name__} {value!r} is not an array of real numbers")
    return CasadiArray(array.ravel(), array.shape)


def elementwise(
    function: Callable[..., Any],
    numpy_function: Callable[..., Any],
    *operands: Any,
    dtype: type = np.float64,
) -> CasadiArray:
    """A function of each element, operands broadcast.

    Parameters
    ----------
    function, numpy_function : callable
        On CasADi columns, and on NumPy arrays: plain numbers stay plain.
    *operands : CasadiArray or number
    dtype : type
        Of a result that is not plain.
    """
    arrays = [as_array(operand) for operand in operands]
    if all(array.concrete for array in arrays):
        return as_array(numpy_function(*(array.numpy() for array in arrays)))
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    columns = (_stretched(array, shape).symbolic() for array in arrays)
    return CasadiArray(function(*columns), shape, dtype)


def _stretched(array: CasadiArray, shape: tuple[int, ...]) -> CasadiArray:
    """`array` broadcast to `shape`; single numbers are left to CasADi, which broadcasts them."""
    if array.shape == shape or (array.size == 1 and math.prod(shape) > 1):
        return array
    return array.taken(np.broadcast_to(array.positions(), shape))


def matmul(a: CasadiArray, b: CasadiArray) -> CasadiArray:
    """Matrix product of vectors and matrices; more axes only on the left.

    A column in C order is the transpose of a matrix of CasADi, so this computes
    ``(a b)^T = b^T a^T``.
    """
    if not a.shape or b.ndim not in (1, 2):
        raise TypeError(f"a matrix product of shapes {a.shape} and {b.shape}")
    if a.concrete and b.concrete:
        return as_array(a.numpy() @ b.numpy())
    rows, columns = math.prod(a.shape[:-1]), math.prod(b.shape[1:])
    a_t = ca.reshape(a.symbolic(), a.shape[-1], rows)
    b_t = ca.reshape(b.symbolic(), columns, b.shape[0])
    return CasadiArray(ca.vec(ca.mtimes(b_t, a_t)), (*a.shape[:-1], *b.shape[1:]))
