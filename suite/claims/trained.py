"""Claims about training neural ODEs, judged by the figures of :mod:`.trainings`."""

from __future__ import annotations

from .claim import Claim, Limit, Plot
from .judges import about, all_of, at_least
from .trainings import measures

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
        measure=measures("10"),
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
        measured=f"training time with the error estimate (10 to 1) over none, for the same epochs "
        f"and to the same training loss, the larger of the two that they end with; {_WHAT}",
        measure=measures("11"),
        leading="ratio",
        unit="of the training time without",
        limits={
            "cheaper": Limit(0.95, "of the time without, up to which it is cheaper"),
        },
        decide=all_of(
            "The same epochs took {ratio:.2f} of the time without, and {work_ratio:.2f} of its "
            "evaluations; the same training loss took {equal_loss_ratio:.2f} of the time," + _SAYS,
            cheaper_for_the_same_epochs=lambda f, t: f["ratio"] <= t["cheaper"].value,
            cheaper_to_the_same_loss=lambda f, t: f["equal_loss_ratio"] <= t["cheaper"].value,
        ),
        published="0.84 on MNIST, 0.54 on Physionet (ICML 2021)",
        group="training",
    ),
    Claim(
        key="12",
        sentence="It is 10x faster than Taylor regularisation.",
        source=_PAL,
        measured=f"training time with Taylor (K = 3) over that with the error estimate; {_WHAT}",
        measure=measures("12"),
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
        measure=measures("13"),
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
        measure=measures("14"),
        leading="ratio",
        unit="of the prediction time without",
        limits={
            "faster": Limit(0.9, "of the time without, up to which it is faster"),
            "points": Limit(1.0, "points of accuracy that may be lost"),
            "loss": Limit(1.1, "where there is no accuracy, of the test loss that it may have"),
        },
        decide=all_of(
            "Prediction took {ratio:.2f} of the time without and {evaluations_ratio:.2f} of its "
            "evaluations, {accuracy}," + _SAYS,
            faster=lambda f, t: f["ratio"] <= t["faster"].value,
            almost_as_accurate=lambda f, t: (
                f["points"] >= -t["points"].value
                if "points" in f
                else f["loss_ratio"] <= t["loss"].value
            ),
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
        measure=measures("21"),
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
