"""Stochastic differential equations by torchsde [1]_, through its public interface.

What is mapped to what: diagonal noise to ``noise_type="diagonal"``; the start to the first time of
``ts``; a constant step to ``dt``, a tolerance to ``adaptive=True`` with ``rtol`` and ``atol``.

What differs from the open solver: states at saves between steps are interpolated linearly, which
Brownian motion is not, so that with tolerances it is called from one save to the next; its error
estimate takes each step once more in two halves; ``"reversible-heun"`` converges to the
Stratonovich solution, and gets the drift of the same Itô equation (as :mod:`.diffrax_sde` does);
it does not tell how many steps it took.

References
----------
.. [1] X. Li, T.-K. L. Wong, R. T. Q. Chen, D. Duvenaud, "Scalable gradients for stochastic
   differential equations", AISTATS 2020; P. Kidger, J. Foster, X. Li, T. Lyons, "Efficient and
   accurate gradients for neural SDEs", NeurIPS 2021 (Brownian interval, reversible Heun);
   https://github.com/google-research/torchsde.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torchsde

from ...problems.stochastic import SdeProblem
from ..arguments import check_name

#: By name: its own name of the method, and of that of the adjoint's solve.
SOLVERS = {
    "milstein": ("milstein", "milstein"),
    "srk": ("srk", "milstein"),
    "reversible-heun": ("reversible_heun", "adjoint_reversible_heun"),
}

ADJOINTS = ("backprop", "adjoint")

#: ``increment(t0, t1) -> (W, H)``: increment and space-time Lévy area, as NumPy arrays.
Increments = Callable[[float, float], tuple[np.ndarray, np.ndarray]]


class GivenPath(torchsde.BaseBrownian):
    """Another path, read by torchsde.

    Parameters
    ----------
    increments : callable
        ``increments(t0, t1) -> (W, H)``, of the shape of the state.
    like : Tensor
        The state.
    """

    def __init__(self, increments: Increments, like: torch.Tensor) -> None:
        self._increments, self._like = increments, like

    def __call__(
        self, ta: Any, tb: Any = None, return_U: bool = False, return_A: bool = False
    ) -> Any:
        """The increment from `ta` to `tb`, and its time integral where that is asked for."""
        if tb is None or return_A:
            raise ValueError("only increments and time integrals between two times are known")
        start, end = float(ta), float(tb)
        w, area = (torch.as_tensor(part) for part in self._increments(start, end))
        return (w, (end - start) * (w / 2 + area)) if return_U else w

    def __repr__(self) -> str:
        return f"GivenPath({tuple(self.shape)})"

    @property
    def dtype(self) -> torch.dtype:
        """Of the state."""
        return self._like.dtype

    @property
    def device(self) -> torch.device:
        """Of the state."""
        return self._like.device

    @property
    def shape(self) -> torch.Size:
        """Of the state."""
        return self._like.shape

    @property
    def levy_area_approximation(self) -> str:
        """That of space and time is known."""
        return "space-time"


def own_path(problem: SdeProblem, seed: int) -> torchsde.BrownianInterval:
    """``BrownianInterval`` on the span of the problem."""
    t0, t1 = problem.t_span
    return torchsde.BrownianInterval(
        t0,
        t1,
        size=problem.y0.shape,
        dtype=getattr(torch, problem.dtype.name),
        entropy=seed,
        levy_area_approximation="space-time",
    )


def loss_function(
    problem: SdeProblem,
    *,
    solver: str,
    adjoint: str = "backprop",
    step: float | None = None,
    tol: float | None = None,
) -> Callable[[Mapping[str, torch.Tensor], torch.Tensor, Any], tuple[torch.Tensor, torch.Tensor]]:
    """``loss(params, y0, path) -> (loss, ys)`` on tensors, for autograd to reverse.

    Parameters
    ----------
    problem : SdeProblem
    solver, adjoint : str
        Of :data:`SOLVERS`; ``"backprop"`` through ``sdeint``, or ``"adjoint"``, by
        ``sdeint_adjoint``.
    step, tol : float, optional
        One of them: the constant step size, or the tolerance, relative and absolute.

    Raises
    ------
    ValueError
        Where a name is unknown, or the state is of another shape than ``(batch, components)``.
    """
    check_name("solver", solver, tuple(SOLVERS))
    check_name("adjoint", adjoint, ADJOINTS)
    if problem.y0.ndim != 2:
        raise ValueError(
            f"y0 has shape {problem.y0.shape}, and torchsde takes (batch, components); reshape it"
        )
    starts_with_save = problem.save_at[0] == problem.t_span[0]
    times = problem.save_at if starts_with_save else [problem.t_span[0], *problem.save_at]
    arguments = _arguments(solver, adjoint, step, tol)

    def loss(
        params: Mapping[str, torch.Tensor], y0: torch.Tensor, path: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        equations = _Equations(problem, params, stratonovich=solver == "reversible-heun")
        ys = _solve(equations, y0, times, path, adjoint, tol is not None, arguments)
        ys = ys if starts_with_save else ys[1:]
        return problem.loss(ys, equations.p), ys

    return loss


def _arguments(solver: str, adjoint: str, step: float | None, tol: float | None) -> dict[str, Any]:
    method, reverse = SOLVERS[solver]
    given: dict[str, Any] = {"method": method}
    if step is not None:
        given["dt"] = step
    if tol is not None:
        given |= {"dt": 2.0**-6, "adaptive": True, "rtol": tol, "atol": tol}
    if adjoint == "adjoint":
        given["adjoint_method"] = reverse
        if tol is not None:
            given |= {"adjoint_adaptive": True, "adjoint_rtol": tol, "adjoint_atol": tol}
    return given


def _solve(
    equations: _Equations,
    y0: torch.Tensor,
    times: Any,
    path: Any,
    adjoint: str,
    adaptive: bool,
    arguments: dict[str, Any],
) -> torch.Tensor:
    """States at `times`, in one call, or from one time to the next."""
    integrate: Callable[..., Any] = torchsde.sdeint
    if adjoint == "adjoint":
        integrate = torchsde.sdeint_adjoint
        arguments = {**arguments, "adjoint_params": tuple(equations.params.values())}
    ts = torch.as_tensor(np.asarray(times))
    if not adaptive:
        return integrate(equations, y0, ts, bm=path, **arguments)
    ys = [y0]
    for pair in itertools.pairwise(ts):
        ys.append(integrate(equations, ys[-1], torch.stack(pair), bm=path, **arguments)[1])
    return torch.stack(ys)


class _Equations:
    """Drift and diffusion by the names that torchsde calls them."""

    noise_type = "diagonal"

    def __init__(
        self, problem: SdeProblem, params: Mapping[str, torch.Tensor], *, stratonovich: bool
    ) -> None:
        constants = {name: torch.as_tensor(value) for name, value in problem.constants.items()}
        self.params = params
        self.p = {**params, **constants}
        self.sde_type = "stratonovich" if stratonovich else "ito"
        self._problem = problem

    def f(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        slope = self._problem.drift(t, y, self.p)
        if self.sde_type == "ito" or self._problem.additive:
            return slope
        with torch.enable_grad():
            y = y if y.requires_grad else y.detach().requires_grad_()
            noise = self.g(t, y)
            # Component i of the noise depends on component i alone.
            by_own = torch.autograd.grad(noise.sum(), y, create_graph=True, materialize_grads=True)
        return slope - noise * by_own[0] / 2

    def g(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._problem.diffusion(t, y, self.p)
