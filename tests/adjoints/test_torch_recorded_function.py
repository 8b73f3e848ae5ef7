"""Functions that are known by their operations, and operations in faster forms."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch.faster_operations import fast_tanh, product_of_few_columns
from adjointbench.adjoints.torch.recorded_function import RecordedFunction, recorded_function
from adjointbench.adjoints.torch.traced_graph import traced

Y = torch.ones(3, 2)
TABLE, TENSOR = np.array([1.0, 2.0]), torch.tensor([1.0, 2.0])


def recorded(function, y=Y):
    return recorded_function(function, torch.zeros(()), y, ((torch.ones(()),), ()))


def scaled(by):
    return lambda t, y, params: by * y * params[0][0]


@pytest.mark.parametrize(
    "function",
    [
        scaled(2.0),
        scaled(float("nan")),
        lambda t, y, params: y * torch.tensor([1.0, 2.0]),
        lambda t, y, params: y * torch.from_numpy(TABLE),
        lambda t, y, params: y @ TENSOR[:, None] * y,
        lambda t, y, params: torch.where(t > 0.5, y, 0.0 * y),
    ],
)
def test_a_function_is_equal_to_itself(function):
    first, second = recorded(function), recorded(function)
    assert isinstance(first, RecordedFunction)
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (scaled(2.0), scaled(3.0)),
        (scaled(2.0), scaled(2)),
        (scaled(0.0), scaled(-0.0)),
        (lambda t, y, params: y, lambda t, y, params: y.clone()),
        (lambda t, y, params: y - t, lambda t, y, params: t - y),
        (lambda t, y, params: y * TENSOR, lambda t, y, params: y * TENSOR.clone()),
        (lambda t, y, params: y * TENSOR[0], lambda t, y, params: y * TENSOR[1]),
        (
            lambda t, y, params: y * torch.tensor([1.0, 2.0]),
            lambda t, y, params: y * torch.tensor([1.0, 3.0]),
        ),
    ],
)
def test_functions_that_differ_are_not(one, other):
    assert recorded(one) != recorded(other)


def test_what_is_read_from_outside_is_part_of_it_and_the_batch_is_not():
    table = np.array([1.0, 2.0])
    function = lambda t, y, params: y * torch.from_numpy(table)  # noqa: E731
    before = recorded(function)
    assert recorded(function, torch.ones(7, 2)) == before
    table[0] = 5.0
    assert recorded(function) != before


def test_tensors_of_a_closure_are_inputs_of_a_graph():
    held = torch.tensor([1.0, 2.0])
    graph, found = traced(lambda y: (y * held, y), (Y,))
    assert found[0] is held
    held.add_(1.0)
    torch.testing.assert_close(graph(Y, *found), (Y * held, Y))


def test_the_fast_tangent_is_right_to_single_precision():
    x = torch.cat([torch.linspace(-12.0, 12.0, 200_001), torch.logspace(-30, 1, 2001)])
    found, expected = fast_tanh(x), torch.tanh(x.double())
    unit = torch.from_numpy(np.spacing(np.abs(expected.float().numpy())))
    assert ((found - expected).abs() / unit).max() < 6
    assert found.abs().max() <= 1.0
    special = torch.tensor([float("inf"), -float("inf"), float("nan"), 0.0])
    torch.testing.assert_close(fast_tanh(special), torch.tanh(special), equal_nan=True)
    assert fast_tanh(x.double()) is NotImplemented


@pytest.mark.parametrize("columns", [2, 8])
def test_products_of_few_columns_are_the_same(columns):
    torch.manual_seed(0)
    a, b = torch.randn(40, 30, dtype=torch.float64), torch.randn(30, columns, dtype=torch.float64)
    for left in (a, a.t().contiguous().t()):
        found = product_of_few_columns(left, b)
        torch.testing.assert_close(found, left @ b, rtol=1e-13, atol=1e-13)
    assert product_of_few_columns(a, b.t().contiguous().t()) is NotImplemented
