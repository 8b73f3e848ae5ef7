"""``value_and_gradient``: a loss through ``solve``, its gradient, and how far that is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ..error_bars.distance import log_parameter_scale, relative_distance
from ..steps.tableaus import tableau
from .solution import Solution
from .solve import solve
from .steps_again import cut

Named = dict[str, torch.Tensor]


def value_and_gradient(
    loss: Callable[[torch.Tensor, Named], torch.Tensor],
    rhs: Any,
    y0: torch.Tensor,
    save_at: Any,
    params: Named | None = None,
    **options: Any,
) -> tuple[torch.Tensor, Named, torch.Tensor]:
    """A loss, its gradient with respect to `params`, and the gradient's estimated relative error.

    The gradient is taken a second time on the same steps cut in two, which costs two gradients
    more; the steps of the second one run eagerly.

    Parameters
    ----------
    loss : callable
        ``loss(ys, params)``, a number; `params` are the module's own where `rhs` is a module.
    rhs, y0, save_at, params
        As for :func:`~adjointbench.adjoints.torch.solve`; `params` are a dictionary of tensors.
    **options
        Further arguments of ``solve``, but for ``steps``.

    Returns
    -------
    tuple
        The loss, the gradient by the parameters' names, and the estimate: of the difference to the
        true gradient in the norm of log-parameters. NaN where the solver broke down.
    """
    module = isinstance(rhs, torch.nn.Module)
    named = dict(rhs.named_parameters()) if module else dict(params or {})
    own = {
        name: value if module else value.detach().requires_grad_()
        for name, value in named.items()
        if value.is_floating_point()
    }
    given = None if module else {**named, **own}

    def gradient(more: dict[str, Any]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], Solution]:
        with torch.enable_grad():
            solution = solve(rhs, y0, save_at, given, **{**options, **more})
            value = loss(solution.ys, {**named, **own})
            found = torch.autograd.grad(value, list(own.values()), materialize_grads=True)
        return value.detach(), found, solution

    value, plain, solution = gradient({})
    gain = 2.0 ** tableau(options.get("solver", "tsit5")).order
    _, finer, _ = gradient(_finer(solution, gain, options))
    scale = log_parameter_scale([p.detach() for p in own.values()], finer)
    distance = relative_distance(plain, finer, scale)
    return value, dict(zip(own, plain, strict=True)), distance / (1 - 1 / gain)


def _finer(solution: Solution, gain: float, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a solve on the same steps cut in two."""
    more: dict[str, Any] = {"steps": cut(*solution.steps, 2)}
    for argument, default in (("rtol", 1e-6), ("atol", 1e-9)):
        own = options.get(f"adjoint_{argument}")
        own = options.get(argument, default) if own is None else own
        more[f"adjoint_{argument}"] = pytree.tree_map(lambda x: torch.as_tensor(x) / gain, own)
    return {
        **more,
        "step_size": None,
        "number_of_steps": None,
        "max_step": None,
        "differentiate_step_size": False,
    }
