"""``OnDevice``: a method on the device beside the same on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...adjoints.result import GradientResult
from ...adjoints.run import Run
from ...problems import Problem
from ...problems.reference import Reference
from ..measuring.errors import Errors, as_reference
from ..measuring.measure import iterate_ladder
from ..measuring.names import get_problem, split_name
from ..measuring.row import Row, message_of
from ..measuring.timing import Silence
from .device_task import DeviceTask
from .launches import counts_of
from .placement import strays

#: What JAX makes products of float32 matrices with, unless a part asks for its default: on cards
#: with units for TF32 the default keeps three digits of a product.
HIGHEST = "highest"

#: The error here is the distance from the CPU's gradient, which has none.
_NO_ERRORS: dict[str, None] = dict.fromkeys(Errors.__annotations__)


@dataclass(frozen=True, kw_only=True)
class OnDevice(DeviceTask):
    """A gradient on the CPU, then on the device; the error is its distance from the former.

    `locator` is where a problem stands that is not of the zoo; `matmul` is the precision of JAX's
    products of matrices.
    """

    name = "on_device"

    locator: str = ""
    atol_scale: float = 1e-3
    matmul: str = HIGHEST

    def measured(self, silence: Silence) -> Iterator[Row]:
        """The row of the CPU, unless that is the device, and the row of the device."""
        problem = get_problem(self.locator or self.problem)
        found: list[GradientResult] = []

        def keep(run: Run) -> dict[str, Any]:
            found.append(run())
            return {}

        with _products(self.backend, self.matmul):
            host = self._row(problem, "cpu", silence, None, keep)
            if self.device != "cpu":
                yield replace(host, **_NO_ERRORS)
            reference = as_reference(problem, found[0]) if found else None
            row = self._row(problem, self.device, silence, reference, _looked_at)
            # Without a gradient of the CPU it was the certified one that it was compared with.
            yield row if found else replace(row, **_NO_ERRORS)

    def _row(
        self,
        problem: Problem,
        device: str,
        silence: Silence,
        reference: Reference | None,
        also: Callable[[Run], Mapping[str, Any]],
    ) -> Row:
        name, settings = split_name(self.method)
        (row,) = iterate_ladder(
            problem,
            name,
            (self.rtol,),
            atol_scale=self.atol_scale,
            device=device,
            budget_s=self.budget_s,
            silence=silence,
            reference=reference,
            also=also,
            **settings,
        )
        return replace(row, problem=self.problem, method=self.method, study=self.study)


def _products(backend: str, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which JAX multiplies matrices with `precision`."""
    if backend != "jax" or precision == "default":
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision(precision)


def _looked_at(run: Run) -> dict[str, Any]:
    """What the profiler and the watch on placement say, in fields of a row."""
    told: dict[str, Any] = {"message": strays(run)}
    try:
        return told | counts_of(run)
    except Exception as error:  # a profiler may be forbidden; the times stand without it
        return told | {"message": f"{told['message']} not profiled: {message_of(error)}".strip()}
