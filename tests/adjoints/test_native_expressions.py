"""Expressions, their derivatives, and how they are written in C."""

import gc
import math

import numpy as np
import pytest
from expression_values import values_of

from adjointbench.adjoints.native.differentiation import jacobian, pulled_back, pushed_forward
from adjointbench.adjoints.native.expressions import Expressions
from adjointbench.adjoints.native.functions import written
from adjointbench.adjoints.native.operations import OPERATIONS
from adjointbench.adjoints.native.symbolic_array import elements, symbolic

#: Where each function is smooth; the others at 0.3, 0.7, 0.4.
_AT = {"acosh": (1.7,), "select": (1.0, 0.7, 0.4)}


def value_of(expression, values):
    return values_of([expression], values)[0]


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"given"}))
def test_every_operation_has_the_derivative_of_a_complex_step(name):
    make, count = Expressions(), OPERATIONS[name].c.count("{")
    operands = [make.input(f"x[{i}]") for i in range(count)]
    at = (_AT.get(name) or (0.3, 0.7, 0.4))[:count]
    values = {operand.value: x for operand, x in zip(operands, at, strict=True)}
    result = make.make(name, *operands)
    slopes = pulled_back(make, [result], [make.constant(1.0)], operands)
    for operand, slope in zip(operands, slopes, strict=True):
        moved = {**values, operand.value: values[operand.value] + 1e-30j}
        expected = np.imag(value_of(result, moved)) / 1e-30
        assert np.real(value_of(slope, values)) == pytest.approx(expected, rel=1e-13), operand
        ahead = pushed_forward(make, [result], {operand: make.constant(1.0)})[0]
        assert np.real(value_of(ahead, values)) == pytest.approx(expected, rel=1e-13)


def test_equal_expressions_are_computed_once_and_known_ones_not_at_all():
    make = Expressions()
    x, y = make.input("x"), make.input("y")
    assert x * y + 1.0 is y * x + 1.0
    assert x * 0.0 is make.constant(0.0)
    assert x + 0.0 is x
    assert (x * 1.0) / 1.0 is x
    assert make.make("neg", -x) is x
    assert (2.0 * make.constant(3.0)).number == 6.0
    assert x**3 is x * (x * x)
    assert math.isnan((make.constant(0.0) / 0.0).number)


def test_a_jacobian_names_the_entries_that_are_not_zero():
    make = Expressions()
    x = [make.input(f"x[{i}]") for i in range(3)]
    assert sorted(jacobian(make, [x[0] * x[2], x[1]], x)) == [(0, 0), (0, 2), (1, 1)]


def test_the_derivative_of_a_choice_looks_at_the_side_taken_alone():
    make = Expressions()
    x = make.input("x")
    root = make.make(
        "select", make.make("less", make.constant(0.0), x), make.make("sqrt", x), 2 * x
    )
    (slope,) = pulled_back(make, [root], [make.constant(1.0)], [x])
    assert value_of(slope, {"x": 4.0}) == 0.25


def test_numpy_s_functions_of_arrays_give_expressions():
    make = Expressions()
    x = symbolic(make, [make.input(f"x[{i}]") for i in range(4)])
    at = {f"x[{i}]": value for i, value in enumerate((0.5, -1.0, 2.0, 3.0))}
    plain = np.array(list(at.values()))
    weights = np.arange(8.0).reshape(2, 4)

    def both(function):
        found = [value_of(e, at) for e in elements(symbolic(make, function(x)))]
        np.testing.assert_allclose(found, np.ravel(function(plain)), rtol=1e-14)

    both(lambda x: np.stack([x[0], np.sin(x[1])]))
    both(lambda x: np.where(x > 0, x, -x))
    both(lambda x: np.max(x) + np.min(x, axis=0, keepdims=True))
    both(lambda x: weights @ x)
    both(lambda x: np.matmul(x.reshape(2, 2), x.reshape(2, 2).T))
    both(lambda x: np.roll(x, 1) * 2.0 - x**2 / np.mean(x))
    both(lambda x: np.clip(x, 0.0, 1.0) + np.abs(x).sum())
    both(lambda x: np.concat([x[::2], np.square(x[1:3])]))
    both(lambda x: np.broadcast_to(np.exp(x[0]), (3,)))


def test_long_functions_are_cut_into_parts_that_hand_on_their_values():
    make = Expressions()
    x = make.input("x[0]")
    total = x
    for _ in range(3000):
        total = make.make("sin", total) + x
    text = written("f", ("const real *x",), {"out": [total]})
    assert text.count("__attribute__((noinline))") == 4
    assert "f_part0(x, out, v);" in text


def test_a_product_that_becomes_too_large_lets_go_of_nothing_that_is_kept():
    # NumPy's own does: a sum is freed while the expressions still hold it.
    make = Expressions()
    square = symbolic(make, [make.input(f"x[{i}]") for i in range(4)]).reshape(2, 2)
    for limit in range(5, 12):
        with make.at_most(limit), pytest.raises(TypeError, match="more than"):
            square @ square
    gc.collect(0)
    assert all(expression.made_by is make for expression in make._made.values())


def test_products_are_those_of_numpy():
    make = Expressions()
    numbers = np.arange(24.0).reshape(2, 3, 4)
    pairs = ((numbers, numbers.transpose(0, 2, 1)), (numbers[0], numbers[0, 0]))
    for a, b in (*pairs, (numbers[0, 0], numbers[0].T), (numbers[0, 0], numbers[0, 0])):
        found = symbolic(make, a) @ symbolic(make, b)
        np.testing.assert_array_equal(np.asarray(found, float), a @ b)


def test_products_with_other_names_are_those_of_numpy():
    make, values = Expressions(), np.linspace(0.5, 2.0, 12)
    x = symbolic(make, [make.input(f"x[{i}]") for i in range(12)]).reshape(3, 4)
    table = np.arange(24.0).reshape(4, 3, 2)

    def numbers(found):
        flat = values_of(elements(found), {f"x[{i}]": x for i, x in enumerate(values)})
        return np.array(flat).reshape(found.shape)

    rows = values.reshape(3, 4)
    for axes in (1, ([0], [1]), ([0, 1], [1, 0])):
        found, expected = np.tensordot(x, table, axes), np.tensordot(rows, table, axes)
        np.testing.assert_allclose(numbers(found), expected, rtol=1e-14)
    np.testing.assert_allclose(numbers(np.dot(x, rows.T)), rows @ rows.T, rtol=1e-14)
    with pytest.raises(TypeError, match=r"xp\.einsum has no counterpart"):
        np.einsum("ij,ij", x, rows)
