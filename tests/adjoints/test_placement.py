"""Nothing is made on the default device, nor moved between devices, by accident.

There is no GPU in these tests. In PyTorch the default device is one without data: what is made
there by accident fails in the first operation. In JAX the arrays are on the second of two virtual
CPUs, and a call may move none by itself.
"""

import jax
import numpy as np
import pytest
import tiny_problems as tiny
import torch

import adjointbench as ab
from adjointbench.suite.measuring.timing import inputs_of

OPEN_ON_TORCH = [m.name for m in ab.methods(backend="torch") if not m.is_peer]
TIGHT = {"rtol": 1e-7, "atol": 1e-10}

#: Adjoints that keep, integrate and interpolate different things.
ON_JAX = ("jax-discrete", "jax-backsolve", "jax-gauss")


@pytest.fixture
def default_without_data():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@pytest.mark.parametrize("method", OPEN_ON_TORCH)
@pytest.mark.parametrize("make", [tiny.decay, tiny.doses])
@pytest.mark.usefixtures("default_without_data")
def test_nothing_is_made_on_pytorchs_default_device(method, make):
    problem = make()
    each = {name: np.full(problem.y0.shape, value) for name, value in TIGHT.items()}
    for tolerances in (TIGHT, each):
        found = ab.gradient(problem, method, **tolerances)
        assert (found.status, found.message) == ("ok", "")


@pytest.mark.parametrize("method", ON_JAX)
def test_a_compiled_call_moves_nothing_and_stays_on_its_device(method):
    run = ab.prepare(tiny.decay(), method, device="cpu:1", **TIGHT)
    inputs, calls = inputs_of(run, 1), (run.compiled, run.compiled_primal)
    with jax.transfer_guard("disallow"):
        found = [call(*inputs) for call in calls]
        on_host = {name: np.asarray(x) for name, x in inputs[0].items()}
        with (
            jax.enable_x64(True),
            pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"),
        ):
            calls[0](on_host, inputs[1])
    assert {x.devices().pop() for x in jax.tree.leaves(found)} == {jax.devices("cpu")[1]}
