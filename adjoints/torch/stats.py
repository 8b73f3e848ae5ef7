"""The work of both passes, as a user reads it."""

from __future__ import annotations

from typing import Any

from ..result import Stats
from ..steps.acceptance import CODES
from ..steps.tableau import Tableau
from .call import Counts
from .forward_pass import Work


def rhs_evals(tab: Tableau, attempts: Any) -> Any:
    """Right-hand sides of a solve: the start, the first step's guess, the attempts."""
    return (2 if tab.adaptive else 1) + attempts * tab.steps


def stats_of(tab: Tableau, work: Work, counts: Counts | None, **others: Any) -> Stats:
    """The counts of a forward pass, of a reverse pass of our own, and whatever else is known."""
    known: dict[str, Any] = {
        "steps": work.accepted,
        "rejected": work.attempts - work.accepted,
        "rhs_evals": rhs_evals(tab, work.attempts),
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
        known["linear_solves"] = work.attempts * tab.steps + back.linear_solves
    return Stats(**known, **others)
