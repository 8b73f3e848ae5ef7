"""The work of both passes, as a user reads it."""

from __future__ import annotations

from typing import Any

from ..result import Stats
from ..steps.acceptance import CODES
from ..steps.tableau import Tableau
from .call import Counts
from .forward_pass import Work


def rhs_evals(tab: Tableau, attempts: Any, iterations: Any) -> Any:
    """Right-hand sides of a solve: the start, the first step's guess, the attempts.

    Newton's method takes one an iteration, and one at the end where no stage lies there.
    """
    start = 2 if tab.adaptive else 1
    if tab.kind == "dirk":
        return start + iterations + attempts * int(not tab.stiffly_accurate)
    return start + attempts * tab.steps


def linear_solves(tab: Tableau, attempts: Any, iterations: Any) -> Any:
    """Linear systems solved: one a stage of a Rosenbrock method, or an iteration of Newton's."""
    return iterations if tab.kind == "dirk" else attempts * tab.steps * int(tab.implicit)


def stats_of(tab: Tableau, work: Work, counts: Counts | None, **others: Any) -> Stats:
    """The counts of a forward pass, of a reverse pass of our own, and whatever else is known."""
    known: dict[str, Any] = {
        "steps": work.accepted,
        "rejected": work.attempts - work.accepted,
        "rhs_evals": rhs_evals(tab, work.attempts, work.iterations),
        "transfers": work.transfers,
    }
    if counts is not None:
        known |= {
            "reverse_steps": counts.steps,
            "reverse_rejected": counts.rejected,
            "reverse_rhs_evals": counts.rhs_evals,
            "vjp_evals": counts.vjp_evals,
        }
        known["transfers"] += counts.transfers
    if tab.implicit:
        back = counts or Counts(CODES["ok"], 0, 0, 0, 0, 0, 0)
        known["jacobian_evals"] = work.attempts + back.jacobian_evals
        ahead = linear_solves(tab, work.attempts, work.iterations)
        known["linear_solves"] = ahead + back.linear_solves
    return Stats(**known, **others)
