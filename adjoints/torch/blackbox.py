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
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch

from ..scipy.blackbox_call import TIMES, BlackboxOptions, Call, checked_call, solve_of_call
from .blackbox_function import Blackbox, joined, solve_blackbox
from .device import dtype_name
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
    **options: Unpack[BlackboxOptions],
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
    **options
        Solver, tolerances, limits, Jacobian, discontinuities and jumps: see
        :class:`~adjointbench.adjoints.scipy.blackbox_call.BlackboxOptions`.

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
    given: dict[str, Any] = {"t0": t0, "save_at": save_at, **options}
    given |= {
        argument: _plain(argument, given[argument]) for argument in TIMES if argument in given
    }
    leaves, structure = _flatten(params)
    leaf_types = [(tuple(leaf.shape), dtype_name(leaf)) for leaf in leaves]
    call = checked_call(rhs, y0, leaf_types, **given)
    _check_closures(call, structure, y0, leaves)
    box = _blackbox(call, structure)
    ys, _, done = solve_blackbox(box, joined(leaves), y0)
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
    t0 = torch.tensor(call.times.t0, device="cpu")
    given = [value.detach().cpu() for value in (t0, y0, *leaves)]
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
    return Blackbox(solve_of_call(call, lambda leaves: _unflatten(structure, iter(leaves))))
