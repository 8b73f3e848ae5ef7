"""JAX programs as expressions: their values and derivatives are JAX's own, at kinks too."""

import ctypes
import functools
from contextlib import contextmanager
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from expression_values import values_of
from jax import lax
from jax.scipy.sparse.linalg import cg
from jax_functions import FUNCTIONS, POINTS, TABLE

from adjointbench.adjoints.jax.native.jaxpr import expressions_of
from adjointbench.adjoints.native.compiler import loaded
from adjointbench.adjoints.native.differentiation import pulled_back
from adjointbench.adjoints.native.expressions import Expressions, below, inputs
from adjointbench.adjoints.native.functions import written
from adjointbench.adjoints.native.source import included
from adjointbench.adjoints.native.symbolic_array import elements, symbolic
from adjointbench.adjoints.native.translation import UntranslatableError

#: Those whose second derivatives have paths of their own.
TWICE = ("abs", "sinc", "own tangents", "own cotangents", "largest", "branch in branch", "system")


def flat(function):
    def flat_function(x):
        return jnp.concatenate([jnp.ravel(y) for y in jax.tree.leaves(function(x))])

    return flat_function


def weights(count):
    return np.linspace(0.5, 1.5, count)


@contextmanager
def as_users_have_it():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(autouse=True)
def settings():
    with as_users_have_it():
        yield


def slopes_of(function):
    def slopes(x):
        y, back = jax.vjp(function, x)
        return back(jnp.asarray(weights(y.size), y.dtype))[0]

    return slopes


@pytest.fixture(scope="module")
def theirs():
    """Values, derivatives and some second derivatives of the functions, by one program."""

    def all_of(x):
        functions = {name: flat(function) for name, function in FUNCTIONS.items()}
        once = {name: (f(x), slopes_of(f)(x)) for name, f in functions.items()}
        return once, {name: slopes_of(slopes_of(functions[name]))(x) for name in TWICE}

    with as_users_have_it():
        return jax.tree.map(np.asarray, jax.jit(lambda points: lax.map(all_of, points))(POINTS))


def program_of(function, dtype=float):
    return jax.make_jaxpr(flat(function))(np.zeros(3, dtype))


def translated(program, **options):
    """The expressions of a program of three numbers, and those numbers."""
    make = Expressions()
    x = symbolic(make, list(inputs(make, "x", 3)))
    (found,) = expressions_of(make, program, [x], **options)
    return elements(symbolic(make, found)), elements(x)


def back_through(outputs, x):
    make = x[0].made_by
    return pulled_back(make, outputs, [make.constant(w) for w in weights(len(outputs))], x)


@functools.cache
def function(name):
    """A function and its derivative as expressions, and those of the numbers."""
    found, x = translated(program_of(FUNCTIONS[name]))
    return found, back_through(found, x), x


def at_points(expressions):
    values = values_of(expressions, {f"x[{i}]": column for i, column in enumerate(POINTS.T)})
    return np.stack([np.broadcast_to(value, len(POINTS)) for value in values], -1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives_are_those_of_jax_at_kinks_too(name, theirs):
    found, slopes, x = function(name)
    values, expected = theirs[0][name]
    np.testing.assert_allclose(at_points(found), values, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(at_points(slopes), expected, rtol=1e-11, atol=1e-13)
    if name in TWICE:
        twice = at_points(back_through(slopes, x))
        np.testing.assert_allclose(twice, theirs[1][name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lanes", [False, True])
def test_in_c_they_come_to_the_same(lanes):
    width = "(VECTOR_BYTES / 8)" if lanes else 1
    source = [included(lanes), f"typedef double scalar;\n#define W {width}"]
    source.append("#define N 3\n#define P 0\n#define DATA 0\n#define BREAKS 0")
    source.append(files("adjointbench.adjoints.native").joinpath("prelude.c").read_text())
    expected = []
    for number, name in enumerate(FUNCTIONS):
        found, slopes, _ = function(name)
        results = {"out": found, "dx": slopes}
        source.append(written(f"f{number}", ("const real *x",), results))
        expected.append(at_points([e for some in results.values() for e in some]))
    calls = (
        f"f{i}(x, o, d); o += {rows.shape[1] - 3}; for (int i = 0; i < 3; i++) *o++ = d[i];"
        for i, rows in enumerate(expected)
    )
    rows = np.concatenate(expected, 1).T
    source.append(
        "int width(void) { return W; } void run(const scalar *at, scalar *to) {"
        f"real x[3], d[3], found[{len(rows)}], *o = found; memcpy(x, at, sizeof(x));"
        f"{' '.join(calls)} memcpy(to, found, sizeof(found)); }}"
    )
    library = loaded("\n".join(source))
    beside = np.arange(-(-len(POINTS) // library.width()) * library.width()) % len(POINTS)
    for side in beside.reshape(-1, library.width()):
        point, found = POINTS[side].T.copy(), np.empty((len(rows), len(side)))
        library.run(*(ctypes.c_void_p(array.ctypes.data) for array in (point, found)))
        np.testing.assert_allclose(found, rows[:, side], rtol=1e-11, atol=1e-13)


def ruled(rule):
    """A function with the derivative ``rule(x, cotangent)``."""
    function = jax.custom_vjp(lambda x: 2.0 * x)
    function.defvjp(lambda x: (2.0 * x, x), lambda x, g: (rule(x, g),))
    return function


def called_back(x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3,), x.dtype), x)


REFUSED = {
    "sort": (jnp.sort, "sort has no counterpart"),
    "convolution": (lambda x: jnp.convolve(x, x), "a convolution with weights that are not known"),
    "determinant": (lambda x: jnp.linalg.slogdet(jnp.outer(x, x))[1], "lu has no counterpart"),
    "iterations": (lambda x: cg(lambda v: v * x**2, x)[0], "not solved by factors"),
    "large system": (lambda x: jnp.linalg.solve(jnp.eye(20), jnp.tile(x, 7)[:20]), "20 unknowns"),
    "no end": (lambda x: lax.while_loop(lambda x: x[0] < 1, lambda x: 2 * x, x), "while has no"),
    "many rounds": (lambda x: lax.fori_loop(0, 100, lambda i, x: x * x, x), "100 rounds"),
    "foreign": (called_back, "pure_callback has no counterpart"),
    "random": (lambda x: x * jax.random.normal(jax.random.key(0)), "key"),
    "printed": (lambda x: (jax.debug.print("{}", x), x)[1], "something besides computing"),
    "rounded": (lambda x: x.astype(np.float32), "float64 .* becomes float32"),
    "complex": (lambda x: jnp.real((x + 1j) ** 2), "becomes complex128"),
    "counted": (lambda x: x[x[0].astype(int) // 2], "an integer depends on state"),
    "clipped": (ruled(lambda x, g: jnp.clip(g, -1.0, 1.0)), "a derivative rule is not linear"),
    "by sign": (ruled(lambda x, g: jnp.where(g > 0, g, 2.0 * g)), "a derivative rule is not"),
    "affine": (ruled(lambda x, g: jnp.where(x > 0, g, 1.0)), "a derivative rule is not linear"),
    "constant": (ruled(lambda x, g: jnp.ones(3)), "a derivative rule is not linear"),
    "bits": (lambda x: jnp.nextafter(x, 2.0), "nextafter has no counterpart"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_in_one_sentence(name):
    refused, reason = REFUSED[name]
    with pytest.raises(UntranslatableError, match=reason):
        back_through(*translated(program_of(refused)))


def test_a_value_that_somebody_traces_is_refused():
    def outer(a):
        with pytest.raises(UntranslatableError, match="somebody traces"):
            translated(program_of(lambda x: a * x))
        return a

    jax.jit(outer)(2.0)


def test_nan_has_its_place_after_all_numbers():
    def place(x):
        return jnp.searchsorted(x[:2], x[2]).astype(float)

    found, _ = translated(program_of(place))
    for x in ([0.0, np.nan, 1.0], [0.0, 1.0, np.nan], [0.0, np.nan, np.nan], [-0.0, 0.0, 0.0]):
        (at,) = values_of(found, {f"x[{i}]": e for i, e in enumerate(x)})
        assert at == place(np.array(x))


def test_constants_can_be_inputs_and_are_numbers_otherwise():
    program = program_of(lambda x: TABLE @ x + 2.0)
    found, _ = translated(program)
    assert {e.value for e in below(found) if e.operation == "input"} == {"x[0]", "x[1]", "x[2]"}

    make = Expressions()
    x = symbolic(make, list(inputs(make, "x", 3)))
    weights_of = symbolic(make, list(inputs(make, "c", TABLE.size))).reshape(TABLE.shape)
    (found,) = expressions_of(
        make, program, [x], lambda value: weights_of if value.size > 1 else value
    )
    values = {f"x[{i}]": x for i, x in enumerate(POINTS[0])}
    values |= {f"c[{i}]": weight for i, weight in enumerate(TABLE.ravel())}
    np.testing.assert_allclose(values_of(elements(found), values), TABLE @ POINTS[0] + 2.0)


def test_known_values_are_those_of_the_program_whatever_surrounds_the_translation():
    names = ("log2", "taken", "added", "sinc")
    programs = {name: program_of(FUNCTIONS[name]) for name in names}

    def text(name):
        found, x = translated(programs[name])
        results = {"out": found, "dx": back_through(found, x)}
        return written("f", ("const real *x",), results)

    alone = [text(name) for name in names]
    with jax.enable_x64(False):
        assert [text(name) for name in names] == alone
    within = []
    jax.jit(lambda y: within.extend(text(name) for name in names))(1.0)
    assert within == alone


def test_float32_stays_float32():
    program = program_of(lambda x: jnp.exp(x) * 0.1, np.float32)
    (first, *_), _ = translated(program)
    assert np.float32(0.1) in [e.number for e in first.operands]


def test_arguments_may_be_known():
    make = Expressions()
    program = jax.make_jaxpr(lambda t, y: (jnp.sin(t), t * y))(0.0, np.zeros(2))
    y = symbolic(make, list(inputs(make, "y", 2)))
    sine, product = expressions_of(make, program, [np.array(2.0), y])
    assert sine == np.sin(2.0)
    assert elements(product) == [2.0 * e for e in elements(y)]
