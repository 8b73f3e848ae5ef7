"""torchdiffeq's call, made with ``solve``: what its programs need changed is the import."""

from __future__ import annotations

from typing import Any

from adjointbench.adjoints.torch import solve


def odeint(func, y0, t, *, rtol=1e-7, atol=1e-9, method="dopri5", options=None, **more: Any):
    """The solution at the times `t`, of which the first is the start."""
    options, solver = options or {}, {"dopri8": "dop853"}.get(method, method)
    if method in ("euler", "rk4") and "step_size" not in options:
        more["steps"] = (t.detach()[:-1], t.detach().diff())
    tolerances = {"rtol": rtol, "atol": atol}
    return solve(func, y0, t, t0=t[0], solver=solver, **tolerances, **options, **more).ys
