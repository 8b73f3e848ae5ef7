"""Findings from made-up rows of which the answer is known, and the other way round."""

import pandas as pd
import pytest
from synthetic import broken, row

from adjointbench.reports.sections import findings as module
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.summary import summary

RTOLS = (1e-3, 1e-6, 1e-9)
FASTEST = "is the fastest, or as fast within a factor of 1.2,"


def ladders(*changes):
    return Ladders(frame(*changes))


def frame(*changes):
    """Rows of both methods on two problems; each change is (where, what)."""
    methods = ("jax-discrete", "jax-backsolve", "diffrax-backsolve")
    made = [row(p, m, r) for p in ("linear", "pollu") for m in methods for r in RTOLS]
    for r in made:
        r |= {"stiff": r["problem"] == "pollu", "machine": "box", "code": "c"}
        for where, what in changes:
            if where.items() <= r.items():
                r |= what
    table = pd.DataFrame(made)
    names = ("rejected", "reverse_steps", "reverse_rhs_evals", "vjp_evals", "jvp_evals")
    return table.assign(**dict.fromkeys((*names, "jacobian_evals", "linear_solves"), None))


def test_who_is_fastest_and_by_how_much_against_the_best_peer():
    found = module.fastest(ladders())
    assert f"jax-discrete {FASTEST} on 2 of 2 problems" in found.text
    assert "faster on 2, slower on 0 and equal on 0" in found.text
    # The peer takes 3 times as long at equal tolerance, and is 1.5 times as accurate.
    ratio = 3 * (2 / 3) ** 0.2
    assert f"median {ratio:.3g}" in found.text


def test_a_peer_can_be_the_fastest():
    slow = (
        ({"method": "jax-discrete"}, {"seconds": 1.0}),
        ({"method": "jax-backsolve"}, {"seconds": 2.0}),
    )
    found = module.fastest(ladders(*slow))
    assert f"diffrax-backsolve {FASTEST} on 2 of 2 problems" in found.text
    assert "faster on 0, slower on 2" in found.text


def test_who_is_as_fast_within_noise_counts_as_fastest():
    close = {"seconds": 1.0, "error": 1e-5}
    slower = close | {"seconds": 1.1}
    found = module.fastest(
        ladders(
            ({"method": "jax-backsolve"}, close),
            ({"method": "diffrax-backsolve"}, {"seconds": 9.0}),
            ({"method": "jax-discrete", "problem": "linear"}, slower),
            ({"method": "jax-discrete", "problem": "pollu"}, {"seconds": 9.0}),
        )
    )
    assert f"jax-backsolve {FASTEST} on 2 of 2 problems (jax-discrete on 1)" in found.text


def test_without_a_peer_or_a_reference_less_is_said():
    rows = frame()
    found = module.fastest(Ladders(rows[rows["family"].ne("peers")]))
    assert "peer" not in found.text
    assert module.fastest(Ladders(rows.assign(referenced=False))) is None


def test_what_is_ok_and_wrong_is_counted_with_its_methods():
    found = module.wrong(ladders(({"method": "jax-backsolve", "problem": "pollu"}, {"error": 5.0})))
    assert "3 of 18 gradients" in found.text
    assert "jax-backsolve 3 times" in found.text
    assert found.href == "#wrong"
    assert module.wrong(ladders()).text.startswith("None of 18 gradients")
    assert module.wrong(ladders(({}, {"referenced": False}))) is None


def test_what_breaks_on_stiff_problems_and_what_does_not():
    lost = {"method": "jax-backsolve", "problem": "pollu", "rtol": 1e-6}
    found = module.stiff(ladders((lost, broken("nonfinite", "not finite"))))
    assert "On 1 stiff problem 89 % of 9 gradients were right" in found.text
    assert "Right throughout: diffrax-backsolve, jax-discrete." in found.text
    assert "jax-backsolve 2 of 3" in found.text
    assert "Least often" not in module.stiff(ladders()).text
    assert module.stiff(ladders(({}, {"stiff": False}))) is None


def test_what_a_gradient_costs_by_the_cheapest_of_each_family():
    found = module.cost(summary(frame()))
    assert "jax-discrete 4 (discrete), jax-backsolve 9 (continuous)" in found.text
    assert "diffrax-backsolve 20 (peers)" in found.text
    cheaper = module.cost(summary(frame(({"method": "diffrax-backsolve"}, {"ratio": 2.0}))))
    assert "diffrax-backsolve 2 (peers)" in cheaper.text
    assert module.cost(summary(frame(({}, {"ratio": None})))) is None


@pytest.mark.parametrize(("given", "count"), [(ladders(), 4), (None, 0)])
def test_there_are_at_most_four_and_none_without_rows(given, count):
    assert len(module.findings(given, pd.DataFrame())) == count
