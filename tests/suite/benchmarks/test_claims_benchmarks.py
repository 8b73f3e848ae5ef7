"""The benchmarks of claims and of the quick trainings, on rows made up here."""

from dataclasses import replace

import pytest

from adjointbench.suite.claims.table import claim_of
from adjointbench.suite.measuring.row import ClaimRow


def row(key, figures, **changes):
    """A row of a claim, with figures."""
    about = {"number": key, "status": "ok", "figures": figures} | changes
    return ClaimRow(problem=claim_of(key).name, **about)


def test_each_claim_has_a_benchmark_of_its_own(suite):
    classes = [name for name in vars(suite("claims")) if name.startswith(("Claim", "RedFlag"))]
    assert sorted(c for c in classes if c[-1].isdigit()) == sorted(
        [f"Claim{number:02d}" for number in range(1, 30)] + [f"RedFlag{n}" for n in range(1, 9)]
    )
    assert suite("claims").Claim11.claim.key == "11"
    assert suite("claims").Claim11.unit == "of the training time without"


def test_claims_that_share_a_measurement_may_take_the_time_of_all(suite):
    assert suite("claims").Claim11.timeout == suite("claims").Claim10.timeout > 1200
    assert suite("claims").Claim05.timeout == 300


def test_the_figure_is_the_leading_one_and_finite(suite, keep):
    figures = {"11": {"ratio": 0.8}, "12": {"ratio": 1e300}, "4": {"reverse_raises": 1.0}}
    file = keep(*(row(key, told) for key, told in figures.items()))
    values = []
    for name in ("Claim11", "Claim12", "Claim04"):
        benchmark = getattr(suite("claims"), name)()
        benchmark.setup(file)
        values.append(benchmark.track_figure(file))
    assert values == [0.8, 1e12, 1.0]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (row("23", {"not_measured": "no GPU"}), "no GPU"),
        (row("23", {}, status="timeout", message="not done"), "timeout: not done"),
        (row("23", {"slowdown": None}), "no figure"),
    ],
)
def test_what_is_not_measured_is_skipped_with_the_reason(suite, keep, told, reason):
    with pytest.raises(NotImplementedError, match=reason):
        suite("claims").Claim23().setup(keep(told))


def test_a_claim_that_was_not_asked_for_is_not_measured(suite, keep, monkeypatch):
    claims = suite("claims")
    monkeypatch.setattr(claims, "CHOSEN", replace(claims.CHOSEN, claims=("5",)))
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_CLAIMS"):
        claims.Claim04().setup(keep())


def test_quick_trainings_are_those_of_the_claims(suite, keep):
    epochs = [
        {
            "regularizer": name,
            "seed": seed,
            "epoch": epoch,
            "status": "ok",
            "nfe": 10 * epoch + seed,
        }
        for name in ("none", "error")
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    benchmark = suite("training")._OfClaims()
    benchmark.setup(keep(row("10", {"lines": epochs})), "jax", "error")
    assert [epoch["nfe"] for epoch in benchmark.rows] == [0, 10, 20]
    assert benchmark.plain["regularizer"] == "none"


def test_whole_trainings_are_done_once(suite, keep, monkeypatch):
    trained = []

    def train(task, *, regularizer, backend, epochs):
        trained.append(regularizer)
        rows = [{"epoch": n, "status": "ok", "train_seconds": n + len(regularizer)} for n in (0, 1)]
        return type("Training", (), {"rows": rows})

    monkeypatch.setattr("adjointbench.training.train", train)
    training = suite("training")
    for regularizer in ("none", "error", "error"):
        benchmark = type("_Whole", (training._OfItsOwn, training.Training), {})()
        benchmark.setup(keep(), "torch", regularizer)
        ratio = benchmark.track_train_time_over_none(None, "torch", regularizer)
        assert ratio == (1 + len(regularizer)) / 5
    assert trained == ["none", "error"]
