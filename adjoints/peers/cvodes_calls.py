"""A problem's loss and gradients as single CasADi functions around the integrators.

The segments between discontinuities and jumps are chained with the jumps, the loss and their
derivatives into one function from flat start value and parameters to what is wanted, so that a
call of it is all that is ever timed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import casadi as ca

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
    known = equations.linear and not solve.maps_after(segments[-1])
    plain = solve.integrators()[: -1 if known else None]
    rows, ends, y = _forward(solve, plain, y0, theta)
    if known:
        ends.append((y, y))
        # Its value says nothing about the derivatives in the states.
        ys = ca.DM.zeros(solve.problem.n_states * len(solve.problem.save_at))
    else:
        ys = ca.vertcat(*rows)
    dys, _ = equations.loss_gradient(ys, theta)
    costate, dtheta, last = _reverse(solve, taped, ends, dys, y0, theta)
    if known:
        ys = ca.vertcat(*rows, *ca.horzsplit(solve.states(last)))
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
    block = _sensitivities_after(solve.maps_at_start(), block, theta, by_theta)
    blocks = [block] * len(solve.plan.start_saves)
    units = ca.horzcat(theta / solve.theta_scale, ca.DM.eye(m), ca.DM.zeros(m, n))
    for segment, integrator in zip(solve.plan.segments, integrators, strict=True):
        states = solve.states(integrator(**solve.start(block), p=units))
        found = ca.horzsplit(states, 1 + m + n)
        block = _sensitivities_after(solve.maps_after(segment), found[-1], theta, by_theta)
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
    y = _mapped(solve.maps_at_start(), y, theta)[-1]
    rows, ends = [y] * len(solve.plan.start_saves), []
    for segment, integrator in zip(solve.plan.segments, integrators, strict=False):
        columns = ca.horzsplit(solve.states(integrator(**solve.scaled(y, theta))))
        ends.append((y, columns[-1]))
        y = _mapped(solve.maps_after(segment), columns[-1], theta)[-1]
        rows += [*columns[:-1], *([y] * len(segment.end_saves))]
    return rows, ends, y


def _mapped(maps: Sequence[ca.Function], y: ca.MX, theta: ca.MX) -> list[ca.MX]:
    """The state before all maps and after each of them."""
    return list(itertools.accumulate(maps, lambda state, map_: map_(state, theta), initial=y))


def _reverse(
    solve: Solve,
    taped: tuple[ca.Function, ...],
    ends: list[tuple[ca.MX, ca.MX]],
    dys: ca.MX,
    y0: ca.MX,
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
        costate, by_maps = _back_through(solve.maps_after(segment), before, theta, costate)
        dtheta += by_maps
        seeds = ca.horzcat(*(weights[i] for i in segment.saves), costate)
        call = integrator(**solve.scaled(start, theta), **solve.seeds(seeds))
        costate = solve.costate(call)
        dtheta += call["adj_p"] / solve.theta_scale
        calls.append(call)
    for save in solve.plan.start_saves:
        costate += weights[save]
    costate, by_maps = _back_through(solve.maps_at_start(), y0, theta, costate)
    return costate, dtheta + by_maps, calls[0]


def _back_through(
    maps: Sequence[ca.Function], y: ca.MX, theta: ca.MX, costate: ca.MX
) -> tuple[ca.MX, ca.MX]:
    """The costate before all maps of the state `y`, and the parameters' share in them."""
    states = _mapped(maps, y, theta)
    dtheta = ca.MX.zeros(theta.shape[0])
    for map_, before, after in reversed(list(zip(maps, states, states[1:], strict=False))):
        costate, by_map = map_.reverse(1)(before, theta, after, costate)
        dtheta += by_map
    return costate, dtheta


def _sensitivities_after(
    maps: Sequence[ca.Function], block: ca.MX, theta: ca.MX, by_theta: ca.DM
) -> ca.MX:
    """State and sensitivities after all maps."""
    for map_ in maps:
        before, slopes = block[:, 0], block[:, 1:]
        after = map_(before, theta)
        moved = map_.forward(slopes.shape[1])(before, theta, after, slopes, by_theta)
        block = ca.horzcat(after, moved)
    return block
