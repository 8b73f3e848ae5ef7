"""A problem's functions as C: traced once on expressions, with their derivatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np

from ..steps.tableau import Tableau
from .differentiation import jacobian, pulled_back, pushed_forward
from .equations import Data, Equations
from .expressions import Expression, Expressions, below, inputs
from .functions import written
from .symbolic_array import SymbolicArray, as_expression, elements, symbolic

#: Operations that a function and its derivative may have: more take seconds to compile.
MOST_OPERATIONS = 60_000

#: What functions of a number cost, in multiplications; C code takes them one by one.
_WEIGHTS = {
    **dict.fromkeys(("input", "number"), 0),
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "log10", "sin", "cos", "div", "sqrt"), 8),
    **dict.fromkeys(("pow", "tan", "tanh", "sinh", "cosh", "asin", "acos", "atan", "atan2"), 20),
    **dict.fromkeys(("asinh", "acosh", "atanh", "erf", "erfc", "hypot"), 20),
}

_AT = ("real t", "const real *y", "const real *p")


class UntranslatableError(ValueError):
    """Equations that cannot be written as C here, and why."""


class Translator:
    """Traces the functions of some equations.

    Parameters
    ----------
    equations : Equations

    Attributes
    ----------
    make : Expressions
    t, y, p : SymbolicArray
        Time, flat state and flat parameters.
    data : Data
        Numbers that the program is handed besides.
    """

    def __init__(self, equations: Equations) -> None:
        self.equations = equations
        self.make = Expressions()
        self.t = symbolic(self.make, self.make.input("t"))
        self.y = self._inputs("y", equations.n)
        self.p = self._inputs("p", equations.m)
        self.data = Data(self.make, equations.m)

    def rhs(self) -> str:
        """``f`` and its pull-back ``vjp``."""
        w = list(inputs(self.make, "w", self.equations.n))
        text = self._written("f", _AT, {"out": self._slopes})
        return text + self._pull_back("vjp", (*_AT, "const real *w"), self._slopes, w)

    def second_derivatives(self, tableau: Tableau) -> str:
        """What the steps of a Rosenbrock method take besides: ``jacobian`` and ``bend_back``."""
        assert tableau.time_weights is not None
        make, n, stages = self.make, self.equations.n, range(tableau.steps)
        entries = self._entries
        time_slope = pushed_forward(make, self._slopes, {elements(self.t)[0]: make.constant(1.0)})
        dense = [entries.get((i, j), make.constant(0.0)) for i in range(n) for j in range(n)]
        # Into a matrix of zeros.
        text = self._written("jacobian", _AT, {"out": dense, "time_slope": time_slope}, ("out",))
        h, left, k = make.input("h"), self._rows("l", stages), self._rows("k", stages)
        by_matrix = [h * sum(left[s][i] * k[s][j] for s in stages) for i, j in entries]
        weights = tableau.time_weights.tolist()
        by_time = [h * sum(weights[s] * left[s][i] for s in stages) for i in range(n)]
        read = (*_AT, "real h", "const real (*l)[N]", "const real (*k)[N]")
        outputs = [*entries.values(), *time_slope]
        return text + self._pull_back("bend_back", read, outputs, [*by_matrix, *by_time])

    @property
    def bands(self) -> tuple[int, int]:
        """How many diagonals of the Jacobian there are below the main one, and above it."""
        apart = [i - j for i, j in self._entries]
        return max([0, *apart]), -min([0, *apart])

    def products(self) -> str:
        """The product ``push`` of the Jacobian with a vector, and its pull-back ``push_back``."""
        make, n = self.make, self.equations.n
        along, w = (list(inputs(make, name, n)) for name in ("along", "w"))
        tangents = dict(zip(elements(self.y), along, strict=True))
        bent = pushed_forward(make, self._slopes, tangents)
        text = self._written("push", (*_AT, "const real *along"), {"out": bent})
        return text + self._pull_back(
            "push_back", (*_AT, "const real *along", "const real *w"), bent, w, {"dalong": along}
        )

    def _rows(self, name: str, rows: range) -> list[list[Expression]]:
        return [list(inputs(self.make, f"{name}[{row}]", self.equations.n)) for row in rows]

    @cached_property
    def _entries(self) -> dict[tuple[int, int], Expression]:
        """Those of the Jacobian that may not be zero."""
        return jacobian(self.make, self._slopes, elements(self.y))

    @cached_property
    def _slopes(self) -> list[Expression]:
        return self._traced("rhs", self.equations.rhs, self.t, self.y, self.p)

    def check_worth(self, most: int) -> None:
        """Refuse a right-hand side of more operations, functions counted as several.

        Raises
        ------
        UntranslatableError
            Where arrays of a framework would be faster, or compiling would take too long.
        """
        with self.make.at_most(most):
            slopes = self._slopes
        names = Counter(e.operation for e in below(slopes))
        work = sum(_WEIGHTS.get(name, 1) * count for name, count in names.items())
        if work > most:
            raise UntranslatableError(f"rhs has operations worth {work}, and more than {most}")

    def _pull_back(
        self,
        name: str,
        read: Sequence[str],
        outputs: Sequence[Expression],
        cotangents: Sequence[Expression],
        others: Mapping[str, Sequence[Expression]] | None = None,
    ) -> str:
        """A function that adds what cotangents of some outputs make of inputs.

        They are the state, `others` by the names of their cotangents, and the parameters.
        """
        inputs = {"dy": elements(self.y), **(others or {}), "dp": elements(self.p)}
        wanted = [expression for array in inputs.values() for expression in array]
        back = iter(pulled_back(self.make, outputs, cotangents, wanted))
        found = {name: list(islice(back, len(array))) for name, array in inputs.items()}
        return self._written(name, read, found, tuple(inputs))

    def loss(self, saves: int) -> str:
        """The loss, and its derivatives by the saves and by the parameters themselves."""
        assert self.equations.loss is not None
        count = saves * self.equations.n
        ys, p = self._inputs("ys", count), elements(self.p)
        value = self._traced("loss", self.equations.loss, ys, self.p)
        if len(value) != 1:
            raise UntranslatableError(f"the loss has {len(value)} numbers, not one")
        slopes = pulled_back(self.make, value, [self.make.constant(1.0)], [*elements(ys), *p])
        read = ("const real *ys", "const real *p")
        text = self._written("loss_value", read, {"out": value})
        return text + self._written(
            "loss_gradient", read, {"dys": slopes[:count], "dp": slopes[count:]}
        )

    def jump(self, i: int) -> str:
        """``jump_i``: the state after a jump, and its pull-back."""
        assert self.equations.jump is not None
        after = self._traced("jump", partial(self.equations.jump, i), self.t, self.y, self.p)
        w = list(inputs(self.make, "w", self.equations.n))
        text = self._written(f"jump_{i}", _AT, {"out": after})
        return text + self._pull_back(f"jump_back_{i}", (*_AT, "const real *w"), after, w)

    def _inputs(self, name: str, count: int) -> SymbolicArray:
        return symbolic(self.make, list(inputs(self.make, name, count)))

    def _traced(self, name: str, function: Callable[..., Any], *arguments: Any) -> list[Expression]:
        """The flat values of a function of the problem."""
        try:
            value = function(*arguments, self.data)
            return [as_expression(self.make, x) for x in np.asarray(value, object).ravel()]
        except UntranslatableError:
            raise
        # Whatever a user's function may do to an array that is none of NumPy's numbers.
        except Exception as error:
            told = next(iter(str(error).splitlines()), "")
            raise UntranslatableError(f"its {name} cannot be written in C: {told}") from error

    def _written(
        self,
        name: str,
        read: Sequence[str],
        results: dict[str, list[Expression]],
        added: Sequence[str] = (),
    ) -> str:
        size = len(below([e for array in results.values() for e in array]))
        if size > MOST_OPERATIONS:
            raise UntranslatableError(f"{name} has {size} operations, more than {MOST_OPERATIONS}")
        return written(name, read, results, added=added)
