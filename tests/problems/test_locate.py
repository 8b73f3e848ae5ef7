"""Problems that are found in a file or a module by what stands on a command line."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from adjointbench.problems import load
from adjointbench.problems.locate import is_locator, place_of

DECAY = """
import numpy as np
from adjointbench import Problem

def make(rate=0.5) -> Problem:
    return Problem(
        name="decay",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array([rate])},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: (ys**2).sum(),
    )
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, forgotten by Python's import afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(path: Path, text: str = DECAY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


@pytest.mark.parametrize(
    ("text", "locator"),
    [
        ("van_der_pol", False),
        ("decay.py", True),
        ("a folder/decay.py:problem", True),
        ("decay:problem", True),
        ("package.decay:make", True),
    ],
)
def test_what_names_a_place_is_told_from_a_name(text: str, locator: bool) -> None:
    assert is_locator(text) == locator


def test_a_file_a_module_and_a_function_with_arguments(folder: Path) -> None:
    path = write(folder / "a folder" / "decay.py", DECAY + "problem = make()\n")
    write(folder / "own_decay.py")
    found = load(str(path))
    assert (found.name, found.settings) == ("decay", {})
    assert load(f"{path}:make", rate=2.0).params["k"] == 2.0
    assert load(f"{path}:make", rate=2.0).settings == {"rate": 2.0}
    assert load("own_decay:make").params["k"] == 0.5
    # A function that says that it returns a problem, where no problem stands in the file.
    assert load("own_decay.py").name == "decay"


def test_a_place_leads_there_from_any_folder(folder: Path, monkeypatch) -> None:
    write(folder / "decay.py")
    text = str(place_of("decay.py:make"))
    write(folder / "elsewhere" / "x.txt", "")
    monkeypatch.chdir(folder / "elsewhere")
    assert load(text).name == "decay"


def test_modules_beside_the_file_are_found_and_are_part_of_the_definition(folder: Path) -> None:
    write(folder / "rates_of_decay.py", "RATE = 0.5\n")
    text = DECAY.replace("import numpy", "from rates_of_decay import RATE\nimport numpy")
    path = write(folder / "decay.py", text.replace("t, y, p: -p", "t, y, p: -RATE * p"))
    code = f"from adjointbench.problems import load; print(load({str(path)!r}).definition_hash())"

    def hash_in_a_new_process() -> str:
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout

    first = hash_in_a_new_process()
    assert hash_in_a_new_process() == first
    write(folder / "rates_of_decay.py", "RATE = 1.0\n")
    assert hash_in_a_new_process() != first


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("decoy.py", "did you mean 'decay.py'"),
        ("decay.py:maek", "did you mean 'make'"),
        ("deccay:make", "did you mean 'decay'"),
        ("decay:Problem", "the class Problem"),
        ("decay:np", "of type module"),
        ("two.py", "2 problems stand in two.py; name one: two.py:first, two.py:second"),
        ("none.py", "no Problem stands in none.py"),
        ("syntax.py", "SyntaxError: invalid syntax (syntax.py, line 2)"),
        ("raises.py", "ZeroDivisionError: division by zero (raises.py, line 1)"),
        ("exits.py", "SystemExit: 3 (exits.py, line 2)"),
        ("lacks.py:make", "needs size; pass --set size=VALUE"),
        ("number.py:make", "returned of type int; it must return a Problem"),
        ("bad.py:make", "t_span"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder: Path, text: str, told: str, capfd) -> None:
    write(folder / "decay.py")
    write(folder / "two.py", DECAY + "first = make()\nsecond = make(1.0)\n")
    write(folder / "none.py", "def make(size): pass\n")
    write(folder / "lacks.py", "def make(size): pass\n")
    write(folder / "syntax.py", "x = 1\nx = = 2\n")
    write(folder / "raises.py", "1 / 0\n")
    write(folder / "exits.py", "import sys\nsys.exit(3)\n")
    write(folder / "number.py", "def make(): return 3\n")
    write(folder / "bad.py", DECAY.replace("(0.0, 2.0)", "(2.0, 0.0)"))
    with pytest.raises(ValueError, match=r".") as refusal:
        load(text)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_settings_go_to_functions_alone_and_their_names_are_checked(folder: Path) -> None:
    write(folder / "decay.py", DECAY + "problem = make()\n")
    with pytest.raises(ValueError, match="did you mean 'rate'"):
        load("decay.py:make", rat=1.0)
    with pytest.raises(ValueError, match="takes no settings"):
        load("decay.py:problem", rate=1.0)


def test_what_a_module_prints_does_not_reach_the_output(folder: Path, capfd) -> None:
    write(folder / "talks.py", "print('hello')\n" + DECAY)
    load("talks.py")
    assert capfd.readouterr() == ("", "hello\n")
