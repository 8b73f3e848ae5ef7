"""Which system serves a solve, by where its Jacobian may have entries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ....problems import Problem
from ....problems.jacobian_sparsity import checked_pattern
from ...arguments import check_name
from ...linear_systems.choice import CHOICES, is_dense, kind_for, refusal
from ...linear_systems.colored_pattern import colored
from ...linear_systems.discovery import pattern_of, unseen_by_jax
from ...linear_systems.pattern import Pattern
from ..state import Config
from .sparse import Banded, Sparse
from .system import DENSE, Dense, System

#: What nobody can tell of a function of PyTorch.
UNKNOWN = "where the Jacobian has entries is not known: pass jacobian_sparsity=..."


def with_system(
    choice: str,
    config: Config,
    y0: torch.Tensor,
    sparsity: Any,
    look: Callable[[], Pattern | str] = lambda: UNKNOWN,
) -> Config:
    """The configuration with the system of an implicit solve.

    Parameters
    ----------
    choice : str
        One of :data:`~adjointbench.adjoints.linear_systems.choice.CHOICES`.
    config : Config
    y0 : tensor
        Its size and device count.
    sparsity : optional
        Where the Jacobian may have entries, as a user gives it.
    look : callable
        Finds that where it is not given, or says why it is not known.

    Raises
    ------
    ValueError
        For a choice or a pattern that makes no sense, or a system that cannot be had.
    """
    check_name("linear_solver", choice, CHOICES)
    places = checked_pattern(sparsity, y0.numel())
    if not config.tableau.implicit or is_dense(choice, y0.numel()):
        return config
    found: Pattern | str
    if config.compile:
        found = "compiled loops solve their systems by dense factors"
    elif y0.device.type != "cpu":
        found = f"sparse systems are solved on the CPU, not on {y0.device.type!r}"
    else:
        found = look() if places is None else Pattern(y0.numel(), *places)
    if config.mass is not None and isinstance(found, Pattern):
        found = found.joined(*config.mass.matrix.nonzero())
    return replace(config, system=_system(choice, found))


def _system(choice: str, found: Pattern | str) -> System:
    """The system for a pattern, or where there is none."""
    if isinstance(found, str):
        if choice == "auto":
            return Dense(f"dense ({found})")
        raise ValueError(refusal(choice, found))
    kind = kind_for(choice, colored(found))
    if kind == "dense":
        return DENSE
    return _kept(kind, found)


@lru_cache(maxsize=64)
def _kept(kind: str, pattern: Pattern) -> Sparse:
    """One system for a pattern, which makes its arrays once."""
    known = colored(pattern)
    return Banded(known) if kind == "banded" else Sparse(known, incomplete=kind == "gmres")


def solved_how(config: Config, ran: str) -> str | None:
    """In words, how the linear systems of a solve are solved; ``None`` where there are none."""
    if not config.tableau.implicit:
        return None
    return "dense" if ran == "native" else config.system.name


def pattern_of_problem(problem: Problem, shape: tuple[int, ...]) -> Pattern | str:
    """The pattern of a problem's Jacobian, which JAX finds for PyTorch too, or why it does not.

    The state may have another shape than the problem's, as of a batch of another size.
    """
    if reason := unseen_by_jax(problem):
        return f"{reason}; {UNKNOWN}"
    import jax

    with contextlib.ExitStack() as within:
        within.enter_context(jax.enable_x64(problem.dtype == np.float64))
        within.enter_context(jax.default_device(jax.local_devices(backend="cpu")[0]))
        return pattern_of(problem.rhs, np.zeros(shape, problem.dtype), problem.merged())
