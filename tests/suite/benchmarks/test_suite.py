import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import asv.benchmark
import pytest

from adjointbench.suite.claims.table import CLAIMS

ROOT = Path(__file__).parents[3]
SUITE = ROOT / "suite" / "benchmarks"
KINDS = ("time_", "track_", "peakmem_")


def discover(folder, **environment):
    """What asv finds in the suite, by its own finder in a process of its own."""
    found = folder / "found.json"
    subprocess.run(
        [sys.executable, asv.benchmark.__file__, "discover", str(SUITE), str(found)],
        check=True,
        cwd=folder,
        env=os.environ | {"ADJOINTBENCH_QUICK": "1"} | environment,
    )
    return {entry["name"]: entry for entry in json.loads(found.read_text())}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return discover(tmp_path_factory.mktemp("asv"))


def test_asv_finds_every_benchmark_that_is_written(found):
    written = set()
    for path in SUITE.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            for method in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
                if isinstance(method, ast.FunctionDef) and method.name.startswith(KINDS):
                    written.add(f"{path.stem}.{node.name}.{method.name}")
    # Those of claims are made one by one from their table.
    of_claims = {name for name in found if name.startswith("claims.")}
    assert set(found) - of_claims == written
    assert len(of_claims) == len(CLAIMS)
    assert len(written) > 20


def test_parameters_are_text_and_numbers(found):
    for entry in found.values():
        for values in entry["params"]:
            assert values
            for value in values:
                assert isinstance(ast.literal_eval(value), str | int | float)


def test_combinations_are_few_in_the_quick_subset(found):
    combinations = sum(math.prod(len(v) for v in e["params"]) for e in found.values())
    assert combinations < 1340


def test_the_measured_ladder_is_shared(found):
    keys = [entry.get("setup_cache_key") for entry in found.values()]
    assert sum("_ladder" in (key or "") for key in keys) > 15
    assert len(set(keys) - {None}) == 1


def test_every_benchmark_has_a_version_of_ours_and_a_timeout(found):
    for entry in found.values():
        assert len(entry["version"]) < 12
        assert entry["timeout"] >= 120


def test_finding_the_benchmarks_loads_nothing_heavy():
    code = (
        "import importlib, sys\n"
        f"sys.path.insert(0, {str(SUITE.parent)!r})\n"
        f"for name in {sorted(p.stem for p in SUITE.glob('[!_]*.py'))!r}:\n"
        "    importlib.import_module(f'benchmarks.{name}')\n"
        "heavy = {'jax', 'torch', 'scipy', 'diffrax', 'pandas', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_variables_narrow_the_suite(tmp_path):
    few = discover(
        tmp_path,
        ADJOINTBENCH_PROBLEMS="linear",
        ADJOINTBENCH_METHODS="jax-discrete,scipy-forward",
        ADJOINTBENCH_DEVICES="cpu,gpu",
    )
    assert few["counts.Counts.track_steps"]["params"] == [
        ["'linear'"],
        ["'jax-discrete'", "'scipy-forward'"],
        ["'cpu'", "'gpu'"],
    ]


def test_configuration_pins_threads_and_versions():
    configuration = json.loads((ROOT / "asv.conf.json").read_text())
    assert configuration["matrix"]["env_nobuild"]["OMP_NUM_THREADS"] == ["1"]
    assert "constraints.txt" in " ".join(configuration["install_command"])
    assert (ROOT / configuration["benchmark_dir"]).samefile(SUITE)
