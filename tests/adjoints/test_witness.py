"""The witness of a certificate: it agrees with the truth, and with nothing else."""

import dataclasses

import pytest
import torch  # noqa: F401  (the witness is not asked where loading it would take long)

from adjointbench import problems
from adjointbench.adjoints.witness import witness_of


def said_of(problem, certified):
    said = witness_of(problem, certified, certified.agreement, seconds=0.0)
    assert said is not None
    return said


@pytest.mark.parametrize("name", ["lotka_volterra", "robertson"])
def test_it_agrees_with_the_certified_gradient_and_with_none_that_is_a_thousandth_off(name):
    problem = problems.get(name)
    true = problem.reference
    assert true is not None
    said = said_of(problem, true)
    assert said["agrees"]
    assert said["distance"] < 1e-5
    off = {name: 1.001 * value for name, value in true.dparams.items()}
    wrong = said_of(problem, dataclasses.replace(true, dparams=off))
    assert wrong["agrees"] is False
    assert wrong["distance"] == pytest.approx(1e-3, rel=0.01)


def test_one_that_cannot_tell_its_own_error_says_nothing():
    trap = problems.get("adaptive_ad_trap")
    assert trap.reference is not None
    assert said_of(trap, trap.reference)["agrees"] is None
