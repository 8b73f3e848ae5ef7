"""The pattern of a Jacobian that a problem is given: what it is stored as, and what is refused."""

import dataclasses

import jax
import numpy as np
import pytest
import scipy.sparse as sp

import adjointbench as ab


def ring(n, **changes):
    """Each component relaxes to the one on its left, and the first from the middle on alone."""

    def rhs(t, y, p):
        late = (t > 0.5) * y[n // 2]
        return p["k"] * (np.roll(y, 1) - y) + np.eye(n, dtype=y.dtype)[0] * late

    options = {
        "name": "ring",
        "rhs": rhs,
        "y0": np.zeros(n),
        "params": {"k": 0.5},
        "t_span": (0.0, 2.0),
        "loss": lambda ys, p: ys.sum(),
    }
    return ab.Problem(**(options | changes))


def entries(n):
    """Rows and columns of the ring, sorted by columns and then by rows."""
    columns = np.repeat(np.arange(n), 2)
    rows = np.sort(np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1), axis=1).ravel()
    rows, columns = np.append(rows, 0), np.append(columns, n // 2)
    order = np.lexsort((rows, columns))
    return rows[order], columns[order]


def matrix(n):
    return sp.coo_array((np.ones(2 * n + 1), entries(n)), shape=(n, n))


@pytest.mark.parametrize(
    "give",
    [
        lambda a: a,
        lambda a: a.tocsr(),
        lambda a: sp.dia_array(a),
        lambda a: sp.lil_matrix(a),
        lambda a: 0 * a.tocsc(),  # what is stored counts, whatever its value
        lambda a: a.toarray() != 0,
        lambda a: a.toarray().tolist(),
        lambda a: (a.row[::-1], a.col[::-1]),
        lambda a: (np.tile(a.row, 2).tolist(), np.tile(a.col, 2).tolist()),
    ],
)
def test_every_form_is_stored_as_the_same_indices(give):
    rows, columns = ring(5, jacobian_sparsity=give(matrix(5))).jacobian_sparsity
    assert rows.dtype == columns.dtype == np.intp
    np.testing.assert_array_equal([rows, columns], entries(5))


def test_it_is_found_from_the_equations_by_default():
    assert ring(3).jacobian_sparsity is None


def test_it_is_kept_by_copies_and_is_no_part_of_the_definition():
    problem = ring(5, jacobian_sparsity=matrix(5))
    for copy in (dataclasses.replace(problem, stiff=True), problem.with_dtype("float32")):
        np.testing.assert_array_equal(copy.jacobian_sparsity, problem.jacobian_sparsity)
    plain = dataclasses.replace(problem, jacobian_sparsity=None)
    assert plain.definition_hash() == problem.definition_hash()
    assert hash(problem) != hash(plain)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones((2, 3), bool), r"jacobian_sparsity has shape \(2, 3\); it must be \(3, 3\)"),
        (sp.eye_array(4), r"jacobian_sparsity has shape \(4, 4\); it must be \(3, 3\)"),
        (np.ones(3, bool), r"jacobian_sparsity has shape \(3,\)"),
        (([0, 1, 3], [0, 1, 2]), r"jacobian_sparsity: 3 is among the rows, .* from 0 to 2"),
        (([0, 1, 2], [0, -1, 2]), r"jacobian_sparsity: -1 is among the columns"),
        (([0, 1], [0, 1, 2]), r"jacobian_sparsity has 2 rows and 3 columns"),
        (([0.0, 1.0], [0, 1]), r"jacobian_sparsity: the rows .* float64; .* whole numbers"),
        (([0], [0], [0]), r"jacobian_sparsity is a tuple of 3; pass the pair"),
        ("tridiagonal", r"jacobian_sparsity='tridiagonal' must be a sparse array of SciPy"),
    ],
)
def test_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        ring(3, jacobian_sparsity=given)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (200,), (20, 10)])
@pytest.mark.parametrize("lost", ["a diagonal", "what begins later"])
def test_a_pattern_that_lacks_entries_is_refused_and_names_one(shape, lost):
    n = int(np.prod(shape))
    rows, columns = entries(n)
    gone = rows == (columns + 1) % n
    if lost == "what begins later":
        gone = (rows == 0) & (columns == n // 2)
    flat = ring(n).rhs

    def rhs(t, y, p):
        return flat(t, y.reshape(n), p).reshape(shape)

    def make(kept):
        return ring(
            n,
            rhs=rhs,
            y0=np.zeros(shape),
            jacobian_sparsity=(rows[kept], columns[kept]),
        )

    make(np.ones_like(gone))
    with pytest.raises(ValueError, match=r"jacobian_sparsity lacks entries, among them") as told:
        make(~gone)
    text = str(told.value).partition("(")[2].partition(")")[0]
    assert tuple(map(int, text.split(", "))) in set(zip(rows[gone], columns[gone], strict=True))


def test_a_slope_that_is_not_a_number_is_no_entry():
    nowhere = ring(3, rhs=lambda t, y, p: p["k"] / (0 * y), jacobian_sparsity=([], []))
    assert nowhere.jacobian_sparsity[0].size == 0


@pytest.mark.parametrize("name", ["brusselator", "fisher_kpp", "robertson", "pkpd"])
def test_the_pattern_of_the_derivative_is_accepted(name):
    problem = ab.problems.get(name)
    p, rng, found = problem.merged(), np.random.default_rng(1), False
    with jax.enable_x64(True):
        slopes = jax.jacfwd(lambda y, t: problem.rhs(t, y.reshape(problem.y0.shape), p).ravel())
        for t in np.linspace(*problem.t_span, 3):
            y = problem.y0 + 0.1 * rng.uniform(0.5, 1.0, problem.y0.shape)
            found = found | (np.asarray(slopes(y.ravel(), t)) != 0)
    given = dataclasses.replace(problem, jacobian_sparsity=found)
    assert given.jacobian_sparsity[0].size == found.sum()
