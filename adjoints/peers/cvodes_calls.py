"""A problem's loss and gradients as single CasADi functions around the integrators.

The segments between discontinuities and jumps are chained with the jumps, the loss and their
derivatives into one function from flat start value and parameters to what is wanted, so that a
call of it is all that is ever timed.
"""

from __future__ import annotations

import itertools

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
    known = equations.linear and not segments[-1].jumps
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
    blocks = [block] * len(solve.plan.start_saves)
    units = ca.horzcat(theta / solve.theta_scale, ca.DM.eye(m), ca.DM.zeros(m, n))
    for segment, integrator in zip(solve.plan.segments, integrators, strict=True):
        xf = integrator(x0=solve.to_units @ block, p=units)["xf"]
        found = ca.horzsplit(solve.units @ xf, 1 + m + n)
        block = _sensitivities_after_jumps(solve, segment, found[-1], theta, by_theta)
        blocks += [*found[:-1], *([block] * len(segment.end_saves))]
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
        The saved states; of each segment the states at its start and before its jumps; the state
        at the end, after the jumps.
    """
    rows, ends = [y] * len(solve.plan.start_saves), []
    for segment, integrator in zip(solve.plan.segments, integrators, strict=False):
        columns = _columns(solve, integrator(**solve.scaled(y, theta))["xf"])
        ends.append((y, columns[-1]))
        y = columns[-1]
        for i in segment.jumps:
            y = solve.equations.jump(i)(y, theta)
        rows += [*columns[:-1], *([y] * len(segment.end_saves))]
    return rows, ends, y


def _columns(solve: Solve, xf: ca.MX) -> list[ca.MX]:
    return ca.horzsplit(solve.units @ xf)


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
        for save in segment.end_saves:
            costate += weights[save]
        costate, by_jumps = _back_through_jumps(solve, segment, before, theta, costate)
        dtheta += by_jumps
        seeds = ca.horzcat(*(weights[i] for i in segment.saves), costate)
        call = integrator(**solve.scaled(start, theta), adj_xf=solve.units.T @ seeds)
        costate = solve.to_units.T @ call["adj_x0"]
        dtheta += call["adj_p"] / solve.theta_scale
        calls.append(call)
    for save in solve.plan.start_saves:
        costate += weights[save]
    return costate, dtheta, calls[0]


def _back_through_jumps(
    solve: Solve, segment: Segment, y: ca.MX, theta: ca.MX, costate: ca.MX
) -> tuple[ca.MX, ca.MX]:
    """The costate before all jumps at the end of a segment, and the parameters' share in them.

    `y` is the state before them.
    """
    jumps = [solve.equations.jump(i) for i in segment.jumps]
    states = list(itertools.accumulate(jumps, lambda state, jump: jump(state, theta), initial=y))
    dtheta = ca.MX.zeros(theta.shape[0])
    for jump, before, after in reversed(list(zip(jumps, states, states[1:], strict=False))):
        costate, by_jump = jump.reverse(1)(before, theta, after, costate)
        dtheta += by_jump
    return costate, dtheta


def _sensitivities_after_jumps(
    solve: Solve, segment: Segment, block: ca.MX, theta: ca.MX, by_theta: ca.DM
) -> ca.MX:
    """State and sensitivities after all jumps at the end of a segment."""
    for i in segment.jumps:
        jump = solve.equations.jump(i)
        before, slopes = block[:, 0], block[:, 1:]
        after = jump(before, theta)
        moved = jump.forward(slopes.shape[1])(before, theta, after, slopes, by_theta)
        block = ca.horzcat(after, moved)
    return block
