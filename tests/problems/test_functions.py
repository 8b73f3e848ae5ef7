"""Functions as people write them: for one framework alone, with lists, and with modules."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import adjointbench as ab
from adjointbench.problems.functions import framework_of

OSCILLATOR = {
    "name": "oscillator",
    "y0": [1.0, 0.5],
    "params": {"k": 2.0},
    "t_span": (0.0, 1.0),
    "loss": lambda ys, p: (ys**2).sum(),
}

#: The same equations, and the framework that they are written for.
WRITTEN = {
    "array api": (lambda t, y, p: y[::1] * -p["k"], ""),
    "list": (lambda t, y, p: [-p["k"] * y[0], -p["k"] * y[1]], ""),
    "list of arrays of one": (lambda t, y, p: [-p["k"] * y[:1], -p["k"] * y[1:]], ""),
    "numpy": (lambda t, y, p: np.array([-p["k"] * y[0], -p["k"] * y[1]]), ""),
    "jax": (lambda t, y, p: jnp.stack([-p["k"] * y[0], -p["k"] * y[1]]), "jax"),
    "jax alone": (lambda t, y, p: (-p["k"] * y).at[0].multiply(1.0), "jax"),
    "jax list": (lambda t, y, p: [-p["k"] * jnp.asarray(y)[0], -p["k"] * y[1]], "jax"),
    "torch": (lambda t, y, p: torch.stack([-p["k"] * y[0], -p["k"] * y[1]]), "torch"),
    "torch list": (lambda t, y, p: [torch.mul(-p["k"], x) for x in y], "torch"),
}


def make(**changes):
    return ab.Problem(**(OSCILLATOR | changes))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", WRITTEN)
def test_every_right_hand_side_can_be_called_with_numpy_arrays(way, dtype):
    rhs, framework = WRITTEN[way]
    problem = make(rhs=rhs).with_dtype(dtype)
    assert framework_of(problem.rhs) == framework
    found = problem.rhs(np.asarray(0.0, dtype), problem.y0, problem.merged())
    assert isinstance(found, np.ndarray)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [-2.0, -1.0], rtol=1e-6)


def test_the_definition_is_that_of_the_function_itself():
    assert len({make(rhs=WRITTEN["list"][0]).definition_hash() for _ in range(2)}) == 1
    hashes = {make(rhs=rhs).definition_hash() for rhs, _ in WRITTEN.values()}
    assert len(hashes) == 1  # lambdas of one module, which differ by its source alone


def test_a_loss_may_return_a_number():
    problem = make(rhs=WRITTEN["list"][0], loss=lambda ys, p: float(np.sum(ys)))
    assert problem.loss(np.ones((1, 2)), {}) == 2.0


def test_a_jump_gets_the_number_of_the_jump_as_an_integer():
    doses = [1.0, 2.0]
    jump = lambda i, t, y, p: jnp.asarray(y) + doses[i]  # noqa: E731
    problem = make(rhs=WRITTEN["jax"][0], jump=jump, jump_times=[0.5, 1.0])
    assert problem.jump is not None
    found = problem.jump(1, np.asarray(1.0), problem.y0, problem.merged())
    np.testing.assert_array_equal(found, [3.0, 2.5])


def test_what_fails_everywhere_is_told_for_all_that_was_tried():
    with pytest.raises(
        ValueError, match=r"rhs raised .*NumPy arrays.*RuntimeError on PyTorch arrays"
    ):
        make(rhs=lambda t, y, p: torch.stack([y[0]]) @ torch.ones(3, dtype=torch.float64))


def test_no_framework_is_imported_for_the_sake_of_trying():
    code = """
import sys, numpy as np, adjointbench as ab
common = dict(name="x", y0=[1.0], params={"k": 1.0}, t_span=(0, 1), loss=lambda ys, p: ys.sum())
ab.Problem(rhs=lambda t, y, p: [-p["k"] * y[0]], **common)
try:
    ab.Problem(rhs=lambda t, y, p: y.at[0], **common)
except ValueError as error:
    assert "AttributeError" in str(error), error
assert not {"jax", "torch", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Field(torch.nn.Module):
    """Two layers, a frozen factor and a buffer; takes the time as well."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, 2)
        self.factor = torch.nn.Parameter(torch.tensor(2.0), requires_grad=False)
        self.register_buffer("shift", torch.tensor([1.0, 0.0]))

    def forward(self, t, y):
        return self.factor * self.net(y) + t * self.shift


def test_the_problem_of_a_module():
    module = Field()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    problem = ab.Problem.from_module(module, [1.0, 0.5], (0.0, 1.0), lambda ys, p: ys.sum())
    assert problem.dtype == np.float32
    assert list(problem.params) == ["net.weight", "net.bias"]
    assert set(problem.constants) == {"factor", "shift"}
    doubled = {**problem.merged(), "factor": np.float32(4.0).reshape(())}
    slope, twice = (
        problem.rhs(np.zeros((), np.float32), problem.y0, p) for p in (problem.merged(), doubled)
    )
    np.testing.assert_allclose(twice, 2 * slope, rtol=1e-6)
    assert all(torch.equal(before[name], x) for name, x in module.state_dict().items())
    again = ab.Problem.from_module(module, [1.0, 0.5], (0.0, 1.0), problem.loss)
    assert again.definition_hash() == problem.definition_hash()
    with torch.no_grad():
        module.net.bias.add_(1.0)  # what the problem is does not follow the module
    assert problem.rhs(np.float32(0.0).reshape(()), problem.y0, problem.merged()) is not None
    other = ab.Problem.from_module(module, [1.0, 0.5], (0.0, 1.0), problem.loss)
    assert other.definition_hash() != problem.definition_hash()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda t, y: y, r"module=.* must be a torch.nn.Module; .*Problem\(rhs="),
        (torch.nn.Bilinear(2, 2, 2), None),
        (torch.nn.MultiheadAttention(2, 1), r"forward takes query, key, value; it must be forward"),
    ],
)
def test_modules_that_are_no_right_hand_side(module, message):
    with pytest.raises(ValueError, match=message):
        ab.Problem.from_module(module, np.float32([1.0, 0.5]), (0.0, 1.0), lambda ys, p: ys.sum())


def test_how_functions_are_called_is_told_where_they_take_other_arguments():
    with pytest.raises(ValueError, match=r"called as rhs\(t, y, p\), and takes other arguments"):
        make(rhs=lambda t, y: -y)
    with pytest.raises(ValueError, match=r"called as loss\(ys, p\), and takes other arguments"):
        make(rhs=WRITTEN["list"][0], loss=lambda t, y, p: y.sum())


def test_a_module_as_right_hand_side_is_refused_with_the_way_to_do_it():
    with pytest.raises(ValueError, match=r"use|Problem\.from_module\(module, y0, t_span, loss\)"):
        make(rhs=torch.nn.Linear(2, 2))
