"""A claim about ensembles whose steps are recorded first and replayed for the gradient."""

from __future__ import annotations

from ...problems import Problem
from ..measuring.measure import ATOL_SCALE
from ..measuring.row import Row
from ..measuring.studies.batched import batched_gradient
from ..measuring.studies.ensembles import measure_lanes
from ..measuring.studies.lanes import method_of
from ..measuring.timing import Silence
from .claim import DOES_NOT_HOLD, HOLDS, IN_PART, Claim, Figures, Limit, Limits, Plot, Verdict
from .equal_error import BUDGET_S, FASTER, lines_of, ratio, seconds_of, truth_of
from .zoo_gradients import problem_of

#: Only the last state counts, as where it is said.
ENSEMBLE = "lorenz(saves=1)"

ANEW, ONCE = "gradsolve-record-replay", "gradsolve-replay"
CHECKPOINTED, OURS = "diffrax-recursive-checkpoint", "jax-discrete"

LANES, QUICK_LANES = 1024, 64
RTOLS, QUICK_RTOLS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8), (1e-5,)
ERROR, TIGHT = 1e-3, 1e-9


def replayed(quick: bool, silence: Silence) -> Figures:
    """Time of an ensemble's gradient by checkpoints over that by recorded steps."""
    problem = problem_of(ENSEMBLE)
    truth = truth_of(problem, ("scipy-forward", "scipy-adjoint"), TIGHT)
    number, rtols = (QUICK_LANES, QUICK_RTOLS) if quick else (LANES, RTOLS)
    methods = (ANEW, ONCE, CHECKPOINTED, OURS)
    ways = [batched_gradient(problem, method) for method in methods]
    found: dict[str, list[Row]] = {method: [] for method in methods}
    for rtol in rtols:
        rows = [_about(problem, method, number, rtol) for method in methods]
        measured = measure_lanes(
            rows,
            ways,
            problem,
            number,
            budget_s=BUDGET_S,
            silence=silence,
            reference=truth,
        )
        for method, row in zip(methods, measured, strict=True):
            found[method].append(row)
    seconds = seconds_of(found, ERROR)
    return {
        "gain": ratio(seconds, CHECKPOINTED, ANEW),
        "gain_without_recording": ratio(seconds, CHECKPOINTED, ONCE),
        "gain_of_ours": ratio(seconds, CHECKPOINTED, OURS),
        "lanes": number,
        "agreement": truth.agreement,
        "lines": lines_of(found),
    }


def _about(problem: Problem, method: str, number: int, rtol: float) -> Row:
    return Row(
        problem=problem.name,
        method=method_of(method, number),
        rtol=rtol,
        atol=rtol * ATOL_SCALE,
        status="ok",
    )


def _judge(figures: Figures, limits: Limits) -> Verdict:
    full, bare = figures["gain"], figures["gain_without_recording"]
    said, faster = limits["said"].value, limits["faster"].value
    word = HOLDS if full >= said else DOES_NOT_HOLD
    if word != HOLDS and max(full, bare) > faster:
        word = IN_PART
    return Verdict(
        word,
        f"Of {figures['lanes']} lanes at a gradient error of {ERROR:g}, checkpoints take "
        f"{full:.2g} times as long as recording and replaying, {bare:.2g} times as long as the "
        f"replay alone, and {figures['gain_of_ours']:.2g} times as long as the discrete adjoint of "
        "the open solver.",
    )


RECORDED_STEPS = (
    Claim(
        key="26",
        sentence="The gradient of an ensemble by recorded and replayed steps is 5.6 to 14.1 times "
        "cheaper than by diffrax's checkpointed adjoint.",
        source="Spurio Mancini, GRADSOLVE, arXiv:2609.02876; on GPUs, of equal errors of the final "
        "state, and without the recording solve",
        measured="lanes of Lorenz to t = 5, loss of the last state, one core: time of the gradient "
        f"of all at an error of {ERROR:g}, {CHECKPOINTED} under vmap over {ANEW}, its recording "
        "included",
        measure=replayed,
        leading="gain",
        unit="times as long, diffrax's checkpointed adjoint",
        limits={
            "said": Limit(5.6, "times as long, the least that is said"),
            "faster": FASTER,
        },
        decide=_judge,
        published="5.6 to 14.1 times (A100, H100, RTX 4090)",
        plot=Plot("error", "seconds", "method", "gradient error", "seconds, all lanes"),
    ),
)
