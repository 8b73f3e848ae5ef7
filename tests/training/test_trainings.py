"""Ratios of trainings from made-up runs whose ratios are known."""

import json
import math

import pandas as pd
import pytest
from synthetic_trainings import RUNS, write_run

from adjointbench.reports import build_report
from adjointbench.reports.sections.training import findings
from adjointbench.suite.claims.claim import HOLDS
from adjointbench.suite.claims.table import claim_of
from adjointbench.suite.claims.training_figures import Trainings, figures_of
from adjointbench.training.equal_loss import equal_loss
from adjointbench.training.ratios import families_of, ratios, read_trainings, summary_of


@pytest.fixture
def folder(tmp_path):
    for regularizer, runs in RUNS.items():
        for seed, run in enumerate(runs):
            write_run(tmp_path / "runs" / regularizer / f"seed{seed}", regularizer, seed, *run)
    return tmp_path / "runs"


def test_ratios_are_to_the_same_seed(folder):
    found = ratios(read_trainings([folder], []))
    error = found[found["regularizer"].eq("error")].set_index("seed")
    assert error["train_seconds ratio"].tolist() == pytest.approx([0.5, 0.7])
    assert error["nfe ratio"].tolist() == pytest.approx([0.5, 0.5])
    assert error["work ratio"].tolist() == pytest.approx([0.5, 0.5])
    assert error["points"].tolist() == pytest.approx([-1.0, 0.0])


@pytest.mark.parametrize("elsewhere", ["other", "box, other"])
def test_times_of_another_machine_are_not_compared_and_all_else_is(folder, elsewhere, tmp_path):
    file = folder / "error" / "seed1" / "settings.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"made_with": {"machine": elsewhere}})
    )
    epochs = read_trainings([folder], [])
    found = ratios(epochs)
    error = found[found["regularizer"].eq("error")].set_index("seed")
    for name in ("train_seconds ratio", "predict_seconds ratio", "equal_loss_seconds ratio"):
        assert math.isnan(error.loc[1, name])
        assert error.loc[0, name] > 0
    assert error["nfe ratio"].tolist() == pytest.approx([0.5, 0.5])
    assert error["equal_loss_work ratio"].notna().all()
    build_report([folder], tmp_path / "out", say=pytest.fail)
    page = (tmp_path / "out" / "report.md").read_text()
    assert "Trained on box, other; times are compared within one machine." in page


def test_a_run_that_broke_down_counts_as_that_and_not_in_the_ratios(folder):
    lines = summary_of(read_trainings([folder], [])).set_index("regularizer")
    assert lines.loc["taylor", "broke"] == 1
    assert lines.loc["taylor", "train_seconds ratio"] == pytest.approx(4.0)
    assert lines.loc["error", "train_seconds ratio"] == pytest.approx(0.6)
    assert lines.loc["error", "train_seconds ratio low"] == pytest.approx(0.5)
    assert lines.loc["error", "train_seconds ratio high"] == pytest.approx(0.7)


def test_a_run_with_epochs_to_go_is_in_no_ratio(folder):
    file = folder / "error" / "seed1" / "epochs.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    epochs = read_trainings([folder], [])
    found = ratios(epochs)
    mine = found[found["regularizer"].eq("error") & found["seed"].eq(1)]
    assert mine["status"].tolist() == ["unfinished"]
    assert mine["train_seconds ratio"].isna().all()
    assert summary_of(epochs).set_index("regularizer").loc["error", "broke"] == 0


def test_cheaper_for_the_same_epochs_may_be_dearer_to_the_same_loss():
    plain = pd.DataFrame(
        {
            "train_loss": [4.0, 1.0, 0.5, 0.25],
            "train_seconds": [0.0, 10.0, 20.0, 30.0],
            "forward_evals": [None, 100.0, 100.0, 200.0],
        }
    )
    cheap = plain.assign(
        train_loss=[4.0, 3.0, 2.0, 1.0],
        train_seconds=[0.0, 5.0, 10.0, 15.0],
        forward_evals=[None, 50.0, 50.0, 50.0],
    )
    found = equal_loss(cheap, plain)
    # 15 s to the loss that the other had after 10; half way, at 2, 10 s against 2/3 of 10.
    assert (found["equal_loss"], found["halfway"]) == (1.0, 2.0)
    assert found["equal_loss_seconds ratio"] == pytest.approx(1.5)
    assert found["equal_loss_work ratio"] == pytest.approx(1.5)
    assert found["halfway_seconds ratio"] == pytest.approx(10.0 / (10.0 * 2 / 3))
    learnt_nothing = equal_loss(cheap.assign(train_loss=[4.0, 4.0, 4.1, 4.2]), plain)
    assert math.isnan(learnt_nothing["equal_loss_seconds ratio"])


def test_a_run_of_fewer_epochs_is_compared_with_as_many(folder):
    file = folder / "taylor" / "seed0" / "epochs.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    settings = json.loads((file.parent / "settings.json").read_text())
    (file.parent / "settings.json").write_text(json.dumps({**settings, "epochs": 1}))
    found = ratios(read_trainings([folder], [])).set_index("run").loc[str(file.parent)]
    assert found["train_seconds ratio"] == pytest.approx(20.0 / 5.0)
    assert found["work ratio"] == pytest.approx(0.8)


def test_nothing_is_said_of_a_training_that_learnt_nothing(folder):
    epochs = read_trainings([folder], [])
    error = epochs["regularizer"].eq("error")
    stuck = Trainings(epochs.assign(train_loss=epochs["train_loss"].where(~error, 2.5)))
    assert "no smaller than that before" in claim_of("11").judge(figures_of("11", stuck)).sentence
    assert claim_of("11").judge(figures_of("11", Trainings(epochs))).word == HOLDS


def test_runs_at_another_tolerance_are_another_task(folder):
    for file in (folder / "taylor").rglob("settings.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "rtol": 1e-3}))
    found = ratios(read_trainings([folder], []))
    assert set(found["task"]) == {"digits rtol=1e-06", "digits rtol=0.001"}
    assert found[found["regularizer"].eq("taylor")]["train_seconds ratio"].isna().all()


def test_findings_are_computed(folder):
    said = " ".join(findings(summary_of(read_trainings([folder], []))))
    assert "Training with error takes 0.60 of the time of training without, at -0.5 points" in said
    # 40 s, as the other seed broke down, over 9.5 s, the median over the seeds.
    assert "and is 4.2 times as fast as with taylor" in said


def test_seconds_of_fewer_epochs_are_not_set_beside_those_of_more(folder):
    for file in (folder / "taylor").rglob("settings.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "epochs": 1}))
    said = " ".join(findings(summary_of(read_trainings([folder], []))))
    assert "Training with error takes 0.60" in said
    assert "with taylor" not in said


def test_the_report_shows_ratios_beside_the_published_ones(folder, tmp_path):
    page = build_report([folder], tmp_path / "report", say=lambda trouble: None)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| 0.60 [0.50, 0.70] (0.84) |" in text
    assert "holds: 0.60 [0.50, 0.70]" in text
    verdicts = pd.read_csv(tmp_path / "report" / "training_claims.csv", dtype={"number": str})
    words = verdicts.set_index("number")["verdict"]
    assert words[["10", "11", "12", "13"]].tolist() == [
        "holds",
        "holds",
        "holds in part",
        "holds in part",
    ]
    assert "What each seed did" in text
    assert 'id="training"' in page.read_text()
    assert (tmp_path / "report" / "training_ratios.csv").is_file()
    assert (tmp_path / "report" / "figures" / "training-digits-jax-discrete.svg").is_file()


def test_methods_are_set_beside_each_other(folder):
    for file in (folder / "taylor").rglob("settings.json"):
        settings = json.loads(file.read_text())
        file.write_text(json.dumps({**settings, "method": "jax-backsolve", "regularizer": None}))
    found = families_of(read_trainings([folder], [])).set_index("method")
    assert found.loc["jax-backsolve", "broke"] == 1
    assert found.loc["jax-discrete", "broke"] == 0
    assert found.loc["jax-discrete", "test_accuracy"] == pytest.approx(0.94)
    assert found["first_error"].tolist() == pytest.approx([1e-3, 1e-3])
    assert found["gradient_error"].tolist() == pytest.approx([2e-3, 2e-3])  # the last that was due
    assert found["step_seconds"].tolist() == pytest.approx([0.025, 0.0075])


def test_runs_that_have_only_begun_are_drawn(folder, tmp_path):
    for file in folder.rglob("epochs.csv"):
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    build_report([folder], tmp_path / "report", say=lambda trouble: None)
    assert "unfinished" in (tmp_path / "report" / "report.md").read_text()


def test_a_broken_run_is_told_and_the_others_are_shown(folder):
    (folder / "none" / "seed0" / "settings.json").write_text("{")
    troubles = []
    found = read_trainings([folder], troubles)
    assert len(troubles) == 1
    assert "cannot be read" in troubles[0]
    assert found["run"].nunique() == 5
