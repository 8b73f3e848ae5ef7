"""SciPy's solvers inside PyTorch programs: a solver that autograd cannot see into, differentiable.

>>> from adjointbench.adjoints.torch.blackbox import blackbox_solve
>>> ys = blackbox_solve(rhs, y0, save_at, params, solver="lsoda").ys  # doctest: +SKIP
>>> ys.square().sum().backward()  # doctest: +SKIP

What happens inside is told in :mod:`.blackbox_function`. Everything is computed on the host in
float64, wherever the tensors are: for problems that SciPy is needed for, not for speed. It works
with ``backward`` and ``torch.autograd.grad``, not under the transformations of ``torch.func``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from array_api_compat import array_namespace

from ..method import SCIPY_SOLVERS
from ..methods import check_name
from ..scipy.flat import FlatSystem
from ..scipy.integrate import Options
from ..scipy.program import flat_tolerance
from ..scipy.segments import make_schedule
from .blackbox_function import Blackbox, joined, solve_blackbox

#: A tensor, or dicts, lists and tuples of such, nested.
Tree = Any


class BlackboxSolution(NamedTuple):
    """What :func:`blackbox_solve` returns.

    Attributes
    ----------
    ys : tensor, shape ``(len(save_at), *y0.shape)``
        The states at the save times; NaN after a breakdown.
    status : str
        One of :data:`~adjointbench.adjoints.result.STATUSES`.
    steps, rejected, rhs_evals : int
        Work of the forward solve; ``rejected`` is ``None`` where SciPy does not tell.
    """

    ys: torch.Tensor
    status: str
    steps: int
    rejected: int | None
    rhs_evals: int


def blackbox_solve(
    rhs: Callable[..., Any],
    y0: torch.Tensor,
    save_at: Sequence[float] | np.ndarray,
    params: Tree,
    *,
    t0: float = 0.0,
    solver: str = "dop853",
    rtol: float | np.ndarray = 1e-6,
    atol: float | np.ndarray = 1e-9,
    adjoint_solver: str | None = None,
    adjoint_rtol: float | np.ndarray | None = None,
    adjoint_atol: float | np.ndarray | None = None,
    first_step: float | None = None,
    max_steps: int = 16384,
    jacobian: Callable[..., Any] | None = None,
    discontinuities: Sequence[float] = (),
    jump_times: Sequence[float] = (),
    jump: Callable[..., Any] | None = None,
) -> BlackboxSolution:
    """Solve ``y' = rhs(t, y, params)`` with a solver of SciPy, differentiably, once.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params) -> dy/dt`` in the Python array API: it runs on NumPy for its values
        and on JAX for its derivatives, on PyTorch where JAX is not installed. What it closes
        over gets no gradient. Pass the same function object again to use what was compiled.
    y0 : tensor
        Start value, of any shape, float32 or float64, on any device.
    save_at : sequence of float
        Times, strictly increasing, from `t0` on. Not differentiated.
    params : tensor, or dicts, lists and tuples of tensors
        Integer tensors stay integers and get no gradient.
    t0 : float
    solver : {"rk45", "dop853", "radau", "bdf", "lsoda"}
    rtol, atol : float or ndarray
        Tolerances; arrays of the shape of `y0` set them per component.
    adjoint_solver, adjoint_rtol, adjoint_atol : optional
        Those of the reverse solve; the forward ones by default.
    first_step : float, optional
    max_steps : int
        Attempted steps allowed, forward and reverse each.
    jacobian : callable, optional
        ``jacobian(t, y, params) -> (n, n)``, on NumPy.
    discontinuities, jump_times, jump : optional
        As in :class:`~adjointbench.problems.Problem`.

    Returns
    -------
    BlackboxSolution
        In the dtype and on the device of `y0`; SciPy itself computes in float64.

    Raises
    ------
    ValueError
        Where the solver is unknown or the save times do not increase from `t0`.
    RuntimeError
        From PyTorch, where the gradient is differentiated again: there is no second derivative.
    """
    check_name("solver", solver, SCIPY_SOLVERS)
    check_name("adjoint_solver", adjoint_solver or solver, SCIPY_SOLVERS)
    times = _checked_times(save_at, t0)
    leaves, structure = _flatten(params)
    options = Options(solver, _hashable(rtol), _hashable(atol), max_steps, first_step)
    reverse = Options(
        adjoint_solver or solver,
        options.rtol if adjoint_rtol is None else _hashable(adjoint_rtol),
        options.atol if adjoint_atol is None else _hashable(adjoint_atol),
        max_steps,
    )
    box = _blackbox(
        (rhs, jacobian, jump),
        structure,
        tuple((tuple(leaf.shape), str(leaf.dtype).removeprefix("torch.")) for leaf in leaves),
        tuple(y0.shape),
        (float(t0), times, tuple(discontinuities), tuple(jump_times)),
        options,
        reverse,
    )
    ys, done = solve_blackbox(box, joined(leaves), y0)
    counts = done.trajectory.counts
    return BlackboxSolution(
        ys, done.trajectory.status, counts.steps, counts.rejected, counts.rhs_evals
    )


def _checked_times(save_at: Any, t0: float) -> tuple[float, ...]:
    times = tuple(float(t) for t in np.atleast_1d(np.asarray(save_at)))
    if not times or times[0] < t0 or any(a >= b for a, b in itertools.pairwise(times)):
        raise ValueError(f"save_at={save_at!r} must increase strictly, from t0={t0!r} on")
    return times


def _flatten(tree: Tree) -> tuple[list[torch.Tensor], Any]:
    """The tensors of a tree, and how they hang together, which can be a key."""
    if isinstance(tree, torch.Tensor):
        return [tree], None
    if isinstance(tree, Mapping):
        kind, keys, children = dict, tuple(tree), list(tree.values())
    elif isinstance(tree, list | tuple):
        kind, keys, children = type(tree), (), list(tree)
    else:
        raise ValueError(
            f"params holds {tree!r}; pass tensors, or dicts, lists and tuples of tensors"
        )
    pairs = [_flatten(child) for child in children]
    leaves = [leaf for found, _ in pairs for leaf in found]
    return leaves, (kind, keys, tuple(structure for _, structure in pairs))


def _unflatten(structure: Any, leaves: Iterator[Any]) -> Tree:
    """The tree again, of the next of `leaves`."""
    if structure is None:
        return next(leaves)
    kind, keys, structures = structure
    children = [_unflatten(each, leaves) for each in structures]
    return dict(zip(keys, children, strict=True)) if kind is dict else kind(children)


def _hashable(tolerance: float | np.ndarray) -> Any:
    """A number, or a tuple in place of an array, so that options can be a key."""
    return float(tolerance) if np.ndim(tolerance) == 0 else tuple(np.ravel(tolerance).tolist())


def _arrays(options: Options) -> Options:
    """`options` with arrays again in place of tuples."""
    rtol, atol = flat_tolerance(options.rtol), flat_tolerance(options.atol)
    return replace(options, rtol=rtol, atol=atol)


@functools.lru_cache(maxsize=64)
def _blackbox(
    functions: tuple[Any, Any, Any],
    structure: Any,
    leaf_types: tuple[tuple[tuple[int, ...], str], ...],
    shape: tuple[int, ...],
    times: tuple[float, tuple[float, ...], tuple[float, ...], tuple[float, ...]],
    options: Options,
    reverse: Options,
) -> Blackbox:
    """The flat equations of a call, made once for each combination of arguments."""
    rhs, jacobian, jump = functions

    def arguments(theta: Any, constants: Any) -> Tree:
        del constants
        leaves, start = [], 0
        for leaf_shape, dtype in leaf_types:
            stop = start + int(np.prod(leaf_shape, dtype=int))
            leaf = theta[start:stop].reshape(leaf_shape)
            if "float" not in dtype:
                xp = array_namespace(leaf)
                leaf = xp.astype(leaf, getattr(xp, dtype))
            leaves.append(leaf)
            start = stop
        return _unflatten(structure, iter(leaves))

    system = FlatSystem(
        function=rhs,
        arguments=arguments,
        shape=shape,
        n=int(np.prod(shape, dtype=int)),
        m=sum(int(np.prod(s, dtype=int)) for s, _ in leaf_types),
        constants={},
        jump_function=jump,
        jacobian_function=jacobian,
    )
    t0, save_at, discontinuities, jump_times = times
    plan = make_schedule(t0, np.array(save_at), discontinuities, jump_times)
    return Blackbox(system, plan, _arrays(options), _arrays(reverse))
