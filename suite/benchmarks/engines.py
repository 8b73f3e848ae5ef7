"""Gradients through the user's own `solve`, by its engines: warm, and the first in a process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ._checkout import CHOSEN, VERSION
from ._warm import Warm as _Warm

CASES = {
    "lotka_volterra, 1e-4": ("lotka_volterra", 1e-4),
    "lotka_volterra, 1e-6": ("lotka_volterra", 1e-6),
    "lotka_volterra, 1e-8": ("lotka_volterra", 1e-8),
    "van_der_pol, 1e-6": ("van_der_pol", 1e-6),
    "robertson, 2e-7": ("robertson", 2e-7),
    "hires, 1e-6": ("hires", 1e-6),
    "pollu, 1e-6": ("pollu", 1e-6),
}
QUICK_CASE = "lotka_volterra, 1e-6"
CHOSEN_CASES = [QUICK_CASE] if CHOSEN.quick else list(CASES)

FIRST_CASES = CASES | {"brusselator, 1e-6": ("brusselator", 1e-6)}
CHOSEN_FIRST = (
    [QUICK_CASE]
    if CHOSEN.quick
    else [QUICK_CASE, "robertson, 2e-7", "brusselator, 1e-6", "pollu, 1e-6"]
)

FIRST = """
import time, {framework}
begin = time.perf_counter()
from adjointbench import problems
from adjointbench.suite.measuring.user_solve import by_{framework}
by_{framework}(problems.get({problem!r}), {rtol!r}, {engine!r})
print(time.perf_counter() - begin)
"""


class Jax(_Warm):
    """``jit(grad)`` around JAX's `solve`."""

    params = (CHOSEN_CASES, ["native", "xla"])
    param_names = ("case", "engine")
    repeat = (5, 100, 0.5)

    def prepare(self, case, engine):
        return _gradient("jax", case, engine)

    def time_gradient(self, case, engine):
        self.next_call()


class Torch(_Warm):
    """``backward`` through PyTorch's `solve`; its own operations take up to seconds."""

    params = (CHOSEN_CASES, ["native"])
    param_names = ("case", "engine")
    repeat = (5, 100, 0.5)

    def prepare(self, case, engine):
        return _gradient("torch", case, engine)

    def time_gradient(self, case, engine):
        self.next_call()


class First:
    """The first native gradients of a process that has its framework, with nothing kept on disk."""

    params = (["jax", "torch"], [QUICK_CASE] if CHOSEN.quick else [QUICK_CASE, "pollu, 1e-6"])
    param_names = ("framework", "case")
    timeout = 300
    version = VERSION

    def track_seconds(self, framework, case):
        with tempfile.TemporaryDirectory() as folder:
            return _first(framework, case, "native", folder)

    track_seconds.unit = "seconds"


class FirstOfJax:
    """The first gradient of a process by JAX's `solve`: compiled, or of what was kept on disk."""

    params = (
        CHOSEN_FIRST,
        ["xla"] if CHOSEN.quick else ["native", "xla"],
        ["compiled"] if CHOSEN.quick else ["compiled", "kept"],
    )
    param_names = ("case", "engine", "programs")
    timeout = 600
    version = VERSION

    def track_seconds(self, case, engine, programs):
        with tempfile.TemporaryDirectory() as folder:
            seconds = _first("jax", case, engine, folder)
            return seconds if programs == "compiled" else _first("jax", case, engine, folder)

    track_seconds.unit = "seconds"


def _first(framework, case, engine, folder):
    """Seconds of the first gradient of a process that keeps its programs in a folder."""
    _engines()
    problem, rtol = FIRST_CASES[case]
    program = FIRST.format(framework=framework, problem=problem, rtol=rtol, engine=engine)
    kept = {
        "XDG_CACHE_HOME": folder,
        "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=os.environ | kept, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _gradient(framework, case, engine):
    from adjointbench import problems

    problem, rtol = CASES[case]
    by = {"jax": _engines().by_jax, "torch": _engines().by_torch}[framework]
    return by(problems.get(problem), rtol, engine).call


def _engines():
    try:
        from adjointbench.suite.measuring import user_solve
    except ImportError:
        raise NotImplementedError("this commit has no engine to choose") from None
    return user_solve
