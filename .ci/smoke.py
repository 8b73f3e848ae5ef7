"""Run a small part of the suite once and build a report from it; fail if anything was amiss.

    python .ci/smoke.py FOLDER

asv passes over a module that does not import, and ends well where a benchmark was never
discovered. So what ran is compared with what stands in the suite. The results go into FOLDER, away
from the real ones.
"""

import ast
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asv.results import iter_results
from asv.util import load_json

from adjointbench.reports.asv_pages import publish
from adjointbench.suite.measuring.rows import default_path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("time_", "timeraw_", "track_", "mem_", "peakmem_")

#: The claims that are measured: cheap ones, and the trainings.
CLAIMS = (4, 5, 6, 10)

OLDER = "--xla_cpu_use_fusion_emitters=false"

#: Small, yet with one family of each kind, a stiff problem and a peer. What is measured is thrown
#: away, so that nothing is gained by optimised programs.
SUBSET = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    # A flag that XLA does not know ends the process without a word, and 0.11 does not know it.
    **({"XLA_FLAGS": OLDER} if version("jaxlib").startswith("0.10.") else {}),
    "ADJOINTBENCH_QUICK": "1",
    "ADJOINTBENCH_PROBLEMS": "lotka_volterra,robertson",
    "ADJOINTBENCH_SCALING": "2,3",
    "ADJOINTBENCH_CHECKPOINTS": "1",
    "ADJOINTBENCH_LANES": "1",
    "ADJOINTBENCH_CLAIMS": ",".join(map(str, CLAIMS)),
    "ADJOINTBENCH_METHODS": (
        "jax-discrete,jax-forward,jax-gauss,jax-backsolve,scipy-adjoint,"
        "diffrax-recursive-checkpoint,torchdiffeq-backprop"
    ),
}


def main() -> None:
    """Do as the module says."""
    folder = Path(sys.argv[1]).resolve()
    results = folder / ".asv" / "results"
    shutil.rmtree(results, ignore_errors=True)
    status = run_suite(write_config(folder))
    if not results.exists():
        sys.exit(f"asv wrote no results and ended with exit status {status}")
    problems = [*never_ran(results), *failures(results)]
    if status and not problems:
        problems.append(f"asv ended with exit status {status}")
    if problems:
        sys.exit("The smoke run found:\n" + "\n".join(f"- {problem}" for problem in problems))
    report = [sys.executable, "-m", "adjointbench", "report", str(results)]
    subprocess.run([*report, "--out", str(folder / "report")], check=True)
    if missing := without_graphs(publish(folder / "asv.conf.json", folder / ".asv" / "published")):
        sys.exit(f"asv's pages list benchmarks that they cannot draw: {', '.join(missing)}")


def without_graphs(pages: Path) -> list[str]:
    """Benchmarks on asv's pages that lack the file of their graph; all where none is listed."""
    listed = json.loads((pages / "index.json").read_text())["benchmarks"]
    if not listed:
        return ["all"]
    graphs = pages / "graphs" / "summary"
    return [name for name in listed if not (graphs / f"{name}.json").exists()]


def write_config(folder: Path) -> Path:
    """The suite's configuration in `folder`: what asv writes lies beside its configuration."""
    config = load_json(str(ROOT / "asv.conf.json"), js_comments=True)
    config |= {"repo": str(ROOT), "benchmark_dir": str(ROOT / config["benchmark_dir"])}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(config, indent=2))
    return path


def run_suite(config: Path) -> int:
    """One quick run of the subset with this interpreter; the exit status of asv.

    Rows are measured beforehand on all cores, as `make bench` does it, and asv reads them.
    """
    asv = [sys.executable, "-m", "asv"]
    subprocess.run([*asv, "machine", "--yes", "--config", str(config)], check=True)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    options = ["--quick", "--show-stderr", "-E", f"existing:{sys.executable}"]
    run = [*asv, "run", *options, "--set-commit-hash", head, "--config", str(config)]
    rows = str(default_path(config.parent / ".asv" / "results"))
    beside = {"ASV_CONF_DIR": str(config.parent), "ADJOINTBENCH_ROWS": rows}
    environment = os.environ | SUBSET | beside
    collect = [sys.executable, "-m", "adjointbench", "bench", "--out", rows]
    subprocess.run(collect, env=environment, check=True)
    return subprocess.run(run, env=environment).returncode


def never_ran(results: Path) -> Iterator[str]:
    """Modules of the suite with benchmarks of which asv discovered none."""
    discovered = json.loads((results / "benchmarks.json").read_text())
    modules = {name.rpartition(".")[0].partition(".")[0] for name in discovered}
    for file in sorted((ROOT / "suite" / "benchmarks").glob("*.py")):
        if benchmarks_in(file) and file.stem not in modules:
            yield f"{file.name} was not discovered: does it import?"


def benchmarks_in(file: Path) -> list[str]:
    """Names of functions and methods that asv takes for benchmarks."""
    nodes = ast.walk(ast.parse(file.read_text()))
    names = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith(KINDS)]


def failures(results: Path) -> Iterator[str]:
    """Benchmarks that failed for some parameters, or were skipped for all of them."""
    for result in iter_results(str(results)):
        for name in result.get_all_result_keys():
            values: list[Any] = result.get_result_value(name, result.get_result_params(name))
            if any(value is None for value in values):
                yield f"{name} failed for {values.count(None)} of {len(values)} parameters"
            elif all(math.isnan(value) for value in values) and not is_left_out(name):
                yield f"{name} was skipped for all of its parameters"


def is_left_out(name: str) -> bool:
    """Whether a benchmark is of a claim that is not in the subset, or never quick."""
    module, benchmark, *_ = name.split(".")
    claims = [f"Claim{number:02d}" for number in CLAIMS]
    return module == "compiled_torch" or (module == "claims" and benchmark not in claims)


if __name__ == "__main__":
    main()
