"""The hash of a definition changes with the numbers, and with nothing else."""

import dataclasses
import importlib
import sys

import numpy as np
import pytest

from adjointbench import problems

SOURCE = '''
"""Decay."""
import numpy as np
from adjointbench.problems import Problem

def rhs(t, y, p):
    """Decay."""
    return -p["k"] * y

def loss(ys, p):
    return (ys**2).sum()

def decay(scale=1.0):
    return Problem(
        name="decay", rhs=rhs, y0=np.array([1.0]), params={"k": 0.5}, t_span=(0.0, 2.0),
        loss=lambda ys, p: scale * loss(ys, p),
    )
'''


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    """Hash of the problem that a source text defines, in a module of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    count = iter(range(100))

    def compute(source, **arguments):
        # The hash has the module's name in it, so every text is read as the same module.
        folder = tmp_path / f"version{next(count)}"
        folder.mkdir()
        (folder / "decay_definition.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        sys.modules.pop("decay_definition", None)
        from adjointbench.problems import definition

        definition.module_tree.cache_clear()
        module = importlib.import_module("decay_definition")
        result = module.decay(**arguments).definition_hash()
        sys.modules.pop("decay_definition", None)
        return result

    return compute


def test_comments_docstrings_and_layout_do_not_count(hash_of):
    other = SOURCE.replace('"""Decay."""', '"""Exponential decay."""')
    other = other.replace("return -p", "# down it goes\n    return  -p")
    assert other != SOURCE
    assert hash_of(other) == hash_of(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("-p[", "-2 * p["), ("ys**2", "ys**4"), ("0.5", "0.6"), ("2.0)", "3.0)"), ("[1.0]", "[1.1]")],
)
def test_equations_and_values_count(hash_of, old, new):
    assert old in SOURCE
    assert hash_of(SOURCE.replace(old, new)) != hash_of(SOURCE)


def test_values_captured_by_a_function_count(hash_of):
    assert hash_of(SOURCE, scale=2.0) != hash_of(SOURCE)


def test_rounding_does_not_count_and_digits_do():
    problem = problems.get("lotka_volterra")

    def scaled(factor):
        return dataclasses.replace(problem, y0=problem.y0 * factor).definition_hash()

    assert scaled(1.0 + 4e-16) == problem.definition_hash()
    assert scaled(1.0 + 1e-7) != problem.definition_hash()


def test_small_parameters_beside_large_ones_count():
    problem = problems.get("robertson")
    params = {"k": problem.params["k"] * np.array([1.001, 1.0, 1.0])}
    assert dataclasses.replace(problem, params=params).definition_hash() != (
        problem.definition_hash()
    )


def test_two_ways_to_the_same_problem_have_one_hash():
    implied, told = {"mu": 1e3}, {"mu": 1000, "t_end": 500}
    first, second = (problems.get("van_der_pol", **kwargs) for kwargs in (implied, told))
    assert first.definition_hash() == second.definition_hash()
    assert first.definition_hash() != problems.get("van_der_pol").definition_hash()


def test_a_shared_network_is_part_of_the_definition():
    from adjointbench.problems import definition

    tree = definition.module_tree("adjointbench.problems.zoo.cubic_spiral")
    assert "name='tanh_mlp',args" in tree
    assert "class Problem" not in tree
    assert "name='register',args" not in tree
