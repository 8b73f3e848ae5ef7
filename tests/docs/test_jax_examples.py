"""The JAX programs of docs/examples take the same steps of training with diffrax and here."""

import importlib
import sys

import jax
import numpy as np
import pytest
from documents import ROOT

#: A tuple as the state under closures; ``make test-long`` takes all.
PROGRAMS = ("kalman_filter",)
OTHERS = (
    "normalising_flow",
    "hamiltonian_network",
    "latent_spirals",
    "neural_cde",
    "spans",
    "stiff_fit",
)
MARKED = [*PROGRAMS, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)]


@pytest.mark.parametrize("name", MARKED)
def test_a_program_learns_the_same_by_substitution(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    for module in (name, "fitting"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    program, fitting = importlib.import_module(name), importlib.import_module("fitting")
    # Optax mixes dtypes.
    with jax.numpy_dtype_promotion("standard"):
        own, peer = (program.train(call, 3).losses for call in (fitting.here, fitting.in_diffrax))
    assert own[-1] < own[0]
    np.testing.assert_allclose(own, peer, rtol=1e-4)
