"""Claims: verdicts at both sides of every threshold, and from measuring to the report."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from adjointbench.reports import build_report
from adjointbench.reports.sections.claims import figure_text, scorecard
from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.claims.claim import DOES_NOT_HOLD, HOLDS, IN_PART, NOT_MEASURED, judge_row
from adjointbench.suite.claims.cost import figures_of_scaling
from adjointbench.suite.claims.flags import BRUSSELATOR, POLLU
from adjointbench.suite.claims.judges import sentence
from adjointbench.suite.claims.loops import count_kernels
from adjointbench.suite.claims.sensitivities import NON_STIFF, STIFF, TRAP
from adjointbench.suite.claims.table import CLAIMS, claim_of
from adjointbench.suite.claims.tasks import (
    ClaimTask,
    chosen_claims,
    claim_tasks,
    made_of_scaling,
    measure_claim,
)
from adjointbench.suite.claims.zoo_gradients import problem_of
from adjointbench.suite.collect import collect
from adjointbench.suite.measuring.row import ClaimRow, Row
from adjointbench.suite.measuring.studies import scaling
from adjointbench.suite.selection import Selection

TRAINED = {"epochs": 3, "seeds": 2}
LOOPS = {"kernels_ratio": 1.0, "kernels_ratio_large": 1.0, "slowdown_large": 1.0}

#: Of each claim: figures, what changes in them, and the verdict that this must give.
CASES = {
    "1": (
        {"discrete_most": 1e-11, "difference_loose": 0.1, "difference_tight": 1e-9},
        ({"continuous_least": 1.0e-10}, HOLDS),
        ({"continuous_least": 0.9e-10}, IN_PART),
        ({"continuous_least": 1.0e-6, "discrete_most": 1.1e-8}, IN_PART),
        ({"continuous_least": 1.0e-8, "discrete_most": 1.1e-8}, DOES_NOT_HOLD),
    ),
    "2": (
        {
            "discrete_share": 1.0,
            "other_continuous_share": 0.9,
            "other_continuous_least": 0.9,
            "backsolve_easy_share": 1.0,
            "backsolve_stiff_share": 0.5,
        },
        ({"backsolve_share": 0.85}, HOLDS),
        ({"backsolve_share": 0.86}, IN_PART),
        ({"backsolve_share": 0.85, "other_continuous_share": 0.96}, IN_PART),
        ({"backsolve_share": 1.0, "backsolve_stiff_share": 0.51}, DOES_NOT_HOLD),
    ),
    "3": (
        {"crossover": 30.0, "crossover_high": 54.0, "largest": 54},
        ({"gain_on_forward": 1.1, "gain_on_discrete": 1.1}, HOLDS),
        ({"gain_on_forward": 1.1, "gain_on_discrete": 1.0}, IN_PART),
        ({"gain_on_forward": 1.0, "gain_on_discrete": 1.0}, DOES_NOT_HOLD),
    ),
    "4": (
        {"error": "ValueError", "forward_error": 0.0, "open_solver_error": 0.0},
        ({"reverse_raises": 1.0}, HOLDS),
        ({"reverse_raises": 0.0}, DOES_NOT_HOLD),
    ),
    "5": (
        {"lanes": 4, "untaken_vmap_shared": 0},
        ({"untaken_jit": 1, "untaken_vmap": 4}, HOLDS),
        ({"untaken_jit": 0, "untaken_vmap": 1}, IN_PART),
        ({"untaken_jit": 0, "untaken_vmap": 0}, DOES_NOT_HOLD),
    ),
    "6": (
        {
            "error": "TracerBoolConversionError",
            "eager_value": 2,
            "static_value": 2,
            "cond_value": 2,
        },
        ({"jit_raises": 1.0}, HOLDS),
        ({"jit_raises": 0.0}, DOES_NOT_HOLD),
    ),
    "7": (
        {"distance_low": 1e-15},
        ({"distance": 1e-10, "frozen_distance": 1e-7}, HOLDS),
        ({"distance": 1.1e-10, "frozen_distance": 1e-7}, IN_PART),
        ({"distance": 1e-10, "frozen_distance": 1.1e-7}, IN_PART),
        ({"distance": 1e-3, "frozen_distance": 1e-3}, DOES_NOT_HOLD),
    ),
    "8": (
        LOOPS,
        ({"slowdown": 1.5, "kernels_ratio_large": 1.5}, HOLDS),
        ({"slowdown": 1.4, "kernels_ratio": 1.5}, IN_PART),
        ({"slowdown": 1.0, "slowdown_large": 1.5}, IN_PART),
        ({"slowdown": 1.4}, DOES_NOT_HOLD),
    ),
    "9": (
        {"lanes": 8, "open_error": 0.0, "blackbox_error": 0.0},
        ({"open_lane": 0.5, "blackbox_lane": 0.5}, HOLDS),
        ({"open_lane": 0.1, "blackbox_lane": 0.1, "open_error": 1e-5, "blackbox_error": 1}, HOLDS),
        ({"open_lane": 0.4, "blackbox_lane": 0.5}, IN_PART),
        ({"open_lane": 0.4, "blackbox_lane": 0.4}, DOES_NOT_HOLD),
    ),
    "10": (
        {"first": 50, "last": 60, **TRAINED},
        ({"growth": 1.2}, HOLDS),
        ({"growth": 1.19}, IN_PART),
        ({"growth": 1.05}, IN_PART),
        ({"growth": 1.04}, DOES_NOT_HOLD),
    ),
    "11": (
        {"work_ratio": 0.5, **TRAINED},
        ({"ratio": 0.95, "equal_loss_ratio": 0.95}, HOLDS),
        ({"ratio": 0.95, "equal_loss_ratio": 0.96}, IN_PART),
        ({"ratio": 0.96, "equal_loss_ratio": 0.95}, IN_PART),
        ({"ratio": 0.96, "equal_loss_ratio": 0.96}, DOES_NOT_HOLD),
    ),
    "12": (
        TRAINED,
        ({"ratio": 8.4}, HOLDS),
        ({"ratio": 11.9}, HOLDS),
        ({"ratio": 8.3}, IN_PART),
        ({"ratio": 12.1}, IN_PART),
        ({"ratio": 1.0}, DOES_NOT_HOLD),
    ),
    "13": (
        TRAINED,
        ({"ratio": 1.7}, HOLDS),
        ({"ratio": 2.4}, HOLDS),
        ({"ratio": 1.6}, IN_PART),
        ({"ratio": 6.3}, IN_PART),
        ({"ratio": 1.0}, DOES_NOT_HOLD),
    ),
    "14": (
        {"evaluations_ratio": 0.5, "accuracy": "at as much accuracy", **TRAINED},
        ({"ratio": 0.9, "points": -1.0}, HOLDS),
        ({"ratio": 0.9, "loss_ratio": 1.1}, HOLDS),
        ({"ratio": 0.9, "loss_ratio": 1.11}, IN_PART),
        ({"ratio": 0.9, "points": -1.1}, IN_PART),
        ({"ratio": 0.91, "points": 0.0}, IN_PART),
        ({"ratio": 0.91, "points": -1.1}, DOES_NOT_HOLD),
    ),
    "15": (
        {"fullgraph_raises": 1.0, "while_loop_error": 0.0, "while_loop_gradient_error": 1.0},
        ({"speedup": 1.1}, HOLDS),
        ({"speedup": 1.2}, IN_PART),
        ({"speedup": 1.0, "fullgraph_raises": 0.0}, DOES_NOT_HOLD),
    ),
    "16": (
        {"looked_at": 3, "names": "a"},
        ({"problems": 1, "problems_at_every_tolerance": 1}, HOLDS),
        ({"problems": 1, "problems_at_every_tolerance": 0}, IN_PART),
        ({"problems": 0, "problems_at_every_tolerance": 0}, DOES_NOT_HOLD),
    ),
    "17": (
        {"spread_low": 0.0, "spread_high": 1.0, "told": "by tsit5: 0 %"},
        ({"spread": 0.3}, HOLDS),
        ({"spread": 0.1}, IN_PART),
        ({"spread": 0.09}, DOES_NOT_HOLD),
    ),
    "18": (
        {},
        ({"ratio": 1.05}, HOLDS),
        ({"ratio": 1.25}, IN_PART),
        ({"ratio": 1.26}, DOES_NOT_HOLD),
    ),
    "19": (
        {
            "outside_that_take_it": 0,
            "seen_error": 1e-9,
            "local_difference": 1e-5,
            "local_effect": 1.0,
        },
        ({"missed": 0.01}, HOLDS),
        ({"missed": 0.009}, IN_PART),
        ({"missed": 0.01, "outside_that_take_it": 1}, IN_PART),
        ({"missed": 0.01, "local_difference": 1e-3}, IN_PART),
        ({"missed": 0.0, "local_effect": 0.0}, DOES_NOT_HOLD),
    ),
    "20": (
        {"second": 2.0, "fourth": 3.0, "rises": 1.0},
        ({"growth": 1.5}, HOLDS),
        ({"growth": 1.4}, IN_PART),
        ({"growth": 1.4, "rises": 0.0}, DOES_NOT_HOLD),
    ),
    "21": (
        {"taylor_ratio": 0.9, **TRAINED},
        ({"ratio": 0.9}, HOLDS),
        ({"ratio": 0.55, "taylor_ratio": 1.35}, IN_PART),
        ({"ratio": 0.91}, IN_PART),
        ({"ratio": 0.91, "taylor_ratio": 0.91}, DOES_NOT_HOLD),
    ),
    "22": (
        {"growth_generated": 4.0, "more_steps": 64},
        ({"growth": 1.1}, HOLDS),
        ({"growth": 2.0}, IN_PART),
        ({"growth": 2.1}, DOES_NOT_HOLD),
    ),
    "23": (
        LOOPS | {"slowdown": 1.0},
        ({"slowdown_large": 1.5, "kernels_ratio_large": 1.5}, HOLDS),
        ({"slowdown_large": 1.4, "kernels_ratio_large": 1.5}, IN_PART),
        ({}, DOES_NOT_HOLD),
        ({"not_measured": "This machine has no GPU."}, NOT_MEASURED),
    ),
    "24": (
        {"over_fewest": 40.0, "over_open": 0.5, "exactness": 1e-12},
        ({"least": 1.21, "most": 40.0, "over_most": 1.21}, HOLDS),
        ({"least": 1.2, "most": 40.0, "over_most": 1.2}, IN_PART),
        ({"least": 0.8, "most": 1.2, "over_most": 0.8}, DOES_NOT_HOLD),
    ),
    "25": (
        {"restarted_few": 0.5},
        ({"restarted_many": 1.21, "discrete_many": 1.2}, HOLDS),
        ({"restarted_many": 1.2, "discrete_many": 1.2}, IN_PART),
        ({"restarted_many": 1.21, "discrete_many": 1.21}, IN_PART),
        ({"restarted_many": 1.2, "discrete_many": 1.21}, DOES_NOT_HOLD),
        ({"not_measured": "The two truths differ."}, NOT_MEASURED),
    ),
    "26": (
        {"gain_of_ours": 9.0, "lanes": 64},
        ({"gain": 5.6, "gain_without_recording": 7.0}, HOLDS),
        ({"gain": 5.5, "gain_without_recording": 7.0}, IN_PART),
        ({"gain": 1.0, "gain_without_recording": 1.21}, IN_PART),
        ({"gain": 1.2, "gain_without_recording": 1.2}, DOES_NOT_HOLD),
    ),
    "27": (
        {"gradient": 20.0, "solve_of_ours": 8.0, "gradient_of_ours": 9.0},
        ({"solve": 109.0}, HOLDS),
        ({"solve": 108.0}, IN_PART),
        ({"solve": 1.2}, DOES_NOT_HOLD),
    ),
    "28": (
        {"gradients": 200, "methods": 2, "problems": 3},
        ({"before": 0, "after": 0, "alarms": 2}, HOLDS),
        ({"before": 1, "after": 0, "alarms": 2}, IN_PART),
        ({"before": 1, "after": 0, "alarms": 3}, DOES_NOT_HOLD),
        ({"before": 1, "after": 1, "alarms": 0}, DOES_NOT_HOLD),
    ),
    "29": (
        {"time_ratio": 2.0, "adjoint_time_ratio": 3.0, "off": 1e-3, "cases": 6},
        ({"between_modes": 1e-9, "worse": 6}, HOLDS),
        ({"between_modes": 2e-9, "worse": 6}, IN_PART),
        ({"between_modes": 1e-9, "worse": 5}, IN_PART),
        ({"between_modes": 2e-9, "worse": 5}, DOES_NOT_HOLD),
    ),
    "R1": (
        {"truth": 212.7, "discrete_answer": 6217.6, "wrong": 1, "methods": 2, "wrong_names": "a"},
        ({"discrete_error": 0.1, "continuous_right": 0.6}, HOLDS),
        ({"discrete_error": 0.1, "continuous_right": 0.5}, IN_PART),
        ({"discrete_error": 0.09, "continuous_right": 0.5}, DOES_NOT_HOLD),
    ),
    "R2": (
        {},
        ({"adaptive_distance": 1e-6, "frozen_distance": 1e-8}, HOLDS),
        ({"adaptive_distance": 1e-7, "frozen_distance": 1e-8}, IN_PART),
        ({"adaptive_distance": 1e-7, "frozen_distance": 1e-7}, DOES_NOT_HOLD),
    ),
    "R3": (
        {"statuses": "ok"},
        ({"brusselator_error": 0.04, "pollu_error": 0.01}, HOLDS),
        ({"brusselator_error": 0.03, "pollu_error": 1e3}, IN_PART),
        ({"brusselator_error": 0.03, "pollu_error": 0.009}, DOES_NOT_HOLD),
    ),
    "R4": (
        {"least_kept": 1.0, "most_kept": 2.0, "least_growth": 1.0, "most_growth": 2.0},
        ({"disagreement": 10.0}, HOLDS),
        ({"disagreement": 3.0}, IN_PART),
        ({"disagreement": 2.9}, DOES_NOT_HOLD),
    ),
    "R5": (
        {"ok": True, "right": 1e-5},
        ({"wrong": 0.1}, HOLDS),
        ({"wrong": 0.09}, IN_PART),
        ({"wrong": 0.1, "ok": False}, IN_PART),
        ({"wrong": 0.09, "right": 2e-5}, DOES_NOT_HOLD),
    ),
    "R6": (
        {"ok": True, "right": 1e-5, "ours": 1e-5},
        ({"wrong": 0.1}, HOLDS),
        ({"wrong": 0.1, "ours": 2e-5}, IN_PART),
        ({"wrong": 0.09, "right": 2e-5, "ours": 2e-5}, DOES_NOT_HOLD),
    ),
    "R7": (
        {"ok": True, "right": 1e-5, "largest_slope": 0.0, "truth": 0.14},
        ({"wrong": 0.1}, HOLDS),
        ({"wrong": 0.09}, IN_PART),
        ({"wrong": 0.09, "right": 2e-5}, DOES_NOT_HOLD),
    ),
    "R8": (
        {"ok": True, "right": 1e-5, "ours": 1e-5, "loss_error": 1e-8},
        ({"wrong": 0.1}, HOLDS),
        ({"wrong": 0.1, "ours": 2e-5}, IN_PART),
        ({"wrong": 0.09, "right": 2e-5, "ours": 2e-5}, DOES_NOT_HOLD),
    ),
}


def test_every_claim_of_the_list_is_there_and_has_cases():
    keys = [claim.key for claim in CLAIMS]
    assert keys == [*map(str, range(1, 30)), *(f"R{i}" for i in range(1, 9))]
    assert set(CASES) == set(keys)


def base_of(key):
    return CASES[key][0]


@pytest.mark.parametrize(
    ("key", "figures", "word"),
    [(key, base | change, word) for key, (base, *more) in CASES.items() for change, word in more],
)
def test_verdicts_at_both_sides_of_the_thresholds(key, figures, word):
    claim = claim_of(key)
    verdict = claim.judge({claim.leading: 0.0} | figures)
    assert verdict.word == word
    assert verdict.sentence
    for name in base_of(key):  # such as what an older run has not measured, or was not finite
        lacking = claim.judge({claim.leading: 0.0} | figures | {name: None})
        assert lacking.word in (NOT_MEASURED, word)
    assert "{" not in verdict.sentence


def test_a_number_that_is_said_is_missed_on_either_side():
    sides = {
        figure: claim_of("13").judge(TRAINED | {"ratio": figure}).sentence for figure in (6, 1)
    }
    assert sides[6].endswith("seeds. That is more than is said.")
    assert sides[1].endswith("seeds. That is less than is said.")


def test_a_range_of_equal_ends_is_one_number():
    about = {"low": 1.0, "high": 1.0, "told": "by tsit5: 0 %"}
    assert sentence("It is {low..high:.0%}: {told}.", about) == "It is 100%: by tsit5: 0 %."
    assert sentence("{low..high:.0%}", about | {"low": 0.5}) == "from 50% to 100%"
    with pytest.raises(KeyError, match="most"):
        sentence("{least..most}", {"least": 1.0})


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_there_is_no_verdict_without_figures(claim):
    told = "not done after 120 s"
    failed = ClaimRow(problem=claim.name, number=claim.key, status="timeout", message=told)
    assert judge_row(claim, None).word == NOT_MEASURED
    assert "120 s" in judge_row(claim, failed).sentence
    assert judge_row(claim, failed).word == NOT_MEASURED
    assert claim.judge({}).word == NOT_MEASURED
    assert all(limit.words for limit in claim.limits.values())


@pytest.mark.parametrize(("key", "word"), [("4", HOLDS), ("5", IN_PART), ("6", HOLDS)])
def test_the_claims_about_the_language_for_real(key, word):
    row = measure_claim(claim_of(key), True, nullcontext)
    assert row.status == "ok", row.message
    assert judge_row(claim_of(key), row).word == word


@pytest.mark.parametrize("problem", [*NON_STIFF, *STIFF, TRAP, BRUSSELATOR, POLLU])
def test_what_is_judged_by_its_error_has_a_certified_gradient(problem):
    assert problem_of(problem).reference is not None


def test_messages_are_shown_whole_and_counts_are_counts():
    loop = measure_claim(claim_of("4"), True, nullcontext).figures
    assert "Reverse-mode differentiation does not work for lax.while_loop" in loop["message"]
    assert loop["forward_error"] < 1e-12
    assert loop["open_solver_error"] < 1e-12
    counts = measure_claim(claim_of("5"), True, nullcontext).figures
    assert [line["taken"] for line in counts["lines"]] == [1, 4, 4]
    assert counts["untaken_vmap"] == 4


def test_what_raises_is_a_row(monkeypatch):
    def broken(quick, silence):
        raise RuntimeError("out of luck\nsecond line")

    claim = claim_of("4")
    monkeypatch.setitem(claim.__dict__, "measure", broken)
    row = measure_claim(claim, True, nullcontext)
    assert row.status == "failed"
    assert row.message == "RuntimeError: out of luck"


def test_kernels_of_a_compiled_program():
    text = """HloModule jit_f
%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %add = f32[2]{0} add(%p, %p)
}

%body.1 (carry: (s32[], f32[2])) -> (s32[], f32[2]) {
  %carry = (s32[], f32[2]{0}) parameter(0)
  %y = f32[2]{0} get-tuple-element(%carry), index=1
  %one = f32[2]{0} fusion(%y), kind=kLoop, calls=%fused
  %two = f32[2]{0} dot(%one, %y)
  ROOT %out = (s32[], f32[2]{0}) tuple(%two, %one)
}

ENTRY %main (y: f32[2]) -> f32[2] {
  %y = f32[2]{0} parameter(0)
  %copied = f32[2]{0} copy(%y)
  %loop = (s32[], f32[2]{0}) while(%copied), condition=%cond, body=%body.1
  ROOT %out = f32[2]{0} fusion(%loop), kind=kLoop, calls=%fused
}
"""
    expected = {"inside": 2, "fusions_inside": 1, "outside": 2, "fusions_outside": 1}
    assert count_kernels(text) == expected


def test_kernels_that_a_gpu_launches_as_one_graph_are_counted_one_by_one():
    text = """HloModule jit_f
%command_buffer (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  %one = f32[2]{0} fusion(%p), kind=kLoop, calls=%fused
  ROOT %two = f32[2]{0} custom-call(%one), custom_call_target="__cublas$gemm"
}

%body.1 (carry: (s32[], f32[2])) -> (s32[], f32[2]) {
  %carry = (s32[], f32[2]{0}) parameter(0)
  %y = f32[2]{0} get-tuple-element(%carry), index=1
  %graph = f32[2]{0} call(%y), to_apply=%command_buffer
  %more = f32[2]{0} copy(%graph)
  ROOT %out = (s32[], f32[2]{0}) tuple(%more, %graph)
}

ENTRY %main (y: f32[2]) -> f32[2] {
  %y = f32[2]{0} parameter(0)
  %loop = (s32[], f32[2]{0}) while(%y), condition=%cond, body=%body.1
  ROOT %out = f32[2]{0} call(%y), to_apply=%command_buffer
}
"""
    expected = {"inside": 3, "fusions_inside": 1, "outside": 2, "fusions_outside": 1}
    assert count_kernels(text) == expected


def test_the_claims_that_the_environment_asks_for(monkeypatch):
    monkeypatch.delenv("ADJOINTBENCH_PROBLEMS", raising=False)
    monkeypatch.delenv("ADJOINTBENCH_CLAIMS", raising=False)
    assert len(chosen_claims()) == len(CLAIMS)
    assert chosen_claims("0") == ()
    assert chosen_claims("r2, 6,4") == ("4", "6", "R2")
    monkeypatch.setenv("ADJOINTBENCH_PROBLEMS", "linear")
    assert chosen_claims() == ()
    with pytest.raises(ValueError, match="99 is no claim"):
        chosen_claims("99")


def test_a_task_that_is_cut_off_leaves_a_row_for_each_claim():
    tasks = list(claim_tasks(("4", "10", "11", "14"), True))
    assert [task.keys for task in tasks] == [("10", "11", "14"), ("4",)]
    assert tasks[0].problem == "claim 10, 11, 14"
    done = ClaimRow(problem="claim 4", number="4", status="ok")
    (left,) = ClaimTask(problem="claim 4, 6", keys=("4", "6"), quick=True).unmeasured(
        [done], "timeout", "not done"
    )
    assert (left.problem, left.number, left.status) == ("claim 6", "6", "timeout")


def scaling_rows(forward=(1.0, 10.0), gauss=(2.0, 5.0), discrete=(1.0, 4.0)):
    ladder = {scaling.FORWARD: forward, "jax-gauss": gauss, "jax-discrete": discrete}
    return [
        Row(
            study="scaling",
            problem=scaling.problem_of(n),
            method=method,
            status="ok",
            seconds=seconds,
            rtol=1e-7,
        )
        for method, times in ladder.items()
        for n, seconds in zip((2, 3), times, strict=True)
    ]


def test_the_claim_on_sizes_is_made_of_the_scaling_study():
    claims = [ClaimRow(problem="claim 4", number="4", quick=True, status="ok")]
    (row,) = made_of_scaling(scaling_rows(), claims)
    assert row.figures["gain_on_forward"] == 2.0
    assert row.figures["gain_on_discrete"] == 0.8
    assert 24 < row.figures["crossover"] < 54
    verdict = judge_row(claim_of("3"), row)
    assert verdict.word == IN_PART
    assert "overtaken at" in verdict.sentence
    never = figures_of_scaling(scaling_rows(forward=(0.1, 0.1)))
    assert "overtaken by none" in claim_of("3").judge(never).sentence
    assert made_of_scaling(scaling_rows(), []) == []
    assert made_of_scaling(scaling_rows(), [replace(claims[0], number="3")]) == []


def test_figures_with_their_spread():
    claim = claim_of("11")
    spread = {"ratio": 0.8123456, "ratio_low": 0.7, "ratio_high": 0.9}
    assert figure_text(claim, spread) == "0.8123 [0.7, 0.9] of the training time without"
    assert figure_text(claim, {"ratio": 2}) == "2 of the training time without"
    assert figure_text(claim, {}) == ""
    assert figure_text(claim_of("4"), {"error": "ValueError"}) == "ValueError"


def test_from_measuring_to_the_report(tmp_path):
    chosen = Selection(quick=True, problems=(), methods=(), devices=("cpu",), claims=("5", "6"))
    path = tmp_path / "rows.jsonl"
    said = []
    file = collect(chosen, path, say=said.append)
    assert file.complete
    assert {row.status for row in file.claims} == {"ok"}
    found = read_measurements([path])
    card = scorecard(found.claims).set_index("number")
    assert len(card) == len(CLAIMS)
    assert card.loc["5", "verdict"] == IN_PART
    assert card.loc["4", "verdict"] == NOT_MEASURED
    assert "jax " in card.loc["6", "versions"]
    page = build_report([path], tmp_path / "report", say=said.append)
    html = page.read_text()
    assert 'id="claim-5"' in html
    assert 'href="#claim-5"' in html
    assert 'data-value="holds in part"' in html
    assert "TracerBoolConversionError" in html
    assert 'href="#claim-4"' not in html
    assert "holds in part" in (tmp_path / "report" / "claims.csv").read_text()
