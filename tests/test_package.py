"""The installed package: what it offers, what importing it costs, and how its parts depend."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import adjointbench as ab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOUNTED = {"adjointbench": "adjointbench"} | PROJECT["tool"]["setuptools"]["package-dir"]

FOLDERS = ("problems", "adjoints", "training", "suite", "reports", "adjointbench")
HEAVY = ("jax", "jaxlib", "torch", "scipy", "pandas", "matplotlib", "typer", "rich")


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def python_files(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    return [file for file in files if "benchmarks" not in file.parts]


def package_of(folder: str) -> str:
    return "adjointbench" if folder == "adjointbench" else f"adjointbench.{folder}"


def test_public_names() -> None:
    expected = {
        "Event", "GradientResult", "Problem", "Regularizer", "gradient", "methods", "prepare",
        "problems", "__version__",
    }  # fmt: skip
    assert set(ab.__all__) == expected
    assert all(hasattr(ab, name) for name in expected)


def test_importing_and_looking_around_loads_no_framework() -> None:
    loaded = in_a_new_process(
        "import sys, adjointbench as ab\n"
        "[ab.problems.get(name) for name in ab.problems.names()]\n"
        "ab.methods()\n"
        "print(*sorted({module.partition('.')[0] for module in sys.modules}))"
    ).split()
    assert not set(HEAVY) & set(loaded)


def test_importing_takes_well_under_a_second_of_processor_time() -> None:
    seconds = in_a_new_process(
        "import time, numpy; start = time.process_time(); import adjointbench\n"
        "print(time.process_time() - start)"
    )
    assert float(seconds) < 0.5


def test_a_checkout_that_is_not_installed_can_be_imported_where_it_lies() -> None:
    """Without the finder of an editable installation, as after ``pip install .`` in its root."""
    code = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'ditable' not in repr(f)]\n"
    code += "import adjointbench as ab; print(ab.problems.get('linear'), ab.methods()[0].name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("Problem('linear'"), done.stderr


def test_one_version_everywhere() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text()
    citation = (ROOT / "CITATION.cff").read_text()
    assert ab.__version__ == version("adjointbench") == PROJECT["project"]["version"]
    assert re.findall(r"^## \[(\d\S*)\]", changes, re.M)[0] == ab.__version__
    assert re.findall(r"^version: (\S+)", citation, re.M) == [ab.__version__]


def test_every_folder_with_modules_is_in_the_wheel() -> None:
    found = {
        ".".join([package_of(folder), *init.parent.relative_to(ROOT / folder).parts])
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
        if init.parent.name != "benchmarks"
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_data_file_is_in_the_wheel() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packed = {
        file
        for package, globs in patterns.items()
        for pattern in globs
        for file in (ROOT / MOUNTED[package]).glob(pattern)
    }
    present = {
        file
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert packed == present


def test_pins_lie_in_the_ranges() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    pins = {canonicalize_name(name): Version(pin) for name, pin in pairs}
    extras = PROJECT["project"]["optional-dependencies"].values()
    texts = [*PROJECT["project"]["dependencies"], *(text for extra in extras for text in extra)]
    for requirement in map(Requirement, texts):
        if requirement.name != "adjointbench":
            pin = pins[canonicalize_name(requirement.name)]
            assert pin in requirement.specifier, requirement


def public_functions(folder: str) -> list[tuple[str, ast.FunctionDef]]:
    """The public functions and methods at the top of the modules of a folder."""
    found = []
    for file in python_files(folder):
        module = ast.parse(file.read_text())
        classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
        for body in [module.body, *(node.body for node in classes if node.name[0] != "_")]:
            for node in body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    found.append((f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_public_signatures_have_types(folder: str) -> None:
    for where, node in public_functions(folder):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        assert not bare, f"{where}: {bare}"
        assert node.returns is not None, f"{where}: what does it return?"


def test_methods_that_are_in_the_table_can_be_imported() -> None:
    pytest.importorskip("jax")
    for method in ab.methods():
        module, function = method.target.split(":")
        found = getattr(importlib.import_module(f"adjointbench.adjoints.{module}"), function)
        assert list(inspect.signature(found).parameters)[:2] == ["problem", "settings"], method.name


def test_the_command_line_names_the_extra_that_it_needs() -> None:
    code = "import sys; sys.modules['typer'] = None; sys.argv = ['adjointbench']\n"
    code += "from adjointbench.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "adjointbench: the command line needs typer; run pip install -c constraints.txt '.[bench]' "
        "in the checkout of adjointbench"
    ]


def test_run_as_module_and_as_command_are_the_same() -> None:
    command = Path(sys.executable).with_name("adjointbench")
    module = [sys.executable, "-m", "adjointbench"]
    outputs = [
        subprocess.run([*start, "methods", "--json"], capture_output=True, text=True, check=True)
        for start in ([str(command)], module)
    ]
    assert outputs[0].stdout == outputs[1].stdout
    assert [row["name"] for row in json.loads(outputs[0].stdout)] == [m.name for m in ab.methods()]


def test_what_is_slow_is_there() -> None:
    """A file of tests that is renamed does not come back into ``make test-fast`` by itself."""
    tests = list((ROOT / "tests").rglob("*"))
    names = {path.stem if path.suffix == ".py" else path.name for path in tests}
    conftest = ast.parse((ROOT / "tests" / "conftest.py").read_text())
    assigned = {n.targets[0].id: n.value for n in conftest.body if isinstance(n, ast.Assign)}
    slow = ast.literal_eval(assigned["SLOW"])
    assert slow <= names, slow - names
