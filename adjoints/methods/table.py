"""The table of adjoint methods: one entry a method."""

from __future__ import annotations

from ..arguments import check_name
from .method import BACKENDS, FAMILIES, Method
from .on_jax import ON_JAX
from .on_native import ON_NATIVE
from .on_scipy import ON_SCIPY
from .on_torch import ON_TORCH
from .peers import PEERS

METHODS: tuple[Method, ...] = (*ON_JAX, *ON_TORCH, *ON_NATIVE, *ON_SCIPY, *PEERS)


def methods(
    *, family: str | None = None, backend: str | None = None, stiff: bool | None = None
) -> tuple[Method, ...]:
    """The table of methods, or the part of it that matches.

    Parameters
    ----------
    family : {"discrete", "continuous", "blackbox", "peers"}, optional
    backend : {"jax", "torch", "scipy", "native"}, optional
    stiff : bool, optional
        Only methods that have (or lack) a solver for stiff problems.

    Returns
    -------
    tuple of Method

    Raises
    ------
    ValueError
        Where a family or backend is unknown.
    """
    if family is not None:
        check_name("family", family, FAMILIES)
    if backend is not None:
        check_name("backend", backend, BACKENDS)
    return tuple(
        m
        for m in METHODS
        if (family is None or m.family == family)
        and (backend is None or m.backend == backend)
        and (stiff is None or m.stiff == stiff)
    )


def get_method(name: str) -> Method:
    """The entry of the method called `name`; ``ValueError`` with close matches otherwise."""
    check_name("method", name, tuple(m.name for m in METHODS))
    return next(m for m in METHODS if m.name == name)


def find_method(name: str) -> Method | None:
    """The entry of the method called `name`; ``None`` where there is none."""
    return next((m for m in METHODS if m.name == name), None)


def kinds(backend: str | None = None) -> tuple[str, ...]:
    """The kinds of our own methods, on one backend or on all, in the order of the table."""
    ours = (m for m in METHODS if not m.is_peer and backend in (None, m.backend))
    return tuple(dict.fromkeys(m.adjoint for m in ours))


def method_of(adjoint: str, backend: str) -> Method:
    """Our own method of a kind on a backend, the first of them; ``ValueError`` where none is."""
    check_name("adjoint", adjoint, kinds(backend))
    ours = (m for m in METHODS if not m.is_peer and m.backend == backend)
    return next(m for m in ours if m.adjoint == adjoint)


def peers_on(backend: str) -> dict[str, Method]:
    """The first method of each other library on a backend: what its users would take."""
    found: dict[str, Method] = {}
    for method in METHODS:
        if method.is_peer and method.backend == backend:
            found.setdefault(method.library, method)
    return found
