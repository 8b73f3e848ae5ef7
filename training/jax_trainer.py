"""Training on JAX: a step is one compiled program, from the samples' indices to new weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..adjoints.jax.device import find_device
from ..adjoints.jax.solution import Solution
from ..adjoints.jax.solve import solve
from ..adjoints.program import Work, of_problem
from ..adjoints.result import STATUSES
from .jax_start import scanned, training_gradient
from .loss_gradient import Evaluation, LossGradient
from .presets import WEIGHT_DECAY, Optimizer
from .stochastic_gradient import StochasticGradient

Tree = Any


class JaxTrainer:
    """The weights, the optimiser's state and the totals of an epoch, all on the device.

    Parameters
    ----------
    loss_gradient : LossGradient or StochasticGradient
    """

    def __init__(self, loss_gradient: LossGradient | StochasticGradient) -> None:
        self._loss_gradient = loss_gradient
        self._task, self._settings = loss_gradient.task, loss_gradient.settings
        self._optimizer = _transformation(self._settings.preset.optimizer)
        self._x64 = self._task.problem.dtype == np.float64
        device = find_device(self._settings.device)
        with self._context():
            put = self._put = partial(jax.device_put, device=device)
            self._train = put(dict(self._task.train))
            self._test = put(dict(self._task.test))
            self._fixed = put(loss_gradient.fixed_constants())
            params = put(self._task.params)
            self._state = (params, put(self._optimizer.init(params)), self._no_totals())
            self._step = jax.jit(self._one_step, donate_argnums=0)
            self._solve = jax.jit(self._evaluate)

    def step(
        self,
        indices: np.ndarray,
        drawn: Mapping[str, np.ndarray],
        coefficients: tuple[float, ...],
        rate: float,
    ) -> None:
        """One step of the optimiser on the samples at `indices`; nothing is waited for."""
        with self._context():
            dtype = self._task.problem.dtype
            numbers = np.asarray([*(coefficients or (0.0,)), rate], dtype)
            self._state = self._step(
                self._state,
                self._train,
                self._fixed,
                indices.astype(np.int32),
                dict(drawn),
                numbers,
            )

    def totals(self) -> tuple[str, float, Work]:
        """Status, summed loss and counts since the last call; waits for the device."""
        params, optimizer, totals = self._state
        found = jax.device_get(totals)
        with self._context():
            self._state = params, optimizer, self._no_totals()
        work = Work(*(int(found[name]) for name in Work._fields))
        return STATUSES[int(found["status"])], float(found["loss"]), work

    def wait(self) -> None:
        """Until all that was asked for is done."""
        jax.block_until_ready(self._state)

    def evaluate(self, samples: str, indices: np.ndarray) -> Evaluation:
        """Solve the ``"train"`` or ``"test"`` samples at `indices`, with no gradient."""
        data = self._train if samples == "train" else self._test
        with self._context():
            found = jax.device_get(self._solve(self._state[0], data, indices.astype(np.int32)))
        loss, correct, status, evals, estimates, times, count = found
        return Evaluation(
            float(loss),
            correct,
            STATUSES[int(status)],
            int(evals),
            {name: float(value) for name, value in estimates.items()},
            times[: int(count)],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and the optimiser's state, to be continued from."""
        leaves = jax.tree.leaves(self._state[:2])
        return {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from what :meth:`arrays` gave."""
        like = self._state[:2]
        structure = jax.tree.structure(like)
        with self._context():
            leaves = [
                jax.device_put(arrays[f"leaf{i}"], leaf.sharding)
                for i, leaf in enumerate(jax.tree.leaves(like))
            ]
        self._state = (*jax.tree.unflatten(structure, leaves), self._state[2])

    def params(self) -> dict[str, np.ndarray]:
        """The weights."""
        return {name: np.asarray(value) for name, value in self._state[0].items()}

    def _no_totals(self) -> dict[str, jax.Array]:
        zeros = {name: np.int32(0) for name in (*Work._fields, "status")}
        return self._put({**zeros, "loss": np.zeros((), self._task.problem.dtype)})

    def _one_step(
        self,
        state: Tree,
        data: Tree,
        fixed: Tree,
        indices: jax.Array,
        drawn: Tree,
        numbers: jax.Array,
    ) -> Tree:
        params, optimizer, totals = state
        y0, batch = self._batch(data, indices)
        constants = {**fixed, **batch, **drawn}
        found = training_gradient(self._loss_gradient, params, y0, constants, numbers[:-1])
        loss, gradient = found.loss, found.dparams
        finite = jnp.stack([jnp.isfinite(g).all() for g in jax.tree.leaves(gradient)]).all()
        status = jnp.where(
            (found.status == 0) & ~(finite & jnp.isfinite(loss)),
            STATUSES.index("nonfinite"),
            found.status,
        ).astype(jnp.int32)
        # After a breakdown the weights stay as they were, so that it can be looked into.
        status = jnp.where(totals["status"] == 0, status, totals["status"])
        # Optax multiplies floating numbers and integers, whatever the host allows.
        with jax.numpy_dtype_promotion("standard"):
            updates, following = self._optimizer.update(gradient, optimizer, params)
        moved = jax.tree.map(lambda p, u: p - numbers[-1] * u, params, updates)
        chosen = jax.tree.map(
            lambda new, old: jnp.where(status == 0, new, old),
            (moved, following),
            (params, optimizer),
        )
        added = {
            name: totals[name] + jnp.asarray(count, jnp.int32)
            for name, count in found.work._asdict().items()
        }
        return *chosen, {**added, "status": status, "loss": totals["loss"] + loss}

    def _evaluate(self, params: Tree, data: Tree, indices: jax.Array) -> Tree:
        problem, start = self._task.problem, self._task.start
        y0, batch = self._batch(data, indices)
        if start is not None:
            y0 = start.mean(params, batch, scanned)
        known = {name: jnp.asarray(value) for name, value in problem.constants.items()}
        p = {**params, **known, **batch}
        if isinstance(self._loss_gradient, StochasticGradient):
            solution, evals = self._loss_gradient.solution(params, y0, indices)
        else:
            solution = _solution(self._loss_gradient, y0, p)
            evals = solution.stats["rhs_evals"]
        nan = jnp.asarray(jnp.nan, problem.dtype)
        judge = self._task.correct
        return (
            problem.loss(solution.ys, p),
            None if judge is None else judge(solution.ys, p),
            solution.status_code,
            evals,
            {name: nan if value is None else value for name, value in solution.estimates.items()},
            solution.steps[0],
            solution.stats["steps"],
        )

    def _batch(self, data: Tree, indices: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        """Start values and constants of some samples; all of them where there are no samples."""
        if not self._task.train:
            batch = dict(data)
            return batch.pop("y0", jnp.asarray(self._task.problem.y0)), batch
        batch = {name: values[indices] for name, values in data.items()}
        return batch.pop("y0", None), batch

    def _context(self) -> Any:
        return jax.enable_x64(self._x64)


def _solution(loss_gradient: LossGradient, y0: jax.Array, p: Tree) -> Solution:
    """A solution with no gradient."""
    problem, preset = loss_gradient.task.problem, loss_gradient.settings.preset
    return solve(
        problem.rhs,
        y0,
        problem.save_at.astype(problem.dtype),
        p,
        **of_problem(problem),
        solver=loss_gradient.evaluation_solver,
        rtol=preset.rtol,
        atol=preset.atol,
        max_steps=4 * preset.max_steps,
        error_norm="scaled",
        reduction="mean",
    )


def _transformation(optimizer: Optimizer) -> Any:
    """The direction of a step, which the learning rate is yet to be multiplied with."""
    if optimizer.name == "sgd":
        return optax.trace(decay=optimizer.momentum)
    if optimizer.name == "adam":
        return optax.scale_by_adam()
    if optimizer.name == "adabelief":
        return optax.scale_by_belief()
    if optimizer.name == "adamax":
        return optax.scale_by_adamax()
    return optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(WEIGHT_DECAY))
