"""One equation of a program, as the rules of its primitive see it.

Values are NumPy arrays: of objects (expressions and numbers) where they depend on what is not known
yet, of their own dtype where they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from ...native.expressions import Expression, Expressions
from ...native.symbolic_array import as_expression
from ...native.translation import UntranslatableError

Run = Callable[["ClosedJaxpr | Jaxpr", Sequence[np.ndarray]], list[np.ndarray]]


@dataclass(frozen=True)
class Equation:
    """An equation and the values it reads.

    Attributes
    ----------
    make : Expressions
    written : JaxprEqn
        As it stands in the program.
    inputs : list of ndarray
    run : callable
        The values of another program, such as the body of a loop.
    """

    make: Expressions
    written: JaxprEqn
    inputs: list[np.ndarray]
    run: Run

    def __getitem__(self, name: str) -> Any:
        """A parameter of the primitive."""
        return self.written.params[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its first output."""
        return told(self.written.outvars[0]).shape

    def expressions(self, array: np.ndarray) -> list[Expression]:
        """The elements of an array, in C order."""
        return [as_expression(self.make, x) for x in array.ravel().tolist()]


Rule = Callable[[Equation], "np.ndarray | list[np.ndarray]"]


def told(variable: Var | Literal) -> Any:
    """What the program tells of a variable: shape and dtype."""
    return variable.aval


def is_known(value: np.ndarray) -> bool:
    """Whether it is made of numbers."""
    return value.dtype != object


@contextmanager
def with_reason() -> Iterator[None]:
    """Whatever values of which nothing is known do to the code within is a reason to refuse."""
    try:
        with np.errstate(all="ignore"):
            yield
    except UntranslatableError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UntranslatableError(reason) from error


def evaluated(equation: JaxprEqn, inputs: Sequence[Any], **changed: Any) -> Any:
    """What the primitive itself makes of known values, with some of its parameters changed."""
    # Also while somebody traces, and in the dtypes of the program whatever JAX's own is.
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        found = equation.primitive.bind(*inputs, **{**equation.params, **changed})
        return jax.tree.map(np.asarray, found)
