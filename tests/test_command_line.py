"""The command line: what it prints, how it refuses, and with which exit code it ends."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import adjointbench as ab
from adjointbench.command_line import app

COMMANDS = (
    *("problems", "methods", "gradient", "compare", "certify", "bench", "train", "claims"),
    *("merge", "report"),
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("adjointbench: ")
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"adjointbench {command}" in result.output


def test_version() -> None:
    assert run("--version").output == f"adjointbench {ab.__version__}\n"


def test_problems_as_json_are_the_zoo() -> None:
    rows = json.loads(run("problems", "--json").stdout)
    assert tuple(row["name"] for row in rows) == ab.problems.names()
    for row in rows:
        problem = ab.problems.get(row["name"])
        assert (row["states"], row["parameters"]) == (problem.n_states, problem.n_params)
        assert row["certified"] == (problem.reference is not None)


def test_problems_as_a_table_has_every_name() -> None:
    output = run("problems").output
    assert all(name in output for name in ab.problems.names())


def test_problems_can_be_narrowed() -> None:
    stiff = json.loads(run("problems", "--stiff", "--json").stdout)
    neural = json.loads(run("problems", "--tag", "neural", "--json").stdout)
    assert tuple(row["name"] for row in stiff) == ab.problems.names(stiff=True)
    assert tuple(row["name"] for row in neural) == ab.problems.names(tag="neural")


def test_methods_can_be_narrowed() -> None:
    rows = json.loads(run("methods", "--family", "continuous", "--backend", "jax", "--json").stdout)
    expected = ab.methods(family="continuous", backend="jax")
    assert [row["name"] for row in rows] == [method.name for method in expected]
    assert all(row["cost"] and row["solvers"] for row in rows)
    table = run("methods", "--family", "continuous").output
    assert all(method.name in table for method in ab.methods(family="continuous"))


def test_gradient_of_lotka_volterra() -> None:
    result = run(
        "gradient", "lotka_volterra", "--method", "scipy-forward", "--rtol", "1e-10",
        "--atol", "1e-12", "--json",
    )  # fmt: skip
    record = json.loads(result.stdout)
    assert result.exit_code == 0
    # From SciPy's DOP853 on the forward sensitivity equations, rtol 1e-11.
    published = [-4.09621299, -0.50940881, -1.14583489, -1.80432787]
    np.testing.assert_allclose(record["dparams"]["p"], published, rtol=1e-7)
    assert record["verdict"] == "right"
    assert record["errors"]["error"] < 1e-7
    assert record["stats"]["steps"] > 10
    assert record["times"]["seconds"] > 0
    assert record["times"]["first_call_s"] > 0


def test_gradient_takes_settings_of_the_problem() -> None:
    arguments = ("gradient", "lotka_volterra", "--method", "scipy-forward", "--json")
    result = run(*arguments, "--set", "t_end=2.5", "--set", "loss=squared_distance")
    record = json.loads(result.stdout)
    assert record["settings"] == {"t_end": 2.5, "loss": "squared_distance"}
    assert record["verdict"] == "not certified"
    assert result.exit_code == 0


def test_gradient_as_text_shows_both_gradients() -> None:
    output = run("gradient", "lotka_volterra", "--method", "scipy-forward").output
    reference = ab.problems.get("lotka_volterra").reference
    assert "right: within" in output
    assert all(f"{value:.8g}" in output for value in reference.dparams["p"])
    assert "p[3]" in output
    assert "y0[1]" in output


def test_a_breakdown_ends_with_one() -> None:
    arguments = ("gradient", "lotka_volterra", "--method", "scipy-forward", "--max-steps", "3")
    as_json, as_text = run(*arguments, "--json"), run(*arguments)
    record = json.loads(as_json.stdout)
    assert as_json.exit_code == as_text.exit_code == 1
    assert (record["status"], record["phase"]) == ("max_steps", "forward")
    assert record["loss"] is None
    assert record["dparams"]["p"] == [None] * 4
    assert "broke down in the forward pass, max_steps" in as_text.output


def test_a_wrong_gradient_ends_with_one() -> None:
    # Euler with 20 steps a period: it ends well, and is far off.
    options = ("--method", "jax-discrete", "--solver", "euler", "--first-step", "0.05", "--json")
    result = run("gradient", "lotka_volterra", *options)
    record = json.loads(result.stdout)
    assert (record["status"], record["verdict"]) == ("ok", "wrong")
    assert record["errors"]["error"] > 0.1
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gradient", "lotka_voltera"), "did you mean 'lotka_volterra'"),
        (("gradient", "pendulum", "--method", "jax-discret"), "did you mean 'jax-discrete'"),
        (("gradient", "pendulum", "--set", "mu"), "KEY=VALUE"),
        (("gradient", "van_der_pol", "--set", "nu=1"), "did you mean 'mu'"),
        (("gradient", "pendulum", "--rtol", "-1"), "rtol=-1.0"),
        (("gradient", "pendulum", "--device", "tpu"), "device='tpu'"),
        (("problems", "--tag", "neura"), "did you mean 'neural'"),
        (("methods", "--family", "discreet"), "did you mean 'discrete'"),
        (("methods", "--backend", "numpy"), "backend='numpy'"),
        (("certify", "robertsn"), "did you mean 'robertson'"),
        (("compare", "robertsn"), "did you mean 'robertson'"),
        (("compare", "robertsn"), "a problem of your own is FILE.py"),
        (("compare", "nowhere.py"), "there is no file"),
        (("compare", "no_such_module:problem"), "there is no module 'no_such_module'"),
        (("compare", "linear", "--budget", "2 years"), "as in 90, 90s, 2m or 1h"),
        (("compare", "linear", "--methods", "jax-discret"), "did you mean 'jax-discrete'"),
        (("compare", "linear", "--methods", "jax-gauss", "--backend", "torch"), "leaves none"),
        (("compare", "linear", "--rtols", "1e-3,2"), "rtols='1e-3,2'"),
        (("compare", "linear", "--error", "0"), "error=0.0"),
        (("compare", "linear", "--out", str(Path(__file__))), "cannot be a folder"),
        (("train", "digit"), "did you mean 'digits'"),
        (("train", "digits", "--regularizer", "eror"), "did you mean 'error'"),
        (("train", "digits", "--grid", "none", "--seeds", "a-b"), "pass 0-4, or 0,3,7"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    assert told in refused(run(*arguments))


def test_a_missing_argument_and_an_unknown_option_end_with_two() -> None:
    assert run("gradient", "pendulum", "--tolerance", "1").exit_code == 2
    assert run("gradient", "pendulum", "--rtol", "small").exit_code == 2


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    result = run("report", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list:
    """In an empty folder, comparisons that measure nothing and say that one method is right."""
    from adjointbench.suite.measuring.row import Row
    from adjointbench.suite.own_problem import run as run_module
    from adjointbench.suite.own_problem.comparison import Outcome

    asked = []

    def compare(chosen, watch, *, anew, cluster):
        asked.append((chosen, anew))
        row = Row(
            method="jax-discrete", family="discrete", backend="jax", solver="tsit5",
            problem=chosen.name, rtol=1e-4, atol=1e-7, status="ok",
            referenced=True, error=3e-5, seconds=1e-3,
        )  # fmt: skip
        return Outcome([row], chosen.problem.reference, ["torch-tape"], ["a remark"])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_module, "compare", compare)
    return asked


def test_compare_recommends_a_method_and_keeps_the_recommendation(pretended: list) -> None:
    result = run("compare", "linear", "--no-report", "--budget", "1h", "--rtols", "1e-6,1e-3")
    assert result.exit_code == 0, result.output
    ((chosen, anew),) = pretended
    assert (chosen.budget_s, chosen.rtols, anew) == (3600.0, (1e-3, 1e-6), False)
    assert len(chosen.methods) >= len(ab.methods())
    text = Path("compare-linear/recommendation.md").read_text()
    assert "**jax-discrete** (tsit5): the fastest that gets the gradient right to 1e-4" in text
    assert "ab.gradient(problem, 'jax-discrete', rtol=1e-4, atol=1e-7)" in text
    assert "torch-tape: the same command goes on with them" in text
    assert text in result.stdout


def test_compare_as_json_and_its_exit_codes(pretended: list) -> None:
    arguments = ("--json", "--no-report", "--methods", "jax-gauss, jax-discrete(solver=tsit5)")
    found = json.loads(run("compare", "linear", *arguments, "--out", "a").stdout)
    assert found["best"]["method"] == "jax-discrete"
    assert (found["out"], found["left"], found["remarks"]) == ("a", ["torch-tape"], ["a remark"])
    assert found["by_backend"]["jax"] == found["best"]
    assert "problem = ab.problems.get(" in found["code"]
    assert pretended[0][0].methods == ("jax-gauss", "jax-discrete(solver=tsit5)")
    short = run("compare", "linear", *arguments, "--out", "b", "--error", "1e-7")
    assert short.exit_code == 1
    assert json.loads(short.stdout)["best"] is None


def test_an_interrupted_comparison_says_how_to_go_on(
    pretended: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adjointbench.suite.own_problem import run as run_module

    def interrupted(chosen, watch, *, anew, cluster):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "compare", interrupted)
    result = run("compare", "linear")
    assert result.exit_code == 130
    assert "compare-linear/rows.jsonl, and the same command goes on" in result.stderr


FOR_THE_PAGE = ("pandas", "matplotlib", "jinja2")

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
sys.argv = {arguments!r}
from adjointbench.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        *((command, package) for command in ("compare", "report") for package in FOR_THE_PAGE),
        ("claims", "pandas"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_measured(
    command: str, missing: str, tmp_path: Path
) -> None:
    arguments = {
        "compare": ["compare", "linear", "--out", str(tmp_path / "out")],
        "report": ["report", str(tmp_path)],
        "claims": ["claims", "--number", "6", "--out", str(tmp_path / "rows.jsonl")],
    }[command]
    code = WITHOUT.format(missing=[missing], arguments=["adjointbench", *arguments])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"{missing} is not installed" in line
    assert "pip install -c constraints.txt '.[report]' in the checkout" in line
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_comparison_without_a_page_needs_nothing_for_it(tmp_path: Path) -> None:
    missing = [*FOR_THE_PAGE, "tabulate"]
    arguments = ["compare", "linear", "--no-report", "--json", "--rtols", "1e-6"]
    arguments += ["--methods", "scipy-adjoint", "--out", str(tmp_path)]
    code = WITHOUT.format(missing=missing, arguments=["adjointbench", *arguments])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["best"]["method"] == "scipy-adjoint"


def test_references_that_cannot_be_written_are_told_before_they_are_computed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("adjointbench.problems.reference._FOLDER", tmp_path / "nowhere")
    assert "cannot be written" in refused(run("certify", "linear", "--write"))


def test_a_gradient_with_its_error_bar_shows_value_error_refined_and_cost() -> None:
    arguments = ("gradient", "lotka_volterra", "--method", "torch-discrete", "--error-bar")
    record = json.loads(run(*arguments, "--json").stdout)
    true = np.array(record["certified"]["dparams"]["p"])
    off, better = (
        np.linalg.norm(np.array(found["dparams"]["p"]) - true)
        for found in (record, record["refined"])
    )
    assert better < off / 5
    assert record["times"]["error_bar_ratio"] > 0.0
    result = run("gradient", "adaptive_ad_trap", *arguments[2:])
    assert result.exit_code == 1
    assert "inaccurate by its own estimate" in result.output
    assert result.output.count("±") == 3
    assert "not reliable" in result.output
    assert "with / without" in result.output
