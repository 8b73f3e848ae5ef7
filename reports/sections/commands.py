"""The commands that measure what a figure shows, and draw it."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

import pandas as pd

from ...adjoints.methods import METHODS, find_method
from ...suite.measuring.measure import LADDER
from ...suite.measuring.names import bare_name
from ...suite.measuring.quick import QUICK_LADDER, QUICK_METHODS
from ...suite.measuring.studies.scaling import points_of
from ..tables.ladders import without_device

_ROWS, _RUNS = "rows.jsonl", "runs"

#: What a study is measured along with, as some ladder always is: a cheap one.
_BESIDE = "linear"


def ladder_command(rows: pd.DataFrame) -> str:
    """What measures ladders of tolerances like those of `rows`, and reports them.

    Parameters
    ----------
    rows : DataFrame
        The rows that a figure shows; methods may be called ``"NAME on DEVICE"``.
    """
    quick = set(rows["rtol"]) <= set(QUICK_LADDER) < set(LADDER)
    devices = list(dict.fromkeys(rows["device"]))
    wanted = {"ADJOINTBENCH_QUICK": "1"} if quick else {"ADJOINTBENCH_FULL": "1"}
    wanted["ADJOINTBENCH_PROBLEMS"] = ",".join(dict.fromkeys(rows["problem"]))
    methods = dict.fromkeys(map(without_device, rows["method"]))
    usual = QUICK_METHODS if quick else tuple(method.name for method in METHODS)
    if set(methods) != set(usual):
        wanted["ADJOINTBENCH_METHODS"] = ",".join(methods)
    if devices != ["cpu"]:
        wanted["ADJOINTBENCH_DEVICES"] = ",".join(devices)
    return _bench_and_report(wanted)


def scaling_command(points: pd.DataFrame) -> str:
    """What measures the sizes and methods of a scaling study, and reports them."""
    sizes = sorted(set(map(points_of, points["problem"])))
    return _study_command(points, "SCALING", ",".join(map(str, sizes)))


def checkpoints_command(points: pd.DataFrame) -> str:
    """What measures memory against checkpoints, and reports it."""
    return _study_command(points, "CHECKPOINTS", "1")


def lanes_command(points: pd.DataFrame) -> str:
    """What measures ensembles, and reports them."""
    return _study_command(points, "LANES", "1")


def sde_command() -> str:
    """What measures stochastic equations, and reports them."""
    return _bench_and_report(
        {"ADJOINTBENCH_FULL": "1", "ADJOINTBENCH_PROBLEMS": _BESIDE, "ADJOINTBENCH_SDE": "1"}
    )


def _study_command(points: pd.DataFrame, study: str, wanted: str) -> str:
    """What measures the methods of a study again, and reports it."""
    return _bench_and_report(
        {
            "ADJOINTBENCH_FULL": "1",
            "ADJOINTBENCH_PROBLEMS": _BESIDE,
            "ADJOINTBENCH_METHODS": ",".join(dict.fromkeys(map(bare_name, points["method"]))),
            f"ADJOINTBENCH_{study}": wanted,
        }
    )


def training_command(epochs: pd.DataFrame) -> str:
    """What repeats the trainings of one task and method, and reports them.

    Parameters
    ----------
    epochs : DataFrame
        Rows of :func:`~adjointbench.training.ratios.read_trainings`.
    """
    first = epochs.iloc[0]
    task, *given = str(first["task"]).split(" ")
    options = [("--rtol", o[5:]) if o.startswith("rtol=") else ("--set", o) for o in given]
    kinds = epochs[["regularizer", "coefficients"]].drop_duplicates().itertuples(index=False)
    train = [
        *("adjointbench", "train", task),
        *(word for option in options for word in option),
        *("--backend", _backend(str(first["method"]))),
        *("--adjoint", str(first["method"])),
        *("--grid", ",".join(_regularizer(name, given) for name, given in kinds)),
        *("--seeds", ",".join(str(seed) for seed in sorted(set(epochs["seed"])))),
        *("--epochs", f"{first['epochs']:.0f}", "--out", _RUNS),
    ]
    return f"{shlex.join(train)}\n{_report(_RUNS)}"


def _regularizer(name: str, coefficients: str) -> str:
    """As ``--grid`` takes it."""
    bare = name.split(" ")[0]
    return f"{bare}={coefficients}" if coefficients else bare


def _backend(method: str) -> str:
    entry = find_method(bare_name(method))
    return "jax" if entry is None else entry.backend


def _bench_and_report(environment: Mapping[str, str]) -> str:
    values = (f"{name}={shlex.quote(value)}" for name, value in environment.items())
    bench = f"adjointbench bench --out {_ROWS}"
    return "\n".join([_joined([*values, bench]), _report(_ROWS)])


def _joined(parts: Iterable[str]) -> str:
    """One command of a shell on several lines."""
    return " \\\n  ".join(parts)


def _report(results: str) -> str:
    return f"adjointbench report {results} --out report"
