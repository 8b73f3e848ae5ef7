"""Claims about training neural ODEs, judged by the figures of :mod:`.trainings`."""

from __future__ import annotations

from .claim import Claim, Limit, Plot
from .judges import about, all_of, at_least, at_most
from .trainings import (
    error_over_none,
    evaluations_while_training,
    prediction,
    steps_of_the_solver,
    taylor_over_error,
    taylor_over_none,
)

_PAL = "Pal et al., Opening the black box, ICML 2021, arXiv:2105.03918"
_KELLY = "Kelly et al., NeurIPS 2020, arXiv:2007.04504"
_WHAT = (
    "digits in float64 at tolerance 1.4e-8 by jax-discrete, equal epochs, times while other cores "
    "are at work"
)
_SAYS = " after {epochs} epochs from {seeds} seeds."

TRAINED = (
    Claim(
        key="10",
        sentence="The number of function evaluations grows as a neural ODE trains.",
        source=f"{_PAL}; {_KELLY}",
        measured=f"evaluations of a solve of the first batch after the last epoch over those "
        f"before the first, with no regulariser; {_WHAT}",
        measure=evaluations_while_training,
        leading="growth",
        unit="times the evaluations of the untrained network",
        limits={
            "holds": Limit(1.2, "growth from which evaluations grow"),
            "part": Limit(1.05, "from which they grow a little"),
        },
        decide=at_least(
            "growth",
            "From {first:.0f} to {last:.0f} evaluations, {growth:.2f} times as many," + _SAYS,
        ),
        group="training",
        plot=Plot("epoch", "nfe", "run", "epoch", "evaluations of one solve"),
    ),
    Claim(
        key="11",
        sentence="Error regularisation makes training cheaper than no regularisation.",
        source=_PAL,
        measured=f"training time with the error estimate (10 to 1) over none; {_WHAT}",
        measure=error_over_none,
        leading="ratio",
        unit="of the training time without",
        limits={
            "holds": Limit(0.95, "of the time without, up to which it is cheaper"),
            "part": Limit(1.05, "up to which it costs the same"),
        },
        decide=at_most(
            "ratio",
            "Training took {ratio:.2f} of the time without, and {work_ratio:.2f} of its "
            "evaluations," + _SAYS,
        ),
        published="0.84 on MNIST, 0.54 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="12",
        sentence="It is 10x faster than Taylor regularisation.",
        source=_PAL,
        measured=f"training time with Taylor (K = 3) over that with the error estimate; {_WHAT}",
        measure=taylor_over_error,
        leading="ratio",
        unit="times as fast as Taylor",
        limits={
            "said": Limit(10.0, "times as fast, within a factor of 1.2"),
            "part": Limit(1.1, "times as fast, so that it is faster at all"),
        },
        decide=about("ratio", "It was {ratio:.2g} times as fast" + _SAYS),
        published="1.45 on MNIST, 13.1 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="13",
        sentence="Taylor regularisation takes twice as long to train.",
        source=_PAL,
        measured=f"training time with Taylor (K = 3) over none; {_WHAT}",
        measure=taylor_over_none,
        leading="ratio",
        unit="times the training time without",
        limits={
            "said": Limit(2.0, "times as long, within a factor of 1.2"),
            "part": Limit(1.1, "times as long, so that it is longer at all"),
        },
        decide=about("ratio", "Training took {ratio:.2g} times as long as without" + _SAYS),
        published="1.21 on MNIST, 7.0 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="14",
        sentence="Regularised models are faster at prediction at almost the same accuracy.",
        source=_PAL,
        measured=f"prediction time and test accuracy with the error estimate against none; {_WHAT}",
        measure=prediction,
        leading="ratio",
        unit="of the prediction time without",
        limits={
            "faster": Limit(0.9, "of the time without, up to which it is faster"),
            "points": Limit(1.0, "points of accuracy that may be lost"),
        },
        decide=all_of(
            "Prediction took {ratio:.2f} of the time without and {evaluations_ratio:.2f} of its "
            "evaluations, at {points:+.1f} points of accuracy," + _SAYS,
            faster=lambda f, t: f["ratio"] <= t["faster"].value,
            almost_as_accurate=lambda f, t: f["points"] >= -t["points"].value,
        ),
        published="0.64 of the time, -0.62 points on MNIST (ICML 2021)",
        group="training",
    ),
    Claim(
        key="21",
        sentence="Regularisation lowers the number of steps that the solver takes.",
        source=_PAL,
        measured=f"accepted steps of all solves of the last epoch with the error estimate over "
        f"none, and with Taylor; {_WHAT}",
        measure=steps_of_the_solver,
        leading="ratio",
        unit="of the steps without",
        limits={
            "fewer": Limit(0.9, "of the steps without, up to which they are fewer"),
        },
        decide=all_of(
            "With the error estimate the solver took {ratio:.2f} of the steps, with Taylor "
            "{taylor_ratio:.2f}," + _SAYS,
            fewer_with_the_error_estimate=lambda f, t: f["ratio"] <= t["fewer"].value,
            fewer_with_Taylor=lambda f, t: f["taylor_ratio"] <= t["fewer"].value,
        ),
        published="evaluations 0.70 with the error estimate, 0.32 with Taylor on MNIST",
        group="training",
    ),
)
