"""Certified Hessians: second-order adjoints against differences of certified gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..problems import Problem
from ..problems.reference import Reference
from .gradient import Run, prepare
from .program import of_problem
from .scipy.flat import pack, unpack

#: Where the eighth-order difference of a gradient takes it, in steps, and with what weights.
_NODES = np.array([-4, -3, -2, -1, 1, 2, 3, 4])
_WEIGHTS = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 4 / 5, -1 / 5, 4 / 105, -1 / 280])

#: The step of the differences, relative to the parameter.
_STEP = 5e-3


def with_hessian(problem: Problem, reference: Reference) -> dict[str, Any]:
    """The Hessian of a problem's loss by its parameters, computed in two independent ways.

    By the tangent of the discrete adjoint on JAX, and by differences of order eight of the
    gradients by the first of the two computations of the `reference`.

    Returns
    -------
    dict
        ``matrix``, by the parameters in the order of their arrays; ``agreement``, the relative
        difference of the two in the Frobenius norm of log-parameters; ``computations``.
    """
    by_adjoint, described = _by_adjoint(problem)
    first = reference.computations[0]
    options = {key: value for key, value in first.items() if key not in ("loss", "steps")}
    by_differences = _by_differences(problem, prepare(problem, **options))
    sizes = np.abs(pack(problem.params))
    scale = np.outer(sizes, sizes)
    apart = np.linalg.norm(scale * (by_adjoint - by_differences))
    differences = {"differences": len(_NODES), "step": _STEP, **options}
    return {
        "matrix": by_adjoint.tolist(),
        "agreement": float(apart / np.linalg.norm(scale * by_adjoint)),
        "computations": (described, differences),
    }


def loss_by_parameters(problem: Problem, **options: Any) -> Callable[[Any], Any]:
    """The loss as a function of the flat parameters on JAX, with ``solve`` inside."""
    import jax.numpy as jnp

    from .jax import solve

    shapes = {name: value.shape for name, value in problem.params.items()}
    constants = {name: jnp.asarray(value) for name, value in problem.constants.items()}

    def loss(theta: Any) -> Any:
        params = unpack(theta, shapes)
        solution = solve(
            lambda t, y, p: problem.rhs(t, y, {**p, **constants}),
            jnp.asarray(problem.y0),
            problem.save_at,
            params,
            **{**of_problem(problem), **options},
        )
        return problem.loss(solution.ys, {**params, **constants})

    return loss


def _by_adjoint(problem: Problem) -> tuple[np.ndarray, dict[str, Any]]:
    import jax

    from .jax import hessian

    solver = "rodas5p" if problem.stiff else "dop853"
    options = {"solver": solver, "rtol": 1e-11, "atol": 1e-14, "max_steps": 16384}
    with jax.enable_x64(True):
        loss = loss_by_parameters(problem, **options)
        matrix = jax.jit(lambda theta: hessian(loss, theta))(
            jax.numpy.asarray(pack(problem.params))
        )
    return np.asarray(matrix), {"method": "hessian of jax-discrete", **options}


def _by_differences(problem: Problem, run: Run) -> np.ndarray:
    theta = pack(problem.params)
    shapes = {name: value.shape for name, value in problem.params.items()}
    columns = []
    for i, size in enumerate(np.abs(theta)):
        step = _STEP * (size or 1.0)
        moved = theta + step * np.outer(_NODES, np.eye(len(theta))[i])
        gradients = [pack(run(params=unpack(at, shapes)).dparams) for at in moved]
        columns.append(_WEIGHTS @ np.array(gradients) / step)
    return np.array(columns).T
