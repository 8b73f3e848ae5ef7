"""Operations of small networks on a CPU in forms that take a fraction of the time.

- *The hyperbolic tangent* in single precision, as a quotient of polynomials: PyTorch's own takes
  1 ns a number, products that the compiler turns into vector instructions a fifth of that.
- *Products of matrices with few columns*, as they come in the derivatives of a network that maps a
  state of few components: the library takes four times as long as for the transposed product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

#: Products with so many columns at most are taken another way.
FEW_COLUMNS = 8

#: Beyond it the tangent is 1 to single precision.
LARGEST = 7.9

#: Of ``tanh(x) / x`` in powers of ``x**2``: fitted for the least relative error, 6e-9.
NUMERATOR = (1.0, 1.345061856e-01, 3.578989540e-03, 2.202320287e-05, 1.542791101e-08)
DENOMINATOR = (1.0, 4.678394648e-01, 2.619222847e-02, 3.423646411e-04, 8.598755506e-07)


def fast_tanh(x: torch.Tensor) -> torch.Tensor:
    """``tanh(x)``, as a decomposition of PyTorch's operation.

    In single precision on a CPU within 6 units in the last place, and within 1 on average;
    ``NotImplemented``, which leaves the operation as it is, elsewhere.
    """
    if x.dtype != torch.float32 or x.device.type != "cpu":
        return NotImplemented
    bounded = torch.clamp(x, -LARGEST, LARGEST)
    square = bounded * bounded
    quotient = bounded * _polynomial(NUMERATOR, square) / _polynomial(DENOMINATOR, square)
    return torch.clamp(quotient, -1.0, 1.0)


def _polynomial(coefficients: tuple[float, ...], x: torch.Tensor) -> torch.Tensor:
    """By Horner's rule, from the constant on."""
    total = x * coefficients[-1] + coefficients[-2]
    for coefficient in reversed(coefficients[:-2]):
        total = total * x + coefficient
    return total


def product_of_few_columns(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a @ b``, as a decomposition of PyTorch's operation.

    By the transposed product where `a` is itself transposed, else with the columns of `b` one
    after the other in memory; ``NotImplemented`` where neither helps.
    """
    few = 1 < b.shape[1] <= FEW_COLUMNS < a.shape[0] and b.shape[0] > FEW_COLUMNS
    if not few or a.device.type != "cpu" or b.stride(0) == 1:
        return NotImplemented
    if a.stride(0) == 1:
        return torch.mm(b.t(), a.t()).t()
    return torch.mm(a, b.t().contiguous().t())


#: For whoever traces a graph to compile it.
FASTER: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.tanh.default: fast_tanh,
    torch.ops.aten.mm.default: product_of_few_columns,
}
