"""One contract, every method: the right gradient, or a sentence that says what would do.

Every entry of the table of methods meets every problem of ``WITH_STOPS`` and ``SMOOTH``; a method
that is added later is here by itself. Methods on JAX, which compile for seconds a problem, meet
the rich ones; all the others in the long run (``make test-long``).
"""

import numpy as np
import pytest
from closed_form import Entry
from expected import EXPECTED
from smooth import SMOOTH
from with_stops import WITH_STOPS, switch

import adjointbench as ab
from adjointbench.adjoints.methods.method import Method

ENTRIES = {e.problem.name: e for e in (*WITH_STOPS, *SMOOTH)}
METHODS = {m.name: m for m in ab.methods()}

#: Errors allowed, in units of the relative tolerance. A tolerance is for one step; the sum of
#: their errors, interpolation, and rounding over the steps of a difference come on top.
#: By families; a method whose error is something else has a line with its name.
MULTIPLES = {"discrete": 100, "continuous": 150, "blackbox": 150, "peers": 400}

#: Parts of the gradient that are smaller than this share of the largest are held to it.
SMALL = 1e-2

#: Enough for all but who cannot.
MAX_STEPS, MAX_STIFF_STEPS = 4000, 400

#: Units of the loss in which a compiled gradient is taken again.
SCALES = (1e-30, 1e-12, 1e12, 1e30)


def pairs(*, short: bool):
    return [
        pytest.param(m, e, id=f"{m.name}-{e.problem.name}")
        for m in METHODS.values()
        for e in ENTRIES.values()
        if is_in_the_short_run(m, e) == short
    ]


def is_in_the_short_run(method: Method, entry: Entry) -> bool:
    """What does not compile, but a thousand saves; of what does, the rich problems."""
    if method.backend != "jax":
        return entry.problem.name != "1000_saves"
    return entry.rich and (entry.problem.name != "rates" or method.family == "peers")


@pytest.mark.parametrize(("method", "entry"), pairs(short=True))
def test_the_gradient_is_right_or_refused(method, entry):
    keeps_the_contract(method, entry)


@pytest.mark.long
@pytest.mark.parametrize(("method", "entry"), pairs(short=False))
def test_the_gradient_is_right_or_refused_problem_by_problem(method, entry):
    keeps_the_contract(method, entry)


#: The size of the steps of solvers that do not control their error, and the error that is left.
FIXED_STEPS = {"rk4": (0.02, 1e-5), "implicit_midpoint": (0.005, 1e-3), "euler": (0.001, 1e-1)}
IMPLICIT = ("rodas5p", "rodas4p", "kvaerno5", "auto")
#: In the short run on JAX: kinds of steps that the default solvers do not take.
COMPILED = [("kvaerno5", "stiff_with_stops"), ("auto", "rates_and_doses")]


def solvers(*, short: bool):
    """Every solver of the open methods on two problems; in the short run of a discrete one."""
    return [
        pytest.param(m, ENTRIES[problem], solver, id=f"{m.name}-{solver}-{problem}")
        for m in METHODS.values()
        if m.family != "peers" and "tsit5" in m.solvers
        for problem in ("rates_and_doses", "stiff_with_stops")
        for solver in m.solvers
        if problem == "rates_and_doses" or solver in IMPLICIT
        if is_solver_of_the_short_run(m, solver, problem) == short
    ]


def is_solver_of_the_short_run(method: Method, solver: str, problem: str) -> bool:
    if method.name == "jax-discrete":
        return (solver, problem) in COMPILED
    return method.name == "torch-discrete"


@pytest.mark.parametrize(("method", "entry", "solver"), solvers(short=True))
def test_every_solver_of_a_discrete_method(method, entry, solver):
    with_solver(method, entry, solver)


@pytest.mark.long
@pytest.mark.parametrize(("method", "entry", "solver"), solvers(short=False))
def test_every_solver_of_every_method(method, entry, solver):
    with_solver(method, entry, solver)


def with_solver(method: Method, entry: Entry, solver: str) -> None:
    if solver not in FIXED_STEPS:
        keeps_the_contract(method, entry, solver=solver)
        return
    first_step, allowed = FIXED_STEPS[solver]
    result = ab.gradient(entry.problem, method.name, solver=solver, first_step=first_step)
    assert result.status == "ok"
    errors = relative_errors(entry, result, 1.0)
    assert max(errors.values()) <= allowed, errors


def keeps_the_contract(method: Method, entry: Entry, **options) -> None:
    """Assert that `method` has the gradient of `entry`, in any unit of the loss, or refuses it."""
    tolerances = {"rtol": entry.rtol, "atol": 1e-3 * entry.rtol * entry.unit}
    options["max_steps"] = MAX_STIFF_STEPS if entry.problem.stiff else MAX_STEPS
    try:
        run = ab.prepare(entry.problem, method.name, **tolerances, **options)
    except ValueError as refusal:
        if may_refuse(method, entry) and names_a_remedy(str(refusal)):
            return
        raise
    told(method, entry, run(), 1.0)
    if "scale" in entry.problem.params and method.backend == "jax":
        for scale in SCALES:
            told(method, entry, run(params={"scale": scale}), scale)


def told(method: Method, entry: Entry, result: ab.GradientResult, scale: float) -> None:
    """Assert what the result of `method` has to say, or is known to say."""
    name = entry.problem.name if scale == 1.0 else f"{entry.problem.name} * {scale:g}"
    allowed = MULTIPLES.get(method.name, MULTIPLES[method.family]) * entry.rtol
    found = result.status
    if found == "ok":
        errors = relative_errors(entry, result, scale)
        found = {k: e for k, e in errors.items() if not e <= allowed} or "ok"
    whatever_the_unit = EXPECTED.get((method.name, entry.problem.name), ("ok", ""))
    expected, reason = EXPECTED.get((method.name, name), whatever_the_unit)
    if expected == "wrong":
        assert isinstance(found, dict), f"{name} is right now; take it from the table: {reason}"
    else:
        statuses = (expected,) if isinstance(expected, str) else expected
        met = found in statuses or (isinstance(found, dict) and "wrong" in statuses)
        assert met, f"{name}: {found} beyond {allowed:.1e}, or {result.message!r}"


def relative_errors(entry: Entry, result: ab.GradientResult, scale: float) -> dict[str, float]:
    """The relative error of the loss and of the gradient by each array."""
    loss, dparams, dy0 = entry.gradient()
    true = {**dparams, "y0": dy0}
    unit = {k: scale if k != "scale" else 1.0 for k in true}
    found = {**result.dparams, "y0": result.dy0}
    found = {k: v.astype(np.float64) / unit[k] for k, v in found.items()}
    size = {k: np.max(np.abs(v)) or 1.0 for k, v in {**entry.problem.params}.items()}
    size["y0"] = np.max(np.abs(entry.problem.y0)) or entry.unit
    share = {k: size[k] * np.linalg.norm(true[k]) for k in true}
    least = SMALL * max(share.values())
    errors = {k: size[k] * np.linalg.norm(found[k] - true[k]) / max(share[k], least) for k in true}
    return {"loss": abs(result.loss / scale - loss) / abs(loss), **errors}


def may_refuse(method: Method, entry: Entry) -> bool:
    """Peers may refuse what their library lacks, and whoever is explicit a stiff problem."""
    return method.family == "peers" or (entry.problem.stiff and not method.stiff)


def names_a_remedy(refusal: str) -> bool:
    return any(f"; {do} " in refusal for do in ("use", "pass", "measure"))


def test_the_formulas_are_derived_correctly():
    """The oracle itself, where the gradient is short enough to be written down."""
    loss, dparams, dy0 = switch().gradient()
    assert (loss, dparams["k"], dy0[0]) == pytest.approx((np.e**2, 4 * np.e**2, np.e**2))
