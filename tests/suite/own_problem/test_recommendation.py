"""From measured rows to a recommendation: on rows that were made up."""

import pytest
from synthetic import measured

from adjointbench.suite.own_problem.markdown import code, markdown
from adjointbench.suite.own_problem.recommendation import recommend

FETCH = "import adjointbench as ab\nfrom decay import problem"
BACKEND = {"jax": "jax", "torch": "torch", "scipy": "scipy", "finite": "scipy"}


def row(method, rtol, error=None, seconds=None, status="ok", **more):
    """A row whose error is the tolerance, if nothing else is said."""
    ok = status == "ok"
    return {
        "problem": "decay",
        "method": method,
        "family": "discrete",
        "backend": BACKEND[method.partition("-")[0]],
        "solver": "tsit5",
        "rtol": rtol,
        "atol": rtol * 1e-3,
        "status": status,
        "phase": None,
        "message": "",
        "referenced": True,
        "error": (rtol if error is None else error) if ok else None,
        "dy0_error": 2 * rtol if ok else None,
        "seconds": seconds if ok else None,
        "ratio": 4.0 if rtol == 1e-6 else None,
        "saved_bytes": 800 if ok else None,
        "first_call_s": 2.0 if rtol == 1e-6 else 0.1,
    } | more


def ladder(method, seconds, error=lambda rtol: rtol, **more):
    """A method that takes longer the tighter it is."""
    return [
        row(method, rtol, error(rtol), seconds * factor, **more)
        for rtol, factor in ((1e-3, 1.0), (1e-4, 2.0), (1e-6, 4.0))
    ]


def recommended(rows, error=1e-4, agreement=1e-10, **more):
    return recommend(measured(rows), error, problem="decay", agreement=agreement, **more)


def test_the_fastest_that_gets_there_at_equal_error():
    # At equal tolerance SciPy is faster; for the same error it needs a tighter one.
    rows = ladder("jax-discrete", 1e-3) + ladder("scipy-adjoint", 0.9e-3, lambda r: 90 * r)
    found = recommended(rows)
    assert found.best.method == "jax-discrete"
    assert (found.best.rtol, found.best.atol) == (1e-4, pytest.approx(1e-7))
    assert found.best.seconds == pytest.approx(2e-3)
    assert (found.best.ratio, found.best.saved_bytes, found.best.first_call_s) == (4.0, 800, 2.0)
    assert [c.method for c in found.others] == ["scipy-adjoint"]
    assert found.others[0].rtol == 1e-6
    # Between 1e-4 (error 9e-3) and 1e-6 (error 9e-5), close to the latter.
    assert 1.8e-3 < found.others[0].seconds < found.others[0].measured_seconds


def test_time_is_interpolated_and_tolerances_are_measured_ones():
    (best,) = [recommended(ladder("jax-discrete", 1e-3), error=1e-5).best]
    assert best.seconds == pytest.approx(2e-3 * 2**0.5)
    assert (best.rtol, best.error, best.measured_seconds) == (1e-6, 1e-6, 4e-3)


def test_the_best_of_each_backend_and_those_within_noise():
    rows = ladder("jax-discrete", 1.0) + ladder("jax-gauss", 1.1) + ladder("torch-tape", 9.0)
    rows += ladder("scipy-adjoint", 3.0) + ladder("torch-discrete", 8.0)
    found = recommended(rows)
    assert found.close == ("jax-gauss",)
    assert {k: c.method for k, c in found.by_backend.items()} == {
        "jax": "jax-discrete",
        "scipy": "scipy-adjoint",
        "torch": "torch-discrete",
    }


def test_what_breaks_what_is_wrong_and_who_is_too_slow():
    rows = ladder("jax-discrete", 1.0)
    rows += ladder("jax-backsolve", 0.1, lambda rtol: 5.0)
    rows += [row("scipy-adjoint", 1e-3, seconds=1.0)]
    rows += [
        row("scipy-adjoint", r, status="max_steps", phase="reverse", message="too many")
        for r in (1e-4, 1e-6)
    ]
    rows += [row("torch-tape", r, status="timeout", message="not done") for r in (1e-3, 1e-6)]
    rows += [
        row(m, r, status="skipped", message=f"method={m!r} cannot")
        for m in ("torch-discrete", "torch-backsolve")
        for r in (1e-3, 1e-6)
    ]
    found = recommended(rows, left=("finite-difference",))
    assert found.best.method == "jax-discrete"
    (broken,) = found.broken
    assert (broken.method, broken.status, broken.phase) == ("scipy-adjoint", "max_steps", "reverse")
    assert broken.rtols == (1e-4, 1e-6)
    (wrong,) = found.wrong
    assert (wrong.method, wrong.error, len(wrong.rtols)) == ("jax-backsolve", 5.0, 3)
    (slow,) = found.slow
    assert (slow.method, slow.rtols) == ("torch-tape", (1e-3, 1e-6))
    assert found.short == (("scipy-adjoint", 1e-3), ("jax-backsolve", 5.0))
    ((why, names),) = found.skipped
    assert names == ("torch-discrete", "torch-backsolve")
    text = markdown(found, FETCH)
    for told in (
        "scipy-adjoint: max_steps in the reverse pass, at rtol 1e-4, 1e-6: too many",
        "jax-backsolve: error 5, at rtol 1e-3 … 1e-6",
        "scipy-adjoint: error 1e-3 at best".replace("1e-3", "1.0e-3"),
        "torch-tape: at rtol 1e-3, 1e-6: not done",
        "finite-difference: the same command goes on with them",
        f"torch-discrete, torch-backsolve: {why}",
    ):
        assert told in text


def test_nobody_is_more_accurate_than_the_reference():
    rows = ladder("jax-discrete", 2.0) + ladder("scipy-adjoint", 1.0, lambda rtol: 3 * rtol)
    found = recommended(rows, error=1e-6, agreement=5e-4)
    # Both are within 5e-4 at 1e-4, which is all that can be told.
    assert found.aim == 5e-4
    assert found.best.method == "scipy-adjoint"
    assert "the reference is known to 5.0e-4 only" in markdown(found, FETCH)


def test_nobody_gets_there():
    found = recommended(ladder("jax-discrete", 1.0) + ladder("jax-gauss", 1.0), error=1e-9)
    assert found.best is None
    assert found.short == (("jax-discrete", 1e-6), ("jax-gauss", 1e-6))
    text = markdown(found, FETCH)
    assert "No method gets the gradient right to 1e-9" in text
    assert "The most accurate is jax-discrete" in text
    assert "```" not in text


def test_without_a_reference_the_accuracy_is_called_unknown():
    rows = [
        r | {"error": None, "referenced": False}
        for r in ladder("jax-discrete", 2.0) + ladder("scipy-adjoint", 1.0)
    ]
    found = recommended(rows, agreement=None)
    assert found.best.method == "scipy-adjoint"
    assert (found.best.rtol, found.best.error) == (1e-4, None)
    assert not found.short
    assert not found.wrong
    assert "is not known" in markdown(found, FETCH)


def test_nothing_at_all():
    found = recommended([row("jax-discrete", 1e-3, status="failed", message="x\ny")])
    assert found.best is None
    assert "No method gave a gradient" in markdown(found, FETCH)
    nothing = recommended([], left=("jax-discrete",))
    assert nothing.best is None
    slow = recommended([row("jax-discrete", 1e-3, status="timeout", message="not done")])
    for each in (nothing, slow):
        assert "give more with `--budget`" in markdown(each, FETCH)
        assert "mend" not in markdown(each, FETCH)


@pytest.mark.parametrize(
    ("method", "compiled", "device", "line"),
    [
        ("jax-discrete", None, "cpu", "'jax-discrete', rtol=1e-4, atol=1e-7)"),
        ("torch-discrete", None, "cpu", "'torch-discrete', rtol=1e-4"),
        ("torch-discrete", "yes", "cpu", "'torch-discrete', compile=True, rtol=1e-4"),
        ("torch-discrete(compile=False)", None, "cpu", "'torch-discrete', compile=False, rtol"),
        ("scipy-adjoint(solver=lsoda)", None, "cpu", "'scipy-adjoint', solver='lsoda', rtol"),
        ("jax-discrete", None, "cuda:1", "'jax-discrete', device='cuda:1', rtol"),
    ],
)
def test_the_line_of_code_is_the_one_that_was_measured(method, compiled, device, line):
    (best,) = [recommended(ladder(method, 1.0, compiled=compiled)).best]
    text = code(FETCH, best, device)
    assert f"result = ab.gradient(problem, {line}" in text
    compile(text, "text", "exec")


def test_the_engine_is_told_with_its_reason():
    rows = ladder("jax-discrete", 1e-3, engine="native")
    rows += ladder("torch-discrete", 1e-2, engine="torch (aten.sort has no counterpart in C here)")
    text = markdown(recommended(rows), FETCH)
    assert "| jax-discrete | native |" in text
    assert "| torch-discrete | torch |" in text
    assert "torch-discrete runs on torch (aten.sort has no counterpart in C here)." in text


def test_tolerances_lose_no_digits():
    (best,) = [recommended([row("jax-discrete", 2.5e-5, seconds=1.0)]).best]
    assert "rtol=2.5e-05, atol=2.5e-08" in code(FETCH, best)


def test_a_loss_that_is_not_a_number_is_what_is_to_be_mended():
    found = recommended([row("jax-discrete", 1e-3, status="nonfinite")], agreement=None)
    assert "look at `rhs` and `loss`" in markdown(found, FETCH)


def test_of_those_as_fast_the_sounder_one_is_recommended():
    rows = ladder("jax-backsolve", 1.0) + ladder("jax-gauss", 1.1) + ladder("jax-discrete", 1.15)
    assert recommended(rows).best.method == "jax-gauss"
    assert recommended(rows).close == ("jax-discrete",)
    rows += [row("jax-gauss", 1e-8, status="newton", message="x")]
    assert recommended(rows).best.method == "jax-discrete"


def test_what_can_be_wrong_in_silence_is_named_as_faster_and_not_recommended():
    back = ("jax-backsolve", "torch-backsolve-seminorm", "jax-odeint")
    rows = [r for method in back for r in ladder(method, 1.0)] + ladder("scipy-adjoint", 3.0)
    rows += ladder("torch-tape", 9.0)
    found = recommended(rows)
    assert found.best.method == "scipy-adjoint"
    assert {c.method for c in found.faster} == set(back)
    assert not found.close
    assert found.by_backend["torch"].method == "torch-tape"
    text = markdown(found, FETCH)
    assert "Faster, and not recommended: jax-backsolve (2 s)" in text
    assert "Next comes torch-tape" in text
    asked = recommended(rows, fastest=True)
    assert asked.best.method in back
    assert not asked.faster
    assert "or use scipy-adjoint" in markdown(asked, FETCH)
    alone = recommended(ladder("jax-backsolve", 1.0))
    assert alone.best.method == "jax-backsolve"
    assert "check it there" in markdown(alone, FETCH)


def told(estimate, status="ok"):
    return {"estimated_error": estimate, "error_reliable": True, "error_bar_status": status}


def test_what_calls_itself_inaccurate_is_not_recommended():
    lying = ladder("jax-discrete", 1e-4, **told(0.3, "inaccurate"))
    found = recommended(lying + ladder("scipy-adjoint", 1e-2))
    assert found.best.method == "scipy-adjoint"
    assert "jax-discrete" not in [c.method for c in found.others]
    assert recommended(lying, agreement=None).best is None


def test_without_a_reference_the_recommendation_rests_on_error_bars():
    rows = ladder("scipy-adjoint", 1e-4, lambda rtol: None) + [
        row("jax-discrete", rtol, seconds=2e-3 * factor, **told(30 * rtol))
        for rtol, factor in ((1e-3, 1.0), (1e-4, 2.0), (1e-6, 4.0))
    ]
    found = recommended(rows, agreement=None)
    assert (found.best.method, found.best.rtol) == ("jax-discrete", 1e-6)
    assert "own error bar says that the gradient is right to 1e-4: off by 3" in markdown(
        found, FETCH
    )
