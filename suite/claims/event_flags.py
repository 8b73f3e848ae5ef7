"""Red flags of events and switches: gradients that look right, with the status ok."""

from __future__ import annotations

from ..measuring.errors import WRONG
from .claim import Claim, Figures, Limit, Limits
from .event_traps import kink_at_an_event, rounded_to_steps, two_on_one_step, undeclared_switch
from .judges import all_of

#: Above which a gradient is wrong, and up to which it is right at the tolerance that is asked.
_LIMITS = {
    "wrong": Limit(WRONG, "a relative error from which a gradient is wrong"),
    "right": Limit(1e-5, "a relative error up to which it is right at rtol 1e-8"),
}


def _wrong(figures: Figures, limits: Limits) -> bool:
    return figures["ok"] and figures["wrong"] >= limits["wrong"].value


def _right(figures: Figures, limits: Limits) -> bool:
    return figures["right"] <= limits["right"].value


def _ours_right(figures: Figures, limits: Limits) -> bool:
    return figures["ours"] <= limits["right"].value


EVENT_FLAGS = (
    Claim(
        key="R5",
        sentence="An event that is rounded to the end of a step, as by diffrax's Event without a "
        "root finder, which is its default, has a gradient that is wrong, and the status ok.",
        source="diffrax, issues 227 and 451, and the documentation of diffrax.Event",
        measured="problems with events by diffrax, begun again behind each, without a root finder "
        "and with Newton's method to rounding: error of the gradient against the closed form",
        measure=rounded_to_steps,
        leading="wrong",
        unit="smallest relative error without a root finder",
        limits=_LIMITS,
        decide=all_of(
            "Without a root finder the errors are {wrong:.1e} and more, with one {right:.1e} and "
            "less.",
            wrong_without_a_root_finder=_wrong,
            right_with_one=_right,
        ),
        group="adjoints",
    ),
    Claim(
        key="R6",
        sentence="Where a step passes two thresholds, the first in the list is taken for the first "
        "in time.",
        source="diffrax 0.7.2, diffeqsolve: one event of a step is kept, by the order of cond_fn",
        measured="a tank with two levels at which it is filled, by diffrax with either of them "
        "first in the list, and by an open method",
        measure=two_on_one_step,
        leading="wrong",
        unit="relative error of diffrax with the later one first",
        limits=_LIMITS,
        decide=all_of(
            "With the later level first in the list diffrax is {wrong:.1e} off, in the order of "
            "time {right:.1e}, and an open method {ours:.1e} at most.",
            wrong_in_the_other_order=_wrong,
            right_in_the_order_of_time=_right,
            the_open_method_is_right_in_both=_ours_right,
        ),
        group="adjoints",
    ),
    Claim(
        key="R7",
        sentence="A time at which the equations switch by a comparison has the derivative zero, by "
        "every method that differentiates, unless it is declared.",
        source="diffrax, issue 363",
        measured="rates that switch at a time that is a parameter, declared as a discontinuity "
        "and not: dL/dtau and the error of the gradient, discrete and continuous adjoints and "
        "forward sensitivities",
        measure=undeclared_switch,
        leading="wrong",
        unit="smallest relative error where the switch is not declared",
        limits=_LIMITS,
        decide=all_of(
            "Not declared, |dL/dtau| is {largest_slope:.1e} at most, and the truth {truth:.4f}; "
            "the gradients are {wrong:.1e} off and more, those of a declared switch {right:.1e} "
            "and less.",
            wrong_where_it_is_not_declared=_wrong,
            right_where_it_is=_right,
        ),
        group="adjoints",
    ),
    Claim(
        key="R8",
        sentence="Where the equations switch at an event, the step that found it has gone over the "
        "switch: the state is right to the tolerance, and its gradient is not.",
        source="diffrax, issue 729",
        measured="an input that ends at an event, by diffrax with a root finder and begun again "
        "behind it, with the switch declared instead, and by an open method, which takes the step "
        "again up to the event",
        measure=kink_at_an_event,
        leading="wrong",
        unit="relative error of diffrax where the switch is an event",
        limits=_LIMITS,
        decide=all_of(
            "Diffrax's loss is {loss_error:.1e} off and its gradient {wrong:.1e}; declared "
            "{right:.1e}, and an open method {ours:.1e}.",
            wrong_at_the_event=_wrong,
            right_where_it_is_declared=_right,
            the_open_method_is_right=_ours_right,
        ),
        group="adjoints",
    ),
)
