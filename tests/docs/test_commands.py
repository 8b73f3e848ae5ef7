"""Every command of the documents exists and takes the options shown; the cheap ones are run."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from asv.commands import make_argparser
from documents import DOCUMENTS, ROOT, blocks, commands, write_files
from typer.main import get_command

from adjointbench.command_line import app

LINES = sorted({(document, shlex.join(words)) for document, words in commands()})

#: Commands that answer soon, by how they begin: all that are shown like this are run.
CHEAP = (
    "adjointbench problems",
    "adjointbench methods",
    "adjointbench claims --number 6",
    "adjointbench compare my_model.py --methods",
)


def check_adjointbench(words: list[str]) -> None:
    """Parse the arguments as the command does, without calling it."""
    name, *rest = words
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, rest)


def check_asv(words: list[str]) -> None:
    parser, _ = make_argparser()
    parser.parse_args(words)


def check_make(words: list[str]) -> None:
    """Ask make what it would do."""
    subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)


def check_pip(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[:3] == ["install", "-c", "constraints.txt"]
    (extras,) = re.findall(r"\[(.*)\]", words[3])
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def check_python(words: list[str]) -> None:
    flag, *rest = words
    if flag == "-m":
        assert importlib.util.find_spec(rest[0])
    else:
        assert (ROOT / flag).is_file()


def check_script(words: list[str]) -> None:
    assert not words


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "adjointbench": check_adjointbench,
    "asv": check_asv,
    "make": check_make,
    "pip": check_pip,
    ".venv/bin/python": check_python,
    ".ci/run": check_script,
}


@pytest.mark.parametrize(("document", "line"), LINES)
def test_command_exists_and_takes_its_options(document: str, line: str) -> None:
    program, *words = shlex.split(line)
    CHECKS[program](words)


def test_checks_can_fail() -> None:
    with pytest.raises(SystemExit):
        check_asv(["run", "--no-such-option"])
    with pytest.raises(subprocess.CalledProcessError):
        check_make(["no-such-target"])
    with pytest.raises(Exception, match="No such option"):
        check_adjointbench(["gradient", "orego", "--no-such-option"])


def test_scripts_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(("document", "line"), [x for x in LINES if x[1].startswith(CHEAP)])
def test_cheap_command_runs(document: str, line: str, tmp_path: Path) -> None:
    if document != "CONTRIBUTING.md":
        write_files(document, tmp_path)
    arguments = shlex.split(line)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "adjointbench", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5


def test_every_cheap_command_is_shown() -> None:
    assert all(any(line.startswith(cheap) for _, line in LINES) for cheap in CHEAP)


def test_environment_variables_are_read_somewhere() -> None:
    shown = {
        name
        for document in DOCUMENTS
        for block in blocks(document, "console")
        for name in re.findall(r"\b(ADJOINTBENCH_\w+)=", block.code)
    }
    sources = "".join(
        file.read_text()
        for folder in ("suite", "adjoints")
        for file in (ROOT / folder).rglob("*.py")
    )
    assert shown
    assert all(name in sources for name in shown)
