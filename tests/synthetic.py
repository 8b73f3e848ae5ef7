"""Made-up measurements with known errors, times and failures."""

import json
import math
from pathlib import Path

from adjointbench.suite.measuring.measure import LADDER
from adjointbench.suite.measuring.row import Row, from_record
from adjointbench.suite.measuring.studies import checkpoints, lanes, scaling, sde

#: Method: (family, backend, error over rtol, order, seconds at 1e-6, ratio).
METHODS = {
    "jax-discrete": ("discrete", "jax", 3.0, 1.0, 2e-4, 4.0),
    "jax-forward": ("discrete", "jax", 3.0, 1.0, 1.5e-4, 3.0),
    "jax-backsolve": ("continuous", "jax", 1.0, 1.0, 4e-4, 9.0),
    "jax-gauss": ("continuous", "jax", 2.0, 0.9, 5e-4, 10.0),
    "finite-difference": ("blackbox", "scipy", 1e3, 0.5, 3e-2, 8.0),
    "diffrax-backsolve": ("peers", "jax", 2.0, 1.0, 6e-4, 20.0),
}

#: The same of methods on other backends and of their peers: an error of one takes the same steps.
ELSEWHERE = {
    "torch-discrete": ("discrete", "torch", 1.0, 1.0, 1e-3, 4.0),
    "torch-tape": ("discrete", "torch", 1.0, 1.0, 2e-2, 4.0),
    "torch-blackbox": ("blackbox", "torch", 1.0, 1.0, 5e-3, 4.0),
    "scipy-adjoint": ("continuous", "scipy", 1.0, 1.0, 3e-3, 4.0),
    "torchdiffeq-backprop": ("peers", "torch", 1.0, 1.0, 1e-2, 4.0),
    "torchode-autodiff": ("peers", "torch", 100.0, 1.0, 2e-4, 4.0),
    "torchode-backsolve": ("peers", "torch", 1.0, 1.0, 1.1e-3, 4.0),
    "jax-odeint": ("peers", "jax", 3.0, 1.0, 1e-3, 4.0),
}

PROBLEMS = ("lotka_volterra", "adaptive_ad_trap", "robertson")


def measured(made: list[dict]) -> list[Row]:
    """Rows as they are read from a file that holds them."""
    return [from_record(Row, each) for each in made]


def row(problem: str, method: str, rtol: float, **changes) -> dict:
    """One measured row as a line of its file; `changes` replace columns."""
    family, backend, factor, order, seconds, ratio = (METHODS | ELSEWHERE)[method]
    error = factor * 1e-3 * (rtol / 1e-3) ** order
    return {
        "problem": problem,
        "method": method,
        "family": family,
        "backend": backend,
        "solver": "tsit5",
        "device": "cpu",
        "rtol": rtol,
        "atol": rtol * 1e-3,
        "status": "ok",
        "phase": None,
        "message": "",
        "referenced": True,
        "error": error,
        "error_bar_status": None,
        "largest_component_error": 2 * error,
        "cosine": 1.0,
        "dy0_error": error,
        "loss_error": error / 10,
        "seconds": seconds * (1e-6 / rtol) ** 0.2,
        "primal_seconds": seconds / ratio,
        "ratio": ratio,
        "first_call_s": 0.5,
        "saved_bytes": 4096,
        "steps": int(20 * (1e-3 / rtol) ** 0.2),
        "rhs_evals": int(120 * (1e-3 / rtol) ** 0.2),
    } | changes


def broken(status: str, message: str, **changes) -> dict:
    """Changes that make a row one that did not end ``ok``."""
    numbers = ("error", "largest_component_error", "cosine", "dy0_error", "loss_error", "seconds")
    none = dict.fromkeys((*numbers, "primal_seconds", "ratio", "first_call_s", "saved_bytes"))
    return none | {"status": status, "message": message} | changes


#: Method of the scaling study: (family, backend, seconds of 24 unknowns, exponent).
SCALING = {
    "jax-forward": ("discrete", "jax", 2e-4, 2.5),
    "jax-discrete": ("discrete", "jax", 3e-4, 1.2),
    "jax-gauss": ("continuous", "jax", 7e-4, 1.4),
    "cvodes-adjoint(solver=cvodes-gmres)": ("peers", "scipy", 2e-3, 2.0),
}


def scaling_row(method: str, n: int, seconds: float | None, **changes) -> dict:
    """One row of the scaling study."""
    family, backend, *_ = SCALING[method]
    return {
        "study": scaling.STUDY,
        "problem": scaling.problem_of(n),
        "method": method,
        "family": family,
        "backend": backend,
        "device": "cpu",
        "rtol": scaling.RTOL,
        "atol": scaling.ATOL,
        "status": "ok",
        "message": "",
        "seconds": seconds,
    } | changes


def scaling_rows() -> list[dict]:
    """Power laws; the slowest at the largest size did not come to its end."""
    made = []
    for method, (_, _, first, power) in SCALING.items():
        for n in (2, 3, 5):
            seconds = first * (scaling.unknowns(n) / 24) ** power
            made.append(scaling_row(method, n, seconds))
    return [*made[:-1], scaling_row(method, 5, None, status="timeout", message="not done")]


def lane_rows() -> list[dict]:
    """One method is as fast as the other alone, and four times as fast with many; one is slow."""
    made = []
    about = {"study": lanes.STUDY, "rtol": lanes.RTOL, "error": 1e-5}
    for name, alone, many in (
        ("jax-discrete", 1e-3, 64e-3),
        ("torch-discrete", 1.1e-3, 256e-3),
        ("torchode-autodiff", 0.1, None),
    ):
        for number, seconds in ((1, alone), (256, many)):
            made.append(row(lanes.PROBLEM, name, **about, seconds=seconds))
            made[-1]["method"] = lanes.method_of(name, number)
    made[-1] |= broken("timeout", "not done after 120 s")
    return made


def sde_rows() -> list[dict]:
    """Errors are a power of the step, times its inverse; the last step was not done in time."""
    made = []
    for way, family, order in (
        ("jax-discrete(solver=sriw1)", "discrete", 1.5),
        ("diffrax-backsolve(solver=heun)", "peers", 1.0),
    ):
        for step in (2.0**-4, 2.0**-6, 2.0**-8):
            made.append(sde_row(sde.method_of(way, {"step": step}), family, step**order))
            made[-1] |= {"seconds": 0.1 / step}
    made.append(sde_row("diffrax-backsolve(solver=heun, step=0.001)", "peers", None))
    made[-1] |= broken("timeout", "not done") | {"solution_error": None}
    made.append(sde_row("jax-discrete(solver=sriw1, tol=0.01)", "discrete", 0.01))
    made[-1] |= {"rtol": 1e-2, "seconds": 1.0}
    return made


def sde_row(method: str, family: str, error: float | None) -> dict:
    """One row of the study of stochastic equations."""
    return {
        "study": sde.STUDY,
        "problem": sde.PROBLEMS[0],
        "method": method,
        "family": family,
        "rtol": 0.0,
        "status": "ok",
        "agreement": 1e-12,
        "error": error,
        "solution_error": error,
        "saved_bytes": 4096,
    }


def checkpoint_rows() -> list[dict]:
    """The least is kept with 16 checkpoints, and the fastest is with the most; one broke down."""
    made = []
    for number, kept, seconds in ((2, 16e3, 2e-3), (16, 5e3, 3e-3), (128, 17e3, 1e-3)):
        about = {"study": checkpoints.STUDY, "rtol": checkpoints.RTOL, "steps": 377}
        about |= {"saved_bytes": kept, "seconds": seconds}
        for name in ("jax-discrete", "diffrax-backsolve"):
            made.append(row(checkpoints.PROBLEM, name, **about))
            made[-1]["method"] = checkpoints.method_of(name, number)
    for r in made[1::2]:
        r["saved_bytes"] = None
    made[-1] |= broken("timeout", "not done after 240 s")
    return made


def stiff_rows() -> list[dict]:
    """A stiff problem with settings, and one of the published table; backsolve breaks on both."""
    names = ("van_der_pol(mu=1000.0)", "pollu")
    made = [row(p, m, rtol, stiff=True) for p in names for m in METHODS for rtol in LADDER]
    for r in made:
        r |= {"jacobian_evals": 12, "linear_solves": 90}
        if r["method"] == "diffrax-backsolve":
            r |= broken("step_too_small", "the step became too small.", phase="reverse")
        if r["method"] == "jax-backsolve" and r["rtol"] > 5e-6:
            r |= {"error": 4e5}
        if r["method"] == "finite-difference":
            r |= broken("skipped", "no solver for it")
    return made


def peer_rows() -> list[dict]:
    """Peers that lose, win, are equal and give up early, and one where our own method gives up."""
    methods = ("jax-discrete", *ELSEWHERE)
    made = [row("lotka_volterra", m, rtol, compiled=None) for m in methods for rtol in LADDER]
    made += [
        row("pollu", m, rtol, stiff=True, compiled=None)
        for m in ("jax-discrete", "jax-odeint", "torch-discrete", "torchdiffeq-backprop")
        for rtol in LADDER
    ]
    for r in made:
        if r["method"] == "torch-discrete":
            r["compiled"] = "yes" if r["problem"] == "lotka_volterra" else "no compiler found."
        if r["method"] == "torchode-backsolve" and r["rtol"] < 5e-5:
            r |= broken("max_steps", "too many steps", phase="reverse")
        if (r["problem"], r["method"]) == ("pollu", "jax-discrete") and r["rtol"] < 5e-5:
            r |= broken("nonfinite", "not finite")
        if (r["problem"], r["method"]) == ("pollu", "torchdiffeq-backprop"):
            r |= broken("skipped", "no solver for it")
        if r["method"] == "torch-blackbox" and r["rtol"] < 5e-3:
            r["error"] = 3.0
    return made


def rows() -> list[dict]:
    """Three problems: a smooth one, a trap and a stiff one."""
    made = [row(p, m, rtol) for p in PROBLEMS for m in METHODS for rtol in LADDER]
    for r in made:
        if r["problem"] == "adaptive_ad_trap" and r["family"] == "discrete":
            r["error"] = 28.2
        if r["problem"] == "robertson" and r["backend"] == "jax":
            r |= broken("skipped", "solver=None asks for an implicit solver, and it has none")
        if r["problem"] == "lotka_volterra" and r["method"] == "jax-backsolve" and r["rtol"] < 5e-9:
            r |= broken("max_steps", "the solver took max_steps steps", phase="reverse")
    return made


def write_rows(
    path: Path,
    made: list[dict] | None = None,
    *,
    commit="a" * 40,
    machine="box",
    end=True,
    date="2026-11-20T12:00:00+0000",
    versions=(("adjointbench", "0.1.0"), ("jax", "0.10.2")),
) -> Path:
    """A file of rows like the one that ``collect`` writes."""
    header = {
        "kind": "run",
        "commit": commit,
        "code": "0123456789abcdef",
        "quick": False,
        "date": date,
        "machine": {"machine": machine, "cpu": "A processor", "cores": "2", "ram": "24 GiB"},
        "versions": dict(versions),
    }
    lines = [header, *({"kind": "row"} | r for r in (rows() if made is None else made))]
    lines += [{"kind": "end", "date": "2026-11-20T12:10:00+0000"}] * end
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_asv(
    root: Path,
    values: dict[str, list],
    *,
    commit="a" * 40,
    date=0,
    machine="box",
    methods=("jax-discrete",),
) -> Path:
    """A folder of results like asv's: one file, and ``benchmarks.json`` beside its folder."""
    params = [["'lotka_volterra'"], [repr(m) for m in methods], ["'cpu'"]]
    folder = root / machine
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps({"machine": machine, "version": 1}))
    results = {name: [result, params, "1", 0, 1.0] for name, result in values.items()}
    path = folder / f"{commit[:8]}-existing.json"
    content = {
        "commit_hash": commit,
        "date": date,
        "params": {"machine": machine},
        "result_columns": ["result", "params", "version", "started_at", "duration"],
        "results": results,
        "version": 2,
    }
    # Like Python's own, asv's JSON writes NaN.
    path.write_text(json.dumps(content, allow_nan=True))
    units = {name: {"name": name, "unit": "seconds"} for name in values}
    (root / "benchmarks.json").write_text(json.dumps(units | {"version": 2}))
    return path


NAN = math.nan
