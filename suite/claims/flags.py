"""The red flags: what goes wrong in adjoints that look right, shown on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...adjoints.methods import METHODS, get_method
from ...problems import Problem
from ..measuring.errors import WRONG
from ..measuring.frozen_steps import adaptive_program_error, frozen_step_error
from ..measuring.ladder import is_right, share_right
from ..measuring.timing import Silence
from .claim import REASON, Claim, Figures, Limit
from .judges import all_of, at_least
from .sensitivities import BACKSOLVE, DISCRETE, TRAP, TRAP_STEP
from .zoo_gradients import problem_of, shown, zoo_gradients, zoo_rows

#: One of each kind that needs little or no compilation.
QUICK_METHODS = (
    DISCRETE,
    "jax-interpolating",
    BACKSOLVE,
    "scipy-adjoint",
    "scipy-forward",
    "torchdiffeq-backprop",
    "torchdiffeq-adjoint",
    "diffrax-recursive-checkpoint",
    "cvodes-adjoint",
    "finite-difference",
)

#: Stiff problems on which backsolve was published to fail; of sizes that are certified.
BRUSSELATOR, POLLU = "brusselator(n=3)", "pollu"


def trap(quick: bool, silence: Silence) -> Figures:
    """Every method's answer on the adaptive-AD trap, beside the certified one."""
    reference = problem_of(TRAP).reference
    assert reference is not None
    ((name, truth),) = reference.dparams.items()
    rtols = (1e-3, 1e-6) if quick else (1e-3, 1e-6, 1e-9)
    rows, lines = [], []
    for method in QUICK_METHODS if quick else tuple(method.name for method in METHODS):
        for row, result in zoo_gradients(TRAP, method, rtols, **_first_step(method)):
            answer = None if result is None else float(result.dparams[name])
            told = {"answer": answer, "truth": float(truth), "error": row.error}
            rows.append(row)
            lines.append(shown(row, "method", "family", "rtol", "status") | told)
    discrete = [row.error for row in rows if row.method == DISCRETE and row.error is not None]
    ended = [row for row in rows if row.error is not None]
    wrong = {row.method for row in ended if not is_right(row)}
    return {
        "discrete_error": min(discrete),
        "discrete_error_low": min(discrete),
        "discrete_error_high": max(discrete),
        "discrete_answer": next(x["answer"] for x in lines if x["method"] == DISCRETE),
        "truth": float(truth),
        "continuous_right": share_right([row for row in rows if row.family == "continuous"]),
        "wrong": len(wrong),
        "methods": len({row.method for row in ended}),
        "wrong_names": ", ".join(sorted(wrong)) or "none",
        "lines": lines,
    }


def _first_step(method: str) -> dict[str, Any]:
    """The first step of the trap, where it can be given."""
    return {"first_step": TRAP_STEP} if "first_step" in get_method(method).supports else {}


def toy_at_a_loose_tolerance(quick: bool, silence: Silence) -> Figures:
    """The gradient of an adaptive solve at tolerance 0.1 against two finite differences."""
    problem = _logistic()
    loose: dict[str, Any] = {"rtol": 0.1, "atol": 0.1}
    found = {
        "adaptive_distance": adaptive_program_error(problem, DISCRETE, **loose),
        "frozen_distance": frozen_step_error(problem, DISCRETE, **loose),
    }
    if not quick:
        through: dict[str, Any] = {"differentiate_step_size": True} | loose
        found["through_control_distance"] = adaptive_program_error(problem, DISCRETE, **through)
    return found | {"lines": [{"against": name, "distance": x} for name, x in found.items()]}


def _logistic() -> Problem:
    """Growth that levels off: smooth, not stiff, and solved in a few steps."""
    return Problem(
        name="logistic",
        rhs=lambda t, y, p: p["k"] * y * (1.0 - y),
        y0=np.array([0.1]),
        params={"k": np.array([1.0])},
        t_span=(0.0, 5.0),
        loss=lambda ys, p: (ys**2).sum(),
    )


def backsolve_on_stiff(quick: bool, silence: Silence) -> Figures:
    """What backsolve gives on the two stiff problems on which it was published to fail."""
    if quick:
        return {REASON: "Only with all sizes: to compile the reverse solves takes half a minute."}
    found = [
        each
        for problem in (BRUSSELATOR, POLLU)
        for method in (BACKSOLVE, "diffrax-backsolve")
        for each in zoo_rows(problem, method, (1e-7,), atol=1e-5)
    ]
    worst = {
        problem: max(
            each.error if each.error is not None else 1e3
            for each in found
            if each.problem == problem and each.status != "skipped"
        )
        for problem in (BRUSSELATOR, POLLU)
    }
    return {
        "brusselator_error": worst[BRUSSELATOR],
        "pollu_error": worst[POLLU],
        "statuses": "; ".join(f"{x.problem} by {x.method}: {x.status}" for x in found),
        "lines": [shown(x, "problem", "method", "status", "error") for x in found],
    }


def resident_set(quick: bool, silence: Silence) -> Figures:
    """Growth of the peak of the resident set against the bytes kept, for several methods."""
    if not Path("/proc/self/clear_refs").exists():
        return {REASON: "Only Linux tells the peak of the resident set anew."}
    problem = problem_of("two_spirals")
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("torch-tape", {}),
        ("torch-discrete", {}),
        ("torch-backsolve", {}),
        ("torchdiffeq-backprop", {}),
    )
    if not quick:
        kinds += ((DISCRETE, {}), (DISCRETE, {"checkpoints": 1}), ("jax-interpolating", {}))
    lines = [_memory(problem, method, settings) for method, settings in kinds]
    known = [x for x in lines if x["bytes_kept"] is not None]
    ratios = [max(x["growth"], 4096.0) / max(x["bytes_kept"], 4096.0) for x in known]
    return {
        "disagreement": max(ratios) / min(ratios),
        "most_kept": max(x["bytes_kept"] for x in known),
        "least_kept": min(x["bytes_kept"] for x in known),
        "most_growth": max(x["growth"] for x in known),
        "least_growth": min(x["growth"] for x in known),
        "lines": lines,
    }


def _memory(problem: Problem, method: str, settings: dict[str, Any]) -> dict[str, Any]:
    run = prepare(problem, method, rtol=1e-5, atol=1e-5, **settings)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    kept = run().stats.saved_bytes
    name = method + "".join(f", {k}={v}" for k, v in settings.items())
    growth = float(_status("VmHWM") - before)
    return {"method": name, "bytes_kept": kept, "growth": float(np.maximum(growth, 0.0))}


def _status(name: str) -> int:
    """Bytes of a line of the process's own status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


FLAGS = (
    Claim(
        key="R1",
        sentence="The adaptive-AD trap: an adaptive solver at a fixed point takes steps that are "
        "right for the state and far too large for its derivative.",
        source="Sapienza et al., arXiv:2406.09699, section on automatic differentiation",
        measured="every method's dL/da on the trap, first step 0.1 where it can be given, beside "
        "the certified one",
        measure=trap,
        leading="discrete_error",
        unit="relative error of jax-discrete",
        limits={
            "wrong": Limit(WRONG, "a relative error from which a gradient is wrong"),
            "right": Limit(0.5, "share of the continuous answers that are right"),
        },
        decide=all_of(
            "The truth is {truth:.6f}; the discrete adjoint answers {discrete_answer:.3f}. "
            "Of the {methods} methods that were asked here, with the first step 0.1, wrong "
            "somewhere: {wrong} ({wrong_names}). A report's section on the problem has every "
            "method that was measured, each with a first step of its own.",
            discrete_adjoints_are_wrong_at_every_tolerance=lambda f, t: (
                f["discrete_error"] >= t["wrong"].value
            ),
            most_continuous_ones_are_right=lambda f, t: f["continuous_right"] > t["right"].value,
        ),
        published="6217.608 by diffrax's RecursiveCheckpointAdjoint at every tolerance from 1e-3 "
        "to 1e-12, 212.7104 by its BacksolveAdjoint, for 212.710425217",
        group="adjoints",
    ),
    Claim(
        key="R2",
        sentence="The gradient of an adaptive solve at tolerance 0.1 disagrees with finite "
        "differences of the adaptive program, and agrees once the accepted steps are frozen.",
        source="diffrax, issue 499",
        measured="logistic growth at tolerance 0.1: distance of the discrete adjoint from finite "
        "differences of the adaptive program, and of the frozen steps",
        measure=toy_at_a_loose_tolerance,
        leading="adaptive_distance",
        unit="relative distance from the adaptive program",
        limits={
            "apart": Limit(1e-6, "a distance far above rounding, from which they disagree"),
            "rounding": Limit(1e-8, "a distance up to which they agree"),
        },
        decide=all_of(
            "{adaptive_distance:.1e} from the adaptive program, {frozen_distance:.1e} from the "
            "frozen steps.",
            disagrees_with_the_adaptive_program=lambda f, t: (
                f["adaptive_distance"] >= t["apart"].value
            ),
            agrees_with_the_frozen_steps=lambda f, t: f["frozen_distance"] <= t["rounding"].value,
        ),
    ),
    Claim(
        key="R3",
        sentence="Backsolve is wrong or unstable on the Brusselator and on POLLU.",
        source="Ma et al., HPEC 2021, arXiv:1812.01892",
        measured="error or status of backsolve at relative tolerance 1e-7, absolute 1e-5; a "
        "breakdown counts as an error of 1000",
        measure=backsolve_on_stiff,
        leading="brusselator_error",
        unit="relative error on the Brusselator",
        limits={
            "brusselator": Limit(4e-2, "published error on the Brusselator"),
            "pollu": Limit(1e-2, "published error on POLLU"),
        },
        decide=all_of(
            "{statuses}; worst errors {brusselator_error:.1e} and {pollu_error:.1e}.",
            wrong_or_broken_on_the_Brusselator=lambda f, t: (
                f["brusselator_error"] >= t["brusselator"].value
            ),
            wrong_or_broken_on_POLLU=lambda f, t: f["pollu_error"] >= t["pollu"].value,
        ),
        published="relative errors from 4e-2 and 1e-2 on, or unstable",
    ),
    Claim(
        key="R4",
        sentence="Memory as the growth of the resident set does not discriminate between methods.",
        source="SciMLBenchmarks.jl, its own section on memory",
        measured="the two-spirals network: growth of the peak of the resident set during one "
        "gradient against the bytes kept for the reverse pass, both of at least a page",
        measure=resident_set,
        leading="disagreement",
        unit="times that growth over bytes kept differs between methods",
        limits={
            "holds": Limit(10.0, "a factor from which growth does not tell the methods apart"),
            "part": Limit(3.0, "from which it tells them apart in part"),
        },
        decide=at_least(
            "disagreement",
            "Bytes kept are {least_kept..most_kept:.2g}, growth of the resident set is "
            "{least_growth..most_growth:.2g}; their ratio differs by a factor "
            "of {disagreement:.2g} between methods.",
        ),
    ),
)
