"""What the command keeps on disk between two calls, and what an import leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys

from adjointbench.command_line.kept_programs import FOLDER, SWITCH, keep_programs, remove_oldest
from adjointbench.suite.measuring import worker

GRADIENT = ("-m", "adjointbench", "gradient", "lotka_volterra", "--method", "jax-discrete")

LEFT_ALONE = """
import os
import jax
import jax.numpy as jnp
before, environment = dict(jax.config.values), dict(os.environ)
import adjointbench
from adjointbench.adjoints.jax import solve
jax.grad(lambda k: solve(lambda t, y, k: -k * y, jnp.ones(1), [1.0], k).ys.sum())(1.0)
assert dict(jax.config.values) == before
assert dict(os.environ) == environment
"""


def run(folder, *arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in (FOLDER, SWITCH)}
    clean |= {"XDG_CACHE_HOME": str(folder)} | environment
    done = subprocess.run(
        [sys.executable, *arguments], env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return kept(folder)


def kept(folder):
    programs = (folder / "adjointbench" / "jax").glob("*/*-cache")
    return {path.name: path.stat().st_mtime_ns for path in programs}


def test_a_second_command_compiles_nothing(tmp_path):
    first = run(tmp_path, *GRADIENT)
    assert first
    assert run(tmp_path, *GRADIENT) == first


def test_nothing_is_kept_where_that_is_switched_off(tmp_path):
    assert not run(tmp_path, *GRADIENT, **{SWITCH: "0"})


def test_who_has_a_folder_of_their_own_keeps_their_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER, "their own")
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    keep_programs()
    assert os.environ[FOLDER] == "their own"
    assert "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ


def test_an_import_and_a_solve_leave_the_configuration_of_jax_alone(tmp_path):
    assert not run(tmp_path, "-c", LEFT_ALONE)


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv(FOLDER, raising=False)
    keep_programs()
    assert FOLDER not in os.environ


def test_the_oldest_programs_go_first(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    remove_oldest(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "middle"}


def test_a_measuring_process_finds_no_programs(monkeypatch):
    monkeypatch.setenv(FOLDER, "somewhere")
    assert FOLDER not in worker._environment()
