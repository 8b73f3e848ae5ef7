"""Certified references: the loss and gradient of a problem, and how they are known."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .files import replacing

_FOLDER = Path(__file__).parent / "references"


@dataclass(frozen=True, eq=False)
class Reference:
    """Loss and gradient of one problem on which two independent computations agree.

    Attributes
    ----------
    problem : str
        Name of the problem.
    settings : dict
        The arguments of its factory.
    loss : float
    dparams : dict of str to ndarray
        Gradient with respect to each parameter, in the shapes of ``problem.params``.
    dy0 : ndarray
        Gradient with respect to the start value.
    agreement : float
        The largest of the relative differences between the two computations: of the loss, of the
        log-parameter gradient ‖p∘(g - g*)‖₂ / ‖p∘g*‖₂, and of dy0 in the 2-norm.
    worst_component : float
        The largest relative difference of one component of the gradient, however small.
    computations : tuple of dict
        The two: method, solver, tolerances, and the loss that each found.
    versions : dict
        Of Python and the packages that they used.
    date : str
        Day of the computation, ``YYYY-MM-DD``.
    command : str
        What recomputes and compares it.
    definition_hash : str
        ``Problem.definition_hash()`` of the problem that was solved.
    loss_disagreement, loss_error : float or None
        How far the gradient is from differences of the loss itself along random directions, at
        worst, and how far these may be off themselves; relative. ``None`` where none were taken.
    loss_computation : dict or None
        How the loss was computed for them, and in how many solves.
    witness : dict or None
        A gradient that estimates its own error: its ``distance`` from this one, the ``estimate``,
        and whether it ``agrees``.
    hessian : dict or None
        The second derivative by the parameters, where it was certified: ``matrix``, in the order of
        their arrays, ``agreement`` of two ways, and ``computations``.
    """

    problem: str
    settings: dict[str, Any]
    loss: float
    dparams: dict[str, np.ndarray]
    dy0: np.ndarray
    agreement: float
    worst_component: float
    computations: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    date: str
    command: str
    definition_hash: str
    loss_disagreement: float | None = None
    loss_error: float | None = None
    loss_computation: dict[str, Any] | None = None
    witness: dict[str, Any] | None = None
    hessian: dict[str, Any] | None = None

    @property
    def confirmed_to(self) -> float | None:
        """What differences of the loss say of the gradient: how far it is off, at most."""
        if self.loss_disagreement is None or self.loss_error is None:
            return None
        return max(self.loss_disagreement, self.loss_error)


def find_reference(
    name: str, definition_hash: Callable[[], str], path: Path | None = None
) -> Reference | None:
    """The stored reference of exactly the problem `name` with this definition, or ``None``.

    It is looked for in the file `path`, by default in that of the zoo; the hash is asked for only
    where there are any.
    """
    stored = references(name) if path is None else read_references(path)
    found = {reference.definition_hash: reference for reference in stored}
    return found.get(definition_hash()) if found else None


def references(name: str) -> tuple[Reference, ...]:
    """All stored references of the problem `name`, one for each of its certified settings."""
    path = _path(name)
    return () if path is None else read_references(path)


def read_references(path: Path) -> tuple[Reference, ...]:
    """The references in a file; none where there is no such file."""
    return _read(path, path.stat().st_mtime_ns) if path.exists() else ()


def write_reference(reference: Reference) -> Path:
    """Store `reference`, in place of one of the same settings or the same definition.

    Returns
    -------
    Path
        The file written.
    """
    path = _path(reference.problem)
    if path is None:
        raise ValueError(
            f"problem={reference.problem!r} cannot name a file; references are for problems of "
            "the zoo"
        )
    others = [
        r
        for r in references(reference.problem)
        if r.settings != reference.settings and r.definition_hash != reference.definition_hash
    ]
    save_references([*others, reference], path)
    return path


def check_writable() -> None:
    """Refuse to store references where their folder cannot be written to."""
    if not os.access(_FOLDER, os.W_OK):
        raise ValueError(
            f"the references in {str(_FOLDER)!r} cannot be written; work in a checkout of the "
            "repository, installed with pip install -e"
        )


def save_references(references: Iterable[Reference], path: Path) -> None:
    """Write references into a file, in place of those that it holds."""
    text = ",\n".join(_to_json(reference) for reference in sorted(references, key=_order))
    with replacing(path) as part:
        part.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def _path(name: str) -> Path | None:
    return _FOLDER / f"{name}.json" if name.isidentifier() else None


def _order(reference: Reference) -> str:
    return json.dumps(reference.settings, sort_keys=True, default=str)


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> tuple[Reference, ...]:
    """The references in a file; `changed` is the time of its last change, for the cache."""
    return tuple(_from_json(record) for record in json.loads(path.read_text(encoding="utf-8")))


def _to_json(reference: Reference) -> str:
    record = {f.name: getattr(reference, f.name) for f in fields(reference)}
    lines = (
        f"  {json.dumps(key)}: {json.dumps(_plain(v), default=str)}" for key, v in record.items()
    )
    return " {\n" + ",\n".join(lines) + "\n }"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _from_json(record: dict[str, Any]) -> Reference:
    arrays = {name: np.asarray(value) for name, value in record["dparams"].items()}
    return Reference(
        **{
            **record,
            "dparams": arrays,
            "dy0": np.asarray(record["dy0"]),
            "computations": tuple(record["computations"]),
        }
    )
