"""The latent ODE as a task: irregular series, their encoder, and the equations behind them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..adjoints.arguments import check_name, positive, positive_int
from ..problems.neural import gru_encoder, irregular_series, physionet_files
from ..problems.neural.irregular_series import IrregularSeries, gaps
from ..problems.neural.latent_ode import latent_ode as problem_of
from ..problems.neural.latent_ode import latent_ode_weights
from .start import Start, looped
from .task import Task

_MADE = {"sinusoids": irregular_series.sinusoids, "spirals": irregular_series.spirals}
_DATA = (*_MADE, "physionet")
#: What describes series that are made, and what records; where the other are asked for, these
#: must be as they are.
_OF_MADE: dict[str, Any] = {"samples": 1000, "times": 100}
_OF_RECORDS: dict[str, Any] = {"path": "", "hours": 1.0}


def latent_ode(
    *,
    seed: int = 0,
    dtype: str = "float64",
    data: str = "sinusoids",
    path: str = "",
    hours: float = 1.0,
    samples: int = 1000,
    times: int = 100,
    batch: int = 50,
    latent: int = 10,
    hidden: int = 50,
    layers: int = 2,
    memory: int = 20,
    recurrent: int = 30,
) -> Task:
    """Irregular series: ``"sinusoids"`` or ``"spirals"``, or the PhysioNet records at `path`.

    Network and encoder are those of Pal et al. (ICML 2021), of other sizes: `layers` pairs of
    layers from `latent` to `hidden` and back in the equations; `memory` is half the size of the
    recurrent state and `recurrent` the width of its hidden layers. Series that are made are
    `samples` at `times` in all; `hours` is the grid that records are rounded to.
    """
    series = _series(data, {"samples": samples, "times": times}, {"path": path, "hours": hours})
    if positive_int("batch", batch) > min(len(series.train_values), len(series.test_values)):
        raise ValueError(
            f"batch={batch!r} must lie between 1 and the number of series to train on and of those "
            f"to test, {len(series.train_values)} and {len(series.test_values)}"
        )
    sizes = {"latent": latent, "hidden": hidden, "layers": layers, "memory": memory}
    for name, value in {**sizes, "recurrent": recurrent}.items():
        positive_int(name, value)
    random, features = np.random.RandomState(seed), series.train_values.shape[-1]
    weights = latent_ode_weights(features, latent, hidden, layers, random)
    encoder = gru_encoder.encoder_weights(features, memory, recurrent, latent, random)
    start = Start(_cast(encoder, dtype), gru_encoder.encode)
    train, test = (
        _cast({"values": values, "mask": mask, "gaps": gaps(series.times, mask)}, dtype)
        for values, mask in (series[1:3], series[3:5])
    )
    first = {name: values[:batch] for name, values in train.items()}
    y0 = start.mean(start.params, first, looped)
    grid = series.times.astype(dtype)
    problem = problem_of(y0, _cast(weights, dtype), grid, first)
    return Task("latent_ode", problem, train, test, batch, start=start)


#: With the sizes that are published for Physionet.
physionet = partial(
    latent_ode,
    data="physionet",
    batch=512,
    latent=20,
    hidden=50,
    layers=4,
    memory=50,
    recurrent=40,
)


def _series(data: str, of_made: dict[str, Any], of_records: dict[str, Any]) -> IrregularSeries:
    """The series, of what describes them."""
    check_name("data", data, _DATA)
    records = data == "physionet"
    idle, usual = (of_made, _OF_MADE) if records else (of_records, _OF_RECORDS)
    for name, value in idle.items():
        if value != usual[name]:
            which = " or ".join(map(repr, _MADE)) if records else "'physionet'"
            raise ValueError(f"{name}={value!r} says nothing of data={data!r}, but of {which}")
    if records:
        return physionet_files.read(of_records["path"], positive("hours", of_records["hours"]))
    return _MADE[data](**{name: positive_int(name, value) for name, value in of_made.items()})


def _cast(arrays: dict[str, np.ndarray], dtype: Any) -> dict[str, np.ndarray]:
    return {name: value.astype(dtype) for name, value in arrays.items()}
