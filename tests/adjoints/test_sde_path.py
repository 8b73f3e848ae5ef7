"""The virtual Brownian tree: one path, of the right law, whatever is asked for."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import BrownianPath
from adjointbench.adjoints.jax.sde.tree import Tree
from adjointbench.adjoints.steps.brownian import Increment, joined, split

KEY = jax.random.key(5)
CUTS = (0.0, 0.125, 0.3, 1 / 3, 0.5, 0.7001, 0.875, 1.0)
PATHS = 20_000


@pytest.fixture(scope="module")
def pieces():
    """Between the cuts of many paths on [0, 1], and from the start to each of them."""
    with jax.enable_x64(True):
        tree = Tree((PATHS,), jnp.dtype(jnp.float64), 12)
        between = jax.jit(lambda s, t: tree.between(KEY, s, t))
        steps = [between(s, t) for s, t in itertools.pairwise(CUTS)]
        from_start = [between(0.0, t) for t in CUTS[1:]]
        return jax.tree.map(np.asarray, (steps, from_start, tree.root(KEY)))


def test_increments_and_areas_add_up(pieces):
    steps, from_start, root = pieces
    total = steps[0]
    for i in range(1, len(steps)):
        total = joined(total, steps[i], (CUTS[i], CUTS[i + 1] - CUTS[i]))
        np.testing.assert_allclose(total.w, from_start[i].w, atol=1e-13)
        np.testing.assert_allclose(total.area, from_start[i].area, atol=1e-13)
    np.testing.assert_allclose(total.w, root.w, atol=1e-13)
    np.testing.assert_allclose(total.area, root.area, atol=1e-13)


def test_moments_are_those_of_brownian_motion(pieces):
    """Increments have variance h, areas h / 12; all are uncorrelated and have mean zero."""
    sizes = np.diff(CUTS)
    rows = [(np.sqrt(h), i) for i, h in zip(pieces[0], sizes, strict=True)]
    normal = np.array([(i.w / root, i.area / root * np.sqrt(12)) for root, i in rows])
    normal = normal.reshape(-1, PATHS)
    error = 1 / np.sqrt(PATHS)
    assert np.abs(normal.mean(1)).max() < 4 * error
    covariance = normal @ normal.T / PATHS
    assert np.abs(covariance - np.eye(len(normal))).max() < 4.5 * np.sqrt(2) * error
    assert np.abs((normal**4).mean(1) - 3).max() < 4 * np.sqrt(96) * error


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
def test_a_split_has_the_covariance_of_its_parts(fraction):
    """Exactly: the parts are a linear map of four independent normal numbers."""
    length = np.array(0.3)
    inputs = np.diag(np.array([np.sqrt(length), np.sqrt(length / 12), 1.0, 1.0]))
    left, right = split(Increment(inputs[0], inputs[1]), length, fraction, (inputs[2], inputs[3]))
    rows = np.array([left.w, left.area, right.w, right.area])
    a, b = fraction * length, (1 - fraction) * length
    np.testing.assert_allclose(rows @ rows.T, np.diag([a, a / 12, b, b / 12]), atol=1e-15)
    again = joined(left, right, (a, b))
    np.testing.assert_allclose([again.w, again.area], inputs[:2], atol=1e-15)


def test_a_short_step_keeps_its_digits_in_float32():
    """Its area is some thousand times smaller than rounding would leave of a difference."""
    level = 20
    index = jnp.int32(700_001)
    short = Tree((PATHS,), jnp.dtype(jnp.float32), level).cell(KEY, jnp.int32(level), index)
    sizes = np.array([2.0**-level, 2.0**-level / 12])
    found = np.array([np.mean(np.square(short.w)), np.mean(np.square(short.area))])
    np.testing.assert_allclose(found / sizes, 1, atol=4 * np.sqrt(2 / PATHS))


def test_two_times_in_one_cell_do_not_belong_together():
    between = jax.jit(Tree((), jnp.dtype(jnp.float32), 4).between)
    assert np.isnan(between(KEY, 0.51, 0.52).w)
    assert np.isfinite(between(KEY, 0.5, 0.5625).w)


def test_the_path_of_a_solve():
    """It starts at 0, has its values at the saves, and is the same read in any order."""
    saves = np.array([0.5, 0.7, 2.0])
    path = BrownianPath(KEY, jnp.zeros((2, 3)), saves)
    at_saves = path.at_saves()
    assert at_saves.shape == (3, 2, 3)
    read = jax.jit(path.__call__)
    between = read(1.1)
    np.testing.assert_allclose([read(t) for t in saves], at_saves, atol=1e-6)
    np.testing.assert_array_equal(read(0.0), np.zeros((2, 3)))
    np.testing.assert_array_equal(read(1.1), between)
    assert np.isnan([read(-0.1), read(2.1)]).all()
    raw = BrownianPath(jax.random.key_data(KEY), jnp.zeros((2, 3)), saves)
    np.testing.assert_array_equal(raw.at_saves(), at_saves)
