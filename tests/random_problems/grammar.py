"""Random initial value problems: what is drawn, and the ``Problem`` that is made of it.

Equations are written for a state ``u`` and a time ``x`` of the size of one; a problem has them in
its own units, ``y = state_unit * u`` and ``t = time_unit * x``. Times are multiples of an eighth
of the span, so that stops, saves and jumps meet often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from hypothesis import strategies as st

from adjointbench import Problem

Array = Any
Params = Mapping[str, Array]

KINDS = ("linear", "sine", "tanh", "bump", "pair", "forcing", "modulated")


@dataclass(frozen=True)
class Switch:
    """A factor from the time at `eighth` on; `strictly` whether before is written with ``<``."""

    eighth: int
    factor: float
    strictly: bool


@dataclass(frozen=True)
class Term:
    """A summand of the slope of component `of`: a coefficient times a function of others."""

    kind: str
    of: int
    by: int
    frequency: float
    switch: Switch | None

    def value(self, x: Array, u: Sequence[Array]) -> Array:
        """The function without coefficient and switch."""
        xp = array_namespace(u[0])
        y = u[self.by]
        if self.kind == "linear":
            return y
        if self.kind == "sine":
            return xp.sin(y)
        if self.kind == "tanh":
            return xp.tanh(y)
        if self.kind == "bump":
            return xp.exp(-(y * y))
        if self.kind == "pair":
            return y * xp.tanh(u[self.of])
        if self.kind == "forcing":
            return xp.cos(self.frequency * x) + 0 * y
        return y * xp.sin(self.frequency * x)


@dataclass(frozen=True)
class Drawn:
    """A random problem; see :func:`drawn` for what is possible."""

    y0: tuple[float, ...]
    scalar: bool
    decays: tuple[float, ...]
    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    jumps: tuple[int, ...]
    keeps: tuple[float, ...]
    gains: tuple[float, ...]
    declared: tuple[int, ...]
    saves: tuple[float, ...]
    start: float
    length: float
    time_unit: float
    state_unit: float
    loss_unit: float
    single: bool

    @property
    def dtype(self) -> Any:
        """float64 or float32."""
        return np.float32 if self.single else np.float64

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Its parameters by name; all of the size of one."""
        named = {"d": self.decays, "c": self.coefficients, "keep": self.keeps, "gain": self.gains}
        return {name: np.array(values, self.dtype) for name, values in named.items() if values}

    def exact_time(self, eighths: float) -> float:
        """A time in the problem's unit, as users write it."""
        return self.time_unit * (self.start + self.length * eighths / 8)

    def time(self, eighths: float) -> float:
        """The same, rounded to the problem's dtype, which is when it happens."""
        return float(self.dtype(self.exact_time(eighths)))

    @property
    def discontinuities(self) -> list[float]:
        """The times of all switches, and others that are declared in vain."""
        switches = {term.switch.eighth for term in self.terms if term.switch is not None}
        return [self.exact_time(at) for at in sorted(switches | set(self.declared))]

    def slopes(
        self, x: Array, u: Sequence[Array], p: Params, factor: Callable[[Switch], Array]
    ) -> list[Array]:
        """du/dx, with the factors of the switches from `factor`.

        All are forced: where a state rests, steps are chosen with no regard to its derivatives.
        """
        xp = array_namespace(x)
        found = [xp.cos(x + 1.0 * i) - p["d"][i] * y for i, y in enumerate(u)]
        for k, term in enumerate(self.terms):
            value = p["c"][k] * term.value(x, u)
            if term.switch is not None:
                value = value * factor(term.switch)
            found[term.of] = found[term.of] + value
        return found

    def jumped(self, i: Any, x: Array, u: Array, p: Params) -> Array:
        """The state after jump `i`."""
        return u * p["keep"][i] + p["gain"][i] * array_namespace(u).cos(x)

    def loss(self, u: Array, p: Params) -> Array:
        """The loss of the saved states, one row a save, in a unit of the size of one."""
        xp = array_namespace(u)
        direct = (p["d"] ** 2).sum() / 8
        return (p["weights"] * (u * u + xp.sin(u))).sum() + direct

    @property
    def weights(self) -> np.ndarray:
        """Of the saves in the loss, one row a save."""
        rows, columns = np.indices((len(self.saves), len(self.y0)))
        return (np.cos(1.0 + rows + 2.0 * columns) / len(self.saves)).astype(self.dtype)

    def rhs(self, t: Array, y: Array, p: Params) -> Array:
        """dy/dt in the problem's units."""
        xp = array_namespace(y)
        flat = xp.reshape(y, (-1,)) / self.state_unit
        u = [flat[i] for i in range(len(self.y0))]

        def factor(switch: Switch) -> Array:
            at = self.time(switch.eighth)
            one = xp.ones_like(u[0])
            return xp.where(t < at if switch.strictly else t <= at, one, switch.factor * one)

        slopes = xp.stack(self.slopes(t / self.time_unit, u, p, factor))
        return xp.reshape(slopes, y.shape) * (self.state_unit / self.time_unit)

    def jump(self, i: Any, t: Array, y: Array, p: Params) -> Array:
        """The state just after jump `i`, in the problem's units."""
        return self.jumped(i, t / self.time_unit, y / self.state_unit, p) * self.state_unit

    def loss_of(self, ys: Array, p: Params) -> Array:
        """The loss in the problem's units; ``p`` has the weights, too."""
        u = array_namespace(ys).reshape(ys, p["weights"].shape) / self.state_unit
        return self.loss(u, p) * self.loss_unit

    @property
    def start_value(self) -> np.ndarray:
        """The start value in the problem's unit, shape and dtype."""
        y0 = np.array(self.y0, self.dtype) * self.dtype(self.state_unit)
        return y0.reshape(()) if self.scalar else y0

    @property
    def stops(self) -> dict[str, Any]:
        """The arguments that tell of stops."""
        told: dict[str, Any] = {"discontinuities": self.discontinuities}
        if self.jumps:
            told |= {"jump_times": [self.exact_time(at) for at in self.jumps], "jump": self.jump}
        return told

    def problem(self) -> Problem:
        """All of it; where several jumps are at one time it is refused."""
        return Problem(
            name="random",
            rhs=self.rhs,
            y0=self.start_value,
            params=self.params,
            constants={"weights": self.weights},
            t_span=(self.time(0), self.time(8)),
            save_at=[self.time(at) for at in self.saves],
            loss=self.loss_of,
            **self.stops,
        )


def numbers(*values: float) -> st.SearchStrategy[float]:
    return st.sampled_from(values)


@st.composite
def switches(draw: st.DrawFn) -> Switch:
    return Switch(
        eighth=draw(st.integers(0, 8)),
        factor=draw(numbers(0.0, -1.0, 2.5)),
        strictly=draw(st.booleans()),
    )


@st.composite
def drawn(draw: st.DrawFn, *, repeated_jumps: bool = False) -> Drawn:
    """Any problem; with `repeated_jumps` several of them at one time, and at the start."""
    n = draw(st.integers(1, 3))
    component = st.integers(0, n - 1)
    term = st.builds(
        Term,
        kind=st.sampled_from(KINDS),
        of=component,
        by=component,
        frequency=numbers(1.0, 3.0),
        switch=st.none() | switches(),
    )
    terms = draw(st.lists(term, max_size=4))
    eighths = st.integers(0 if repeated_jumps else 1, 8)
    jumps = draw(st.lists(eighths, max_size=4, unique=not repeated_jumps))
    if not repeated_jumps:
        jumps.sort()
    saves = draw(st.lists(st.integers(0, 16), min_size=1, max_size=8, unique=True))
    coefficient = numbers(0.5, -0.5, 1.0, -1.2)

    def values(choice: st.SearchStrategy[float], count: int) -> tuple[float, ...]:
        return tuple(draw(st.lists(choice, min_size=count, max_size=count)))

    single = draw(st.integers(0, 7)) == 7
    return Drawn(
        y0=values(numbers(1.0, -0.7, 0.4, 0.0), n),
        scalar=n == 1 and draw(st.booleans()),
        decays=values(numbers(0.3, 1.0, 2.0), n),
        terms=tuple(terms),
        coefficients=values(coefficient, len(terms)),
        jumps=tuple(jumps),
        keeps=values(numbers(1.0, 0.6, 0.0), len(jumps)),
        gains=values(numbers(1.0, -0.5, 0.0), len(jumps)),
        declared=tuple(draw(st.lists(st.integers(0, 8), max_size=2, unique=True))),
        saves=tuple(sorted(at / 2 for at in saves if max(saves) > 0 or at) or (8.0,)),
        start=draw(numbers(0.0, 1.0, -2.0)),
        length=draw(numbers(1.0, 2.0, 3.1)),
        time_unit=draw(numbers(1.0, 1e-11, 1e6, 1e15)),
        state_unit=draw(numbers(1.0, 1e-9, 1e9)),
        # In single precision products of all units would leave its range.
        loss_unit=1.0 if single else draw(numbers(1.0, 1e-12, 1e12)),
        single=single,
    )
