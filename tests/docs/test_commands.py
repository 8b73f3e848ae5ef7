"""Every command of the documents exists and takes the options shown; the cheap ones are run."""

import importlib.util
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from asv.commands import make_argparser
from documents import DOCUMENTS, ROOT, blocks, commands
from typer.main import get_command
from typer.testing import CliRunner

from adjointbench.command_line import app

LINES = sorted({(document, shlex.join(words)) for document, words in commands()})

#: Commands that answer at once, wherever they are shown.
CHEAP = ("adjointbench problems", "adjointbench methods", "adjointbench train #")


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
    flag, module, *_ = words
    assert flag == "-m"
    assert importlib.util.find_spec(module)


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


def test_cheap_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = [line for _, line in LINES if f"{line} #".startswith(CHEAP)]
    assert len(run) >= 2
    for line in run:
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output)


def test_environment_variables_are_read_somewhere() -> None:
    shown = {
        name
        for document in DOCUMENTS
        for block in blocks(document, "console")
        for name in re.findall(r"\b(ADJOINTBENCH_\w+)=", block.code)
    }
    sources = "".join(
        file.read_text()
        for folder in ("reports", "adjoints")
        for file in (ROOT / folder).rglob("*.py")
    )
    assert shown
    assert all(name in sources for name in shown)
