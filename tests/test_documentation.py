"""What README and CONTRIBUTING show is run, word for word."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import adjointbench as ab

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def blocks(document: str, language: str) -> list[tuple[str, str]]:
    """(what stands after the language, code) of the fenced blocks of a document."""
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}[ ]*(.*?)\n(.*?)^```$", text, re.M | re.S)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every line of every console block, without its comment and its environment variables."""
    for document in DOCUMENTS:
        for _, block in blocks(document, "console"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                yield document, [word for word in words if not re.match(r"[A-Z_]+=", word)]


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_python_of_the_readme_runs(number: int) -> None:
    _, code = blocks("README.md", "python")[number]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_readme_tells_the_closed_form_of_its_own_problem() -> None:
    (code,) = [code for _, code in blocks("README.md", "python") if "ab.Problem(" in code]
    names: dict = {}
    exec(code.partition("for method in")[0], names)
    result = ab.gradient(names["decay"], "scipy-adjoint", rtol=1e-9, atol=1e-12)
    told = float(re.search(r"-4 exp\(-2\) = (-[\d.]+)\.\.\.", code)[1])
    np.testing.assert_allclose(result.dparams["k"], -4 * np.exp(-2), rtol=1e-7)
    assert told == pytest.approx(-4 * np.exp(-2), abs=1e-4)


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
            if link.startswith("https://"):
                continue
            file, _, anchor = link.partition("#")
            assert (ROOT / file).exists(), (document, link)
            assert not anchor or anchor in anchors(file), (document, link)


def anchors(document: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.M)
    return {heading.lower().replace(" ", "-") for heading in headings}


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {words[1] for _, words in commands() if words[:1] == ["make"]}
    assert targets >= {"bench", "test"}
    for target in targets:
        assert re.search(rf"^{target}[ :].*:|^{target}:", makefile, re.M), target


def test_commands_exist() -> None:
    shown = {words[1] for _, words in commands() if words[:1] == ["adjointbench"]}
    assert shown >= {"problems", "methods", "gradient", "report", "certify"}
    for name in shown:
        subprocess.run([sys.executable, "-m", "adjointbench", name, "--help"], check=True)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, laid out as it is installed, with the files of the examples in it."""
    folder = tmp_path_factory.mktemp("site") / "adjointbench"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "adjointbench", folder, ignore=ignored)
    for name in ("problems", "adjoints", "reports"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name, code in blocks("CONTRIBUTING.md", "python"):
        if not (folder / name).exists():
            (folder / name).write_text(code)
    return folder


def in_the_copy(package: Path, code: str) -> dict:
    """What `code` prints as JSON, run with the copied package."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_example_of_a_problem(package: Path) -> None:
    found = in_the_copy(
        package,
        "import json, adjointbench as ab\n"
        "problem = ab.problems.get('logistic')\n"
        "result = ab.gradient(problem, 'scipy-adjoint', rtol=1e-10, atol=1e-12)\n"
        "print(json.dumps({'names': ab.problems.names(tag='closed-form'), 'file': ab.__file__,\n"
        "    'gradient': [result.loss, result.dparams['r'][0], result.dparams['capacity'][0],\n"
        "        result.dy0[0]]}))",
    )
    assert found["file"].startswith(str(package))
    assert "logistic" in found["names"]
    expected = closed_form(r=1.5, capacity=3.0, y0=0.5, t=2.0)
    np.testing.assert_allclose(found["gradient"], expected, rtol=1e-7)


def closed_form(r: float, capacity: float, y0: float, t: float) -> tuple[float, ...]:
    """Of y(t) = K / (1 + (K/y0 - 1) exp(-r t)): the value, and its derivatives to r, K and y0."""
    decay = np.exp(-r * t)
    below = 1 + (capacity / y0 - 1) * decay
    value = capacity / below
    dr = capacity / below**2 * (capacity / y0 - 1) * decay * t
    return value, dr, 1 / below - capacity / below**2 * decay / y0, (value / y0) ** 2 * decay


def test_example_of_a_method(package: Path) -> None:
    (entry,) = [code for name, code in blocks("CONTRIBUTING.md", "python") if "methods.py" in name]
    found = in_the_copy(
        package,
        "import json, adjointbench as ab\n"
        "from adjointbench.adjoints import method, methods\n"
        f"methods.METHODS += (eval({entry!r}, vars(method).copy()),)\n"
        "problem = ab.problems.get('lotka_volterra')\n"
        "run = ab.prepare(problem, 'one-sided-difference', rtol=1e-10, atol=1e-12)\n"
        "result, (loss, dparams, dy0) = run(), run.compiled(problem.params, problem.y0)\n"
        "stopped = ab.gradient(problem, 'one-sided-difference', max_steps=3)\n"
        "print(json.dumps({'p': list(result.dparams['p']), 'y0': list(result.dy0),\n"
        "    'compiled': [loss, *dparams['p'], *dy0], 'loss': result.loss,\n"
        "    'stopped': stopped.status,\n"
        "    'listed': [m.name for m in ab.methods(family='blackbox', stiff=True)]}))",
    )
    # Truncation and noise balance at the square root of the tolerance, 1e-5, times a few.
    published = np.array([-4.09621299, -0.50940881, -1.14583489, -1.80432787])
    error = np.abs(np.array(found["p"]) - published) / np.abs(published)
    assert 1e-7 < error.max() < 1e-2
    assert found["compiled"] == [found["loss"], *found["p"], *found["y0"]]
    assert found["stopped"] == "failed"
    assert "one-sided-difference" in found["listed"]
