"""What a gradient computation returns: the numbers, how it ended, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: How a computation can end. The index is the integer code used inside compiled programs.
STATUSES = (
    "ok",
    "max_steps",
    "step_too_small",
    "nonfinite",
    "linear_solve",
    "newton",
    "timeout",
    "failed",
    "inaccurate",
    "max_events",
    "event",
)

STATUS_MESSAGES = {
    "ok": "",
    "max_steps": "the solver took max_steps steps before it reached the end; "
    "raise max_steps, loosen the tolerances, or use an implicit solver if the problem is stiff",
    "step_too_small": "the step size fell below what the time variable can resolve; "
    "the solution may have a singularity, or the tolerances are below rounding",
    "nonfinite": "the right-hand side or the solution became NaN or infinite",
    "linear_solve": "a linear system of an implicit step was singular; with a mass matrix also: "
    "the algebraic equations do not determine the algebraic unknowns at the start (index 2 or "
    "more; differentiate the constraints by time)",
    "newton": "the Newton iteration of an implicit step did not converge; with a mass matrix also: "
    "none to values that fulfil the algebraic equations at the start, so that a y0 nearer to them "
    "may do",
    "timeout": "the time allowed ran out",
    "failed": "the solver gave up",
    "inaccurate": "the gradient is estimated to be further off than it may be",
    "max_events": "there were more events than max_events; raise it, or look whether they follow "
    "each other ever faster, as at the rest of a bouncing ball or where a switch chatters",
    "event": "an event whose effect is not defined: a value that touches zero to within the "
    "tolerance and turns back, two events at one time, or an event at the time of a save, of a "
    "jump or of the end of the span; shift that time, or tighten the tolerance",
}

_REVERSE_NONFINITE = (
    "a derivative became NaN or infinite where the solution did not: often a `where` around a "
    "square root, a logarithm or a division, or a norm at zero; give these a safe argument inside "
    "the `where` as well, as in where(x > 0, sqrt(where(x > 0, x, 1)), 0)"
)


@dataclass(frozen=True)
class Stats:
    """Counts of work, forward and reverse apart; ``None`` where a method does not tell.

    Attributes
    ----------
    steps, rejected : int or None
        Accepted and rejected steps of the forward solve.
    rhs_evals : int or None
        Right-hand-side evaluations of the forward solve.
    jacobian_evals, linear_solves : int or None
        Jacobians formed and linear systems solved, forward and reverse together.
    reverse_steps, reverse_rejected : int or None
        Steps of the reverse pass (for a discrete adjoint: the steps swept).
    reverse_rhs_evals : int or None
        Right-hand-side evaluations in the reverse pass (recomputation included).
    vjp_evals, jvp_evals : int or None
        Vector-Jacobian and Jacobian-vector products of the right-hand side.
    saved_bytes : int or None
        Bytes kept from the forward pass for the reverse pass.
    compile_s : float or None
        Seconds spent tracing and compiling, once per prepared run; what only differs in its
        tolerances may share the program of another run.
    derivatives : str or None
        Where derivatives of ``rhs`` and ``loss`` came from: ``"jax"``, ``"torch"``,
        ``"problem"`` (its own Jacobian), ``"complex step"``, ...
    compiled : str or None
        On PyTorch, where ``compile=True`` asked for it: ``"yes"``, or why it ran eagerly.
    transfers : int or None
        On PyTorch, how often the host waited for a number from the device.
    engine : str or None
        Of an open solver, what ran: ``"native"``, or the framework, and why in parentheses.
    linear_solver : str or None
        Of an implicit open solver, how its linear systems were solved: ``"dense"``,
        ``"banded (...)"``, ``"sparse (...)"`` or ``"gmres (...)"``.
    """

    steps: int | None = None
    rejected: int | None = None
    rhs_evals: int | None = None
    jacobian_evals: int | None = None
    linear_solves: int | None = None
    reverse_steps: int | None = None
    reverse_rejected: int | None = None
    reverse_rhs_evals: int | None = None
    vjp_evals: int | None = None
    jvp_evals: int | None = None
    saved_bytes: int | None = None
    compile_s: float | None = None
    derivatives: str | None = None
    compiled: str | None = None
    transfers: int | None = None
    engine: str | None = None
    linear_solver: str | None = None


@dataclass(frozen=True)
class GradientError:
    """How far a gradient is estimated to be off.

    Attributes
    ----------
    dparams, dy0, loss : float
        Relative: of the log-parameter gradient ‖p∘(g - g*)‖₂ / ‖p∘g*‖₂, of the gradient with
        respect to the start value in the 2-norm, and of the loss.
    by_param, by_y0 : dict of str to ndarray, ndarray
        Absolute, of each entry of ``dparams`` and ``dy0``.
    reliable : bool
        Whether the estimate should be within a factor of three of the truth; of ten where steps
        were joined.
    how : str
        Where it comes from: ``"halved steps"``, or what else the gradient was compared with.
    reason : str
        Why it is not reliable, in one sentence.
    """

    dparams: float
    dy0: float
    loss: float
    by_param: dict[str, np.ndarray]
    by_y0: np.ndarray
    reliable: bool
    how: str
    reason: str = ""

    @property
    def largest(self) -> float:
        """The larger of those of the two gradients."""
        return max(self.dparams, self.dy0)


@dataclass(frozen=True)
class GradientResult:
    """Loss and gradient of one problem by one method.

    Attributes
    ----------
    loss : float
        The loss; NaN where ``status`` is neither ``"ok"`` nor ``"inaccurate"``.
    dparams : dict of str to ndarray
        Gradient with respect to each parameter, in the shapes of ``problem.params``; the
        loss's direct dependence on the parameters is included. NaN where the loss is.
    dy0 : ndarray
        Gradient with respect to the start value, in the shape of ``problem.y0``.
    status : str
        One of :data:`STATUSES`. ``"ok"`` says that the solver met its tolerance, not that
        the gradient is right; ``"inaccurate"`` says that it is off by its own estimate.
    phase, message : str or None, str
        ``"forward"`` or ``"reverse"`` and a sentence, where the status is not ``"ok"``.
    stats : Stats
        What the computation cost.
    gradient_error : GradientError or None
        How far the gradient is off, where ``error_bar`` asked for it and the solve came to its
        end.
    refined : GradientResult or None
        The better gradient that it was compared with, with an estimate of its own where there is
        one.
    """

    loss: float
    dparams: dict[str, np.ndarray]
    dy0: np.ndarray
    status: str = "ok"
    phase: str | None = None
    message: str = ""
    stats: Stats = field(default_factory=Stats)
    gradient_error: GradientError | None = None
    refined: GradientResult | None = None

    @property
    def ended(self) -> bool:
        """Whether there are numbers, accurate or not."""
        return self.status in ("ok", "inaccurate")


def status_message(status: str, phase: str) -> str:
    """The standard sentence of a status in the ``"forward"`` or ``"reverse"`` phase."""
    if (status, phase) == ("nonfinite", "reverse"):
        return _REVERSE_NONFINITE
    return STATUS_MESSAGES[status]


def reverse_breakdown(status: str) -> str:
    """What a user of ``solve`` is told where the reverse solve ended with this status."""
    return (
        f"the reverse solve of a continuous adjoint ended with status {status!r}, and all "
        f"gradients are NaN: {status_message(status, 'reverse')}; adjoint='discrete' solves "
        "nothing in reverse"
    )
