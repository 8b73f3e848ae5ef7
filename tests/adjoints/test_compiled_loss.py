"""One compiled program gives the gradient, with what is told beside it and bare."""

import jax
import numpy as np
import pytest

from adjointbench.adjoints.gradient import prepare
from adjointbench.adjoints.jax import compiled_loss
from adjointbench.problems import Problem


@pytest.fixture
def compiled(monkeypatch):
    """The names of the programs that are compiled, in order."""
    names = []

    def watched(problem, key, make):
        names.append(key[-1])
        return built_once(problem, key, make)

    built_once = compiled_loss.built_once
    monkeypatch.setattr(compiled_loss, "built_once", watched)
    return names


@pytest.mark.parametrize("method", ["diffrax-recursive-checkpoint", "jax-blackbox"])
def test_bare_calls_compile_nothing_of_their_own(method, compiled):
    problem = Problem(
        name="decay",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array([0.5])},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: (ys**2).sum(),
    )
    run = prepare(problem, method, rtol=1e-8, atol=1e-10)
    result, value = run(), run.primal()
    assert compiled == ["gradient", "primal"]
    with jax.enable_x64(True):
        arguments = jax.device_put((dict(problem.params), problem.y0))
    loss, dparams, dy0 = run.compiled(*arguments)
    numbers = [float(x) for x in (loss, dparams["k"][0], dy0[0])]
    assert numbers == [result.loss, result.dparams["k"][0], result.dy0[0]]
    assert float(run.compiled_primal(*arguments)) == value
    assert compiled == ["gradient", "primal"]
