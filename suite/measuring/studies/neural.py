"""A classifier's gradient: 2-64-64-2 tanh, a batch of 256, in single precision, one tolerance."""

from __future__ import annotations

from ..job import Job

#: What rows of this study are marked with.
STUDY = "neural"

#: The network and the batch are the problem's published settings.
PROBLEM, RTOL = "two_spirals(dtype=float32)", 1e-4

OURS = "jax-discrete"
PEERS = ("diffrax-recursive-checkpoint", "diffrax-backsolve", "diffrax-forward", "diffrax-direct")

#: Seconds of repeated calls, and seconds allowed for one method.
BUDGET_S, TIMEOUT_S = 1.0, 240.0


def methods(*, quick: bool) -> tuple[str, ...]:
    """Ours, and the peers that a user would pick instead; of those the first in a quick run."""
    return (OURS, *(PEERS[:1] if quick else PEERS))


def job(method: str) -> Job:
    """A method of the study."""
    return Job(
        problem=PROBLEM,
        method=method,
        study=STUDY,
        rtols=(RTOL,),
        atol_scale=1.0,
        budget_s=BUDGET_S,
        timeout_s=TIMEOUT_S,
    )
