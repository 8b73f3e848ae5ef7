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
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ..scipy.blackbox_call import Call, checked_call, flat_equations
from .blackbox_function import Blackbox, joined, solve_blackbox
from .function_checks import check_closure

_REMEDY = "pass them in params and take them from there, or detach them"

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
        and on JAX for its derivatives, on PyTorch where JAX is not installed. Tensors that it
        closes over would get no gradient, and are refused where they ask for one. Pass the same
        function object again to use what was compiled.
    y0 : tensor
        Start value, of any shape, float32 or float64, on any device.
    save_at : sequence of float
        Times that do not decrease, from `t0` on. Not differentiated.
    params : tensor, or dicts, lists and tuples of tensors
        Integer tensors stay integers and get no gradient.
    t0 : float
        Not differentiated.
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
        As in :class:`~adjointbench.problems.Problem`. Jumps may be at `t0` as well, and several
        at one time, which act in order.

    Returns
    -------
    BlackboxSolution
        In the dtype and on the device of `y0`; SciPy itself computes in float64.

    Raises
    ------
    ValueError
        For arguments that make no sense, naming the argument, the value and the remedy.
    RuntimeError
        From PyTorch, where the gradient is differentiated again: there is no second derivative.
    """
    times = {
        "t0": t0,
        "save_at": save_at,
        "discontinuities": discontinuities,
        "jump_times": jump_times,
    }
    leaves, structure = _flatten(params)
    call = checked_call(
        (rhs, jacobian, jump),
        y0,
        [(tuple(leaf.shape), str(leaf.dtype).removeprefix("torch.")) for leaf in leaves],
        **{argument: _plain(argument, value) for argument, value in times.items()},
        solver=solver,
        rtol=rtol,
        atol=atol,
        adjoint_solver=adjoint_solver,
        adjoint_rtol=adjoint_rtol,
        adjoint_atol=adjoint_atol,
        first_step=first_step,
        max_steps=max_steps,
    )
    _check_closures(call, structure, y0, leaves)
    box = _blackbox(call, structure)
    ys, done = solve_blackbox(box, joined(leaves), y0)
    counts = done.trajectory.counts
    return BlackboxSolution(
        ys, done.trajectory.status, counts.steps, counts.rejected, counts.rhs_evals
    )


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


def _check_closures(
    call: Call, structure: Any, y0: torch.Tensor, leaves: Sequence[torch.Tensor]
) -> None:
    """Refuse tensors that functions close over and that would silently get no gradient."""
    given = [value.detach().cpu() for value in (torch.tensor(call.times.t0), y0, *leaves)]
    given[0] = given[0].to(given[1].dtype)
    params = _unflatten(structure, iter(given[2:]))
    rhs, _, jump = call.functions
    functions = {"rhs": rhs} | ({} if jump is None else {"jump": partial(jump, 0)})
    for name, function in functions.items():
        called = partial(function, *given[:2], params)
        try:
            called()
        except Exception:  # it is for NumPy and JAX alone, where no tensor can be
            continue
        check_closure(name, called, given, _REMEDY)


def _plain(argument: str, times: Any) -> Any:
    """Times without tensors; ``ValueError`` where one asks for its derivative."""
    if isinstance(times, list | tuple):
        return [_plain(argument, time) for time in times]
    if not isinstance(times, torch.Tensor):
        return times
    if times.requires_grad:
        raise ValueError(
            f"{argument} requires a gradient, and the solver has none by its times; detach it, or "
            "use adjointbench.adjoints.torch.solve, which takes derivatives by times too"
        )
    return times.cpu().numpy()


@functools.lru_cache(maxsize=64)
def _blackbox(call: Call, structure: Any) -> Blackbox:
    """The flat equations of a call, made once for each combination of arguments."""
    system, plan = flat_equations(call, lambda leaves: _unflatten(structure, iter(leaves)))
    return Blackbox(system, plan, *call.solvers)
