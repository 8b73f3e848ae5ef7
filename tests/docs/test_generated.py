"""What the documents tell about the code is what the code says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT
from synthetic_trainings import RUNS, write_run


def generate(root: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(root / "docs" / "generate.py"), *options],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_generated_parts_are_up_to_date() -> None:
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The documents alone, to be changed."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("README.md", "CITATION.cff", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_what_is_missing_or_stale_is_told_and_mended(checkout: Path) -> None:
    methods, problems = (checkout / "docs" / name for name in ("methods.md", "problems.md"))
    methods.write_text(methods.read_text().replace(" jax-forward torch-forward -->", " -->"))
    problems.write_text(problems.read_text().replace("## `orego`", "## `oregano`"))
    done = generate(checkout, "--check")
    assert done.returncode == 1
    assert "must tell about jax-forward once" in done.stderr
    assert "docs/problems.md is not up to date: run make docs" in done.stderr
    assert "oregano" in problems.read_text()
    for seed, run in enumerate(RUNS["none"]):
        write_run(checkout / "results" / "none" / f"seed{seed}", "none", seed, *run)
    for seed, run in enumerate(RUNS["error"]):
        write_run(checkout / "results" / "error" / f"seed{seed}", "error", seed, *run)
    generate(checkout)
    trained = (checkout / "docs" / "regularisation.md").read_text()
    assert "| 0.60 [0.50, 0.70] (0.84) |" in trained
    assert "| holds: 0.60 [0.50, 0.70] |" in trained
    assert problems.read_text() == (ROOT / "docs" / "problems.md").read_text()
