"""Random problems: every way that says ``ok`` agrees with a complex step through a tight solve.

In the short run problems are the same each time. ``make test-long`` draws others, as many as
ADJOINTBENCH_EXAMPLES says, and prints what fails in its smallest form.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from grammar import Drawn, drawn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Truth, truth
from ways import Found, Way, adjoints, methods

#: How many problems a test draws in the long run, where it draws USUAL ones in the short run.
EXAMPLES = int(os.environ.get("ADJOINTBENCH_EXAMPLES", "0"))
USUAL = 15

#: Errors allowed, in units of the relative tolerance; three times what long runs found.
MULTIPLE = 100
#: Arrays whose part of the gradient is below this share of the largest are held to it.
SMALL = 1e-2
#: Of all gradients. What breaks down says so, and none of these problems is hard.
SHARE_THAT_MAY_BREAK_DOWN = 0.02


def check(problems: st.SearchStrategy[Drawn], ways: Sequence[Way], *, examples: int, at_once: int):
    """Compare `at_once` of the `ways` on each of so many examples."""
    statuses: Counter[str] = Counter()

    @settings(
        max_examples=examples if EXAMPLES == 0 else EXAMPLES * examples // USUAL,
        derandomize=EXAMPLES == 0,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(
        problem=problems,
        chosen=st.lists(st.sampled_from(ways), min_size=at_once, max_size=at_once, unique=True),
        rtol=st.sampled_from((1e-4, 1e-6)),
    )
    def agree(problem: Drawn, chosen: list[Way], rtol: float) -> None:
        rtol = max(rtol, 1e-4) if problem.single else rtol
        true = truth(problem)
        for way in chosen:
            found = way(problem, rtol)
            statuses[found.status] += 1
            if found.status == "ok":
                errors = relative_errors(problem, found, true)
                assert max(errors.values()) <= allowed(way, rtol), (way, errors)

    agree()
    broken = 1 - statuses["ok"] / statuses.total()
    assert broken <= SHARE_THAT_MAY_BREAK_DOWN, statuses


def allowed(way: Way, rtol: float) -> float:
    """The relative error allowed; of a difference, what is left at the best step size."""
    return MULTIPLE * (rtol ** (2 / 3) if way.name == "finite-difference" else rtol)


def relative_errors(problem: Drawn, found: Found, true: Truth) -> dict[str, float]:
    """The largest error of each array of the gradient, relative to what it is a sum of."""
    least = SMALL * max(true.size.values())
    errors = {}
    for name, slopes in true.slopes.items():
        unit = problem.loss_unit / (problem.state_unit if name == "y0" else 1.0)
        mine = np.ravel(found.slopes[name]).astype(np.float64) / unit
        errors[name] = float(np.max(np.abs(mine - slopes))) / max(true.size[name], least)
    return errors


@pytest.mark.parametrize(("backend", "examples"), [("torch", 4), ("scipy", USUAL)])
def test_methods(backend, examples):
    check(drawn(), methods(backend), examples=examples, at_once=2)


def test_solve_of_pytorch_with_several_jumps_at_one_time():
    check(drawn(repeated_jumps=True), adjoints("torch"), examples=USUAL, at_once=2)


def test_methods_on_jax():
    check(drawn(), methods("jax"), examples=2, at_once=1)


def test_solve_of_jax_with_several_jumps_at_one_time():
    check(drawn(repeated_jumps=True), adjoints("jax"), examples=2, at_once=1)
