"""Every Python block of the documents runs, word for word."""

import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documents import DOCUMENTS, ROOT, blocks, write_files

import adjointbench as ab

#: The blocks of CONTRIBUTING.md are files: see test_contributing.py.
WITH_CODE = [d for d in DOCUMENTS if d != "CONTRIBUTING.md" and blocks(d, "python")]


#: Processes that have imported these already are copies of one that has done nothing else.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["jax", "torch", "adjointbench"])


@pytest.mark.parametrize("document", WITH_CODE)
def test_python_runs(document: str, tmp_path: Path) -> None:
    """Each block with names of its own, all of a document in one process."""
    write_files(document, tmp_path)
    told = tmp_path / "told.txt"
    done = PROCESSES.Process(target=run_blocks, args=(document, tmp_path, told))
    done.start()
    done.join(300)
    done.kill()
    assert done.exitcode == 0, told.read_text()


def run_blocks(document: str, folder: Path, told: Path) -> None:
    """Run the Python blocks of a document in a folder; what is printed goes into a file."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    with told.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for block in blocks(document, "python"):
        program = "\n" * (block.line - 1) + block.code
        exec(compile(program, document, "exec"), {})


def test_python_is_formatted(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        for block in blocks(document, "python"):
            name = f"{Path(document).stem}_{block.line}.py"
            (tmp_path / name).write_text(block.code)
    config = f"--config={ROOT / 'pyproject.toml'}"
    ruff = [sys.executable, "-m", "ruff", "format", "--check", config, str(tmp_path)]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_readme_tells_the_closed_form_of_its_own_problem() -> None:
    (code,) = [b.code for b in blocks("README.md", "python") if "ab.Problem(" in b.code]
    names: dict = {}
    exec(code.partition("for method in")[0], names)
    result = ab.gradient(names["decay"], "scipy-adjoint", rtol=1e-9, atol=1e-12)
    told = re.search(r"-4 exp\(-2\) = (-[\d.]+)\.\.\.", code)
    assert told is not None
    np.testing.assert_allclose(result.dparams["k"], -4 * np.exp(-2), rtol=1e-7)
    assert float(told[1]) == pytest.approx(-4 * np.exp(-2), abs=1e-4)
