"""A problem's loss and gradients as single CasADi functions around the integrators.

The segments between discontinuities and jumps are chained with the jumps, the loss and their
derivatives into one function from flat start value and parameters to what is wanted, so that a
call of it is all that is ever timed.
"""

from __future__ import annotations

import casadi as ca

from ..scipy.segments import Segment
from .cvodes_integrators import Call, Solve


def primal(solve: Solve) -> Call:
    """``(y0, theta) -> loss``."""
    y0, theta = solve.inputs()
    integrators = solve.integrators()
    rows, _, _ = _forward(solve, integrators, y0, theta)
    loss = solve.equations.loss(ca.vertcat(*rows), theta)
    return Call([y0, theta], [loss], integrators)


def adjoint(solve: Solve, steps_per_checkpoint: int) -> Call:
    """``(y0, theta) -> (loss, dloss/dy0, dloss/dtheta)`` by CVODES' adjoint.

    CasADi's integrator wants the derivatives of the loss before it starts. Where the loss is
    linear in the states they are known, and the last segment takes one taped solve and one back.
    Everything else takes a plain forward solve first.
    """
    y0, theta = solve.inputs()
    equations, segments = solve.equations, solve.plan.segments
    taped = solve.integrators(nadj=1, steps_per_checkpoint=steps_per_checkpoint, quad_err_con=True)
    known = equations.linear and segments[-1].jump is None
    plain = solve.integrators()[: -1 if known else None]
    rows, ends, y = _forward(solve, plain, y0, theta)
    if known:
        ends.append((y, y))
        # Its value says nothing about the derivatives in the states.
        ys = ca.DM.zeros(solve.problem.n_states * len(solve.problem.save_at))
    else:
        ys = ca.vertcat(*rows)
    dys, _ = equations.loss_gradient(ys, theta)
    costate, dtheta, last = _reverse(solve, taped, ends, dys, theta)
    if known:
        ys = ca.vertcat(*rows, *_columns(solve, last["xf"]))
    _, direct = equations.loss_gradient(ys, theta)
    outputs = [equations.loss(ys, theta), costate, direct + dtheta]
    return Call([y0, theta], outputs, plain, taped)


def forward(solve: Solve) -> Call:
    """``(y0, theta) -> (loss, dloss/dy0, dloss/dtheta)`` by forward sensitivities.

    All directions at once: the scaled parameters, then the components of the start value.
    """
    y0, theta = solve.inputs()
    n, m = y0.shape[0], theta.shape[0]
    integrators = solve.integrators(nfwd=m + n)
    by_theta = ca.horzcat(ca.diag(solve.theta_scale), ca.DM.zeros(m, n))
    block = ca.horzcat(y0, ca.DM.zeros(n, m), ca.DM.eye(n))
    blocks = [block] if solve.plan.first_save else []
    units = ca.horzcat(theta / solve.theta_scale, ca.DM.eye(m), ca.DM.zeros(m, n))
    for segment, integrator in zip(solve.plan.segments, integrators, strict=True):
        xf = integrator(x0=ca.diag(1 / solve.y_scale) @ block, p=units)["xf"]
        found = ca.horzsplit(ca.diag(solve.y_scale) @ xf, 1 + m + n)
        block = _sensitivities_after_jump(solve, segment, found[-1], theta, by_theta)
        blocks += [*found[:-1], *([] if segment.end_save is None else [block])]
    ys = ca.vertcat(*(block[:, 0] for block in blocks))
    dys, direct = solve.equations.loss_gradient(ys, theta)
    slopes = dys.T @ ca.vertcat(*(block[:, 1:] for block in blocks)) + direct.T @ by_theta
    outputs = [solve.equations.loss(ys, theta), slopes[m:].T, slopes[:m].T / solve.theta_scale]
    return Call([y0, theta], outputs, integrators)


def _forward(
    solve: Solve, integrators: tuple[ca.Function, ...], y: ca.MX, theta: ca.MX
) -> tuple[list[ca.MX], list[tuple[ca.MX, ca.MX]], ca.MX]:
    """As many segments as there are integrators, in order.

    Returns
    -------
    list of MX, list of (MX, MX), MX
        The saved states; of each segment the states at its start and before its jump; the state
        at the end, after the jump.
    """
    rows, ends = [y] if solve.plan.first_save else [], []
    for segment, integrator in zip(solve.plan.segments, integrators, strict=False):
        columns = _columns(solve, integrator(**solve.scaled(y, theta))["xf"])
        ends.append((y, columns[-1]))
        y = columns[-1]
        if segment.jump is not None:
            y = solve.equations.jump(segment.jump)(y, theta)
        rows += [*columns[:-1], *([] if segment.end_save is None else [y])]
    return rows, ends, y


def _columns(solve: Solve, xf: ca.MX) -> list[ca.MX]:
    return [column * solve.y_scale for column in ca.horzsplit(xf)]


def _reverse(
    solve: Solve,
    taped: tuple[ca.Function, ...],
    ends: list[tuple[ca.MX, ca.MX]],
    dys: ca.MX,
    theta: ca.MX,
) -> tuple[ca.MX, ca.MX, dict[str, ca.MX]]:
    """The adjoint swept back over all segments.

    Returns
    -------
    MX, MX, dict of str to MX
        Gradients with respect to start value and parameters through the states; everything that
        the integrator of the last segment returned.
    """
    weights = ca.vertsplit(dys, solve.problem.n_states)
    costate, dtheta = ca.MX.zeros(solve.problem.n_states), ca.MX.zeros(theta.shape[0])
    calls = []
    for segment, integrator, (start, before) in zip(
        reversed(solve.plan.segments), reversed(taped), reversed(ends), strict=True
    ):
        if segment.end_save is not None:
            costate += weights[segment.end_save]
        if segment.jump is not None:
            jump = solve.equations.jump(segment.jump)
            costate, by_jump = jump.reverse(1)(before, theta, jump(before, theta), costate)
            dtheta += by_jump
        seeds = ca.horzcat(*(weights[i] for i in segment.saves), costate)
        call = integrator(**solve.scaled(start, theta), adj_xf=ca.diag(solve.y_scale) @ seeds)
        costate = call["adj_x0"] / solve.y_scale
        dtheta += call["adj_p"] / solve.theta_scale
        calls.append(call)
    if solve.plan.first_save:
        costate += weights[0]
    return costate, dtheta, calls[0]


def _sensitivities_after_jump(
    solve: Solve, segment: Segment, block: ca.MX, theta: ca.MX, by_theta: ca.DM
) -> ca.MX:
    """State and sensitivities after the jump at the end of a segment."""
    if segment.jump is None:
        return block
    jump = solve.equations.jump(segment.jump)
    before, slopes = block[:, 0], block[:, 1:]
    after = jump(before, theta)
    moved = jump.forward(slopes.shape[1])(before, theta, after, slopes, by_theta)
    return ca.horzcat(after, moved)
