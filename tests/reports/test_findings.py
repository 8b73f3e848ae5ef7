"""Findings from made-up rows of which the answer is known, and the other way round."""

import pandas as pd
from synthetic import broken, row

from adjointbench.reports.sections import findings as module
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.races import races
from adjointbench.reports.tables.summary import summary
from adjointbench.suite.measuring.formats import ranked, times

RTOLS = (1e-3, 1e-6, 1e-9)
FASTEST = "the fastest, or as fast within a factor of 1.2"


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


def fast(*changes):
    return module.fastest(ladders(*changes)).text


def test_who_is_the_fastest_of_those_that_may_be_trusted():
    assert f"on 2 problems {FASTEST}: jax-discrete (twice)." in fast()
    assert "not recommended" not in fast()
    said = fast(({"method": "jax-backsolve"}, {"seconds": 1e-9}))
    assert f"{FASTEST}: jax-discrete (twice)." in said
    assert "not recommended, as their ok may be wrong: jax-backsolve (twice)." in said


def test_who_is_as_fast_within_noise_counts_as_fastest():
    close = {"seconds": 1.0, "error": 1e-6}
    change = ({"method": "jax-discrete"}, close), ({"method": "diffrax-backsolve"}, {"seconds": 9})
    rows = frame(*change)
    other = rows[rows["method"].eq("jax-discrete")].assign(method="jax-gauss")
    other["seconds"] = other["problem"].map({"linear": 1.1, "pollu": 9.0})
    found = module.fastest(Ladders(pd.concat([rows, other], ignore_index=True)))
    assert f"{FASTEST}: jax-discrete (twice), jax-gauss (once)." in found.text


def test_a_tie_is_not_cut_by_the_alphabet():
    rows = frame()
    names = [f"jax-{letter}" for letter in "abcdefg"]
    made = [rows[rows["method"].eq("jax-discrete")].assign(method=name) for name in names]
    found = module.fastest(Ladders(pd.concat(made, ignore_index=True)))
    assert "jax-a, jax-b, jax-c and 4 more (twice each)" in found.text
    assert ranked(pd.Series({"x": 3, "a": 1, "b": 1, "c": 1, "d": 1}), times) == (
        "x (3 times), a, b, c, d (once each)"
    )
    many = pd.Series({"x": 3, "y": 2} | dict.fromkeys("abcde", 1))
    assert ranked(many, times) == "x (3 times), y (twice)"


def test_without_a_peer_or_a_reference_less_is_said():
    rows = frame()
    alone = Ladders(rows[rows["family"].ne("peers")])
    assert module.peers(races(alone)) is None
    assert module.fastest(Ladders(rows.assign(referenced=False))) is None


def test_what_is_ok_and_wrong_is_counted_with_its_methods():
    found = module.wrong(ladders(({"method": "jax-backsolve", "problem": "pollu"}, {"error": 5.0})))
    assert "3 of 18 gradients that ended ok were off" in found.text
    assert "by 1 method on 1 problem. Most often: jax-backsolve (3 times)." in found.text
    assert found.href == "#wrong"
    assert module.wrong(ladders()).text.startswith("None of 18 gradients")
    assert module.wrong(ladders(({}, {"referenced": False}))) is None


def test_what_breaks_on_stiff_problems_and_what_does_not():
    lost = {"method": "jax-backsolve", "problem": "pollu", "rtol": 1e-6}
    found = module.stiff(ladders((lost, broken("nonfinite", "not finite"))))
    assert "On 1 stiff problem 89 % of 9 gradients were right" in found.text
    assert "Right throughout: diffrax-backsolve, jax-discrete." in found.text
    assert "Least often: jax-backsolve (67 %)." in found.text
    assert "Least often" not in module.stiff(ladders()).text
    assert module.stiff(ladders(({}, {"stiff": False}))) is None


def test_what_was_not_done_in_its_time_is_no_stiff_failure():
    late = {"method": "jax-backsolve", "problem": "pollu", "rtol": 1e-9}
    found = module.stiff(ladders((late, broken("timeout", "not done after 9 s"))))
    assert "100 % of 8 gradients were right" in found.text
    assert "Right throughout: diffrax-backsolve, jax-discrete." in found.text
    assert "Least often" not in found.text
    assert "Not done in their time: 1 more." in found.text


def test_what_a_gradient_costs_by_the_cheapest_of_each_family():
    found = module.cost(summary(frame()))
    assert "jax-discrete 4 (discrete), jax-backsolve 9 (continuous)" in found.text
    assert "diffrax-backsolve 20 (peers)" in found.text
    cheaper = module.cost(summary(frame(({"method": "diffrax-backsolve"}, {"ratio": 2.0}))))
    assert "diffrax-backsolve 2 (peers)" in cheaper.text
    assert module.cost(summary(frame(({}, {"ratio": None})))) is None


def test_there_are_at_most_five_and_none_without_rows():
    given = ladders()
    assert len(module.findings(given, races(given), pd.DataFrame())) == module.MOST
    assert module.findings(None, None, pd.DataFrame()) == []
