"""Training on PyTorch: the compiled solve and its reverse sweep, and torch.optim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..adjoints.program import Work, of_problem
from ..adjoints.result import STATUSES
from ..adjoints.torch.device import find_device, put, put_named
from ..adjoints.torch.solve import solve
from .loss_gradient import Evaluation, LossGradient
from .presets import WEIGHT_DECAY, Optimizer
from .start import looped
from .torch_start import training_gradient


class TorchTrainer:
    """The weights, the optimiser's state and the totals of an epoch.

    Parameters
    ----------
    loss_gradient : LossGradient
    """

    def __init__(self, loss_gradient: LossGradient) -> None:
        self._loss_gradient = loss_gradient
        self._task, self._settings = loss_gradient.task, loss_gradient.settings
        self._device = find_device(self._settings.device)
        self._train = put_named(self._task.train, self._device)
        self._test = put_named(self._task.test, self._device)
        self._fixed = put_named(loss_gradient.fixed_constants(), self._device)
        self._constants = put_named(self._task.problem.constants, self._device)
        self._params = {
            name: value.requires_grad_()
            for name, value in put_named(self._task.params, self._device).items()
        }
        self._optimizer = _optimizer(self._settings.preset.optimizer, self._params)
        self._status, self._work = "ok", Work()
        self._loss = self._zero()

    def step(
        self,
        indices: np.ndarray,
        drawn: Mapping[str, np.ndarray],
        coefficients: tuple[float, ...],
        rate: float,
    ) -> None:
        """One step of the optimiser on the samples at `indices`."""
        if self._status != "ok":
            # After a breakdown the weights stay as they were, so that it can be looked into.
            return
        y0, batch = self._batch(self._train, indices)
        constants = {**self._fixed, **batch, **put_named(drawn, self._device)}
        params = {name: value.detach() for name, value in self._params.items()}
        found = training_gradient(
            self._loss_gradient, params, y0, constants, coefficients or (0.0,)
        )
        loss, gradient, status = found.loss, found.dparams, STATUSES[found.status]
        finite = (
            torch.isfinite(loss)
            & torch.stack([torch.isfinite(g).all() for g in gradient.values()]).all()
        )
        self._status = status if status != "ok" or bool(finite) else "nonfinite"
        self._loss = self._loss + loss
        self._work = Work(*map(sum, zip(self._work, found.work, strict=True)))
        if self._status != "ok":
            return
        for name, value in self._params.items():
            value.grad = gradient[name]
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()

    def totals(self) -> tuple[str, float, Work]:
        """Status, summed loss and counts since the last call."""
        found = self._status, float(self._loss), self._work
        self._status, self._work, self._loss = "ok", Work(), self._zero()
        return found

    def wait(self) -> None:
        """Until all that was asked for is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def evaluate(self, samples: str, indices: np.ndarray) -> Evaluation:
        """Solve the ``"train"`` or ``"test"`` samples at `indices`, with no gradient."""
        problem, preset, start = self._task.problem, self._settings.preset, self._task.start
        y0, batch = self._batch(self._train if samples == "train" else self._test, indices)
        p = {**self._params, **self._constants, **batch}
        with torch.no_grad():
            if start is not None:
                y0 = start.mean(p, batch, looped)
            solution = solve(
                problem.rhs,
                y0,
                problem.save_at,
                p,
                **of_problem(problem),
                solver=self._loss_gradient.evaluation_solver,
                rtol=preset.rtol,
                atol=preset.atol,
                max_steps=4 * preset.max_steps,
                error_norm="scaled",
                reduction="mean",
                compile=self._loss_gradient.compiles,
            )
            loss, judge = problem.loss(solution.ys, p), self._task.correct
            correct = None if judge is None else judge(solution.ys, p).cpu().numpy()
        return Evaluation(
            float(loss),
            correct,
            solution.status,
            int(solution.stats["rhs_evals"]),
            {k: float("nan") if v is None else float(v) for k, v in solution.estimates.items()},
            solution.steps[0].cpu().numpy(),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and the optimiser's state, to be continued from."""
        found = {f"param/{name}": _numpy(value) for name, value in self._params.items()}
        for name, value in self._params.items():
            state = self._optimizer.state.get(value, {})
            for key, kept in state.items():
                if isinstance(kept, torch.Tensor):
                    found[f"optimizer/{name}/{key}"] = _numpy(kept)
        return found

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from what :meth:`arrays` gave."""
        self._optimizer.state.clear()
        for name, value in self._params.items():
            with torch.no_grad():
                value.copy_(put(arrays[f"param/{name}"], self._device))
            prefix = f"optimizer/{name}/"
            state = {
                key.removeprefix(prefix): torch.as_tensor(np.array(kept))
                for key, kept in arrays.items()
                if key.startswith(prefix)
            }
            if state:
                self._optimizer.state[value] = {
                    key: kept if key == "step" else kept.to(self._device)
                    for key, kept in state.items()
                }

    def params(self) -> dict[str, np.ndarray]:
        """The weights."""
        return {name: _numpy(value) for name, value in self._params.items()}

    def _zero(self) -> torch.Tensor:
        return put(self._task.problem.y0.ravel()[:1] * 0, self._device).sum()

    def _batch(
        self, data: Mapping[str, torch.Tensor], indices: np.ndarray
    ) -> tuple[Any, dict[str, torch.Tensor]]:
        """Start values and constants of some samples; all of them where there are no samples."""
        if not self._task.train:
            batch = dict(data)
            start = batch.pop("y0", None)
            return put(self._task.problem.y0, self._device) if start is None else start, batch
        rows = torch.as_tensor(indices, device=self._device)
        batch = {name: values[rows] for name, values in data.items()}
        return batch.pop("y0", None), batch


def _numpy(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()


def _optimizer(optimizer: Optimizer, params: Mapping[str, torch.Tensor]) -> torch.optim.Optimizer:
    values, rate = list(params.values()), optimizer.learning_rate
    if optimizer.name == "sgd":
        return torch.optim.SGD(values, rate, momentum=optimizer.momentum)
    if optimizer.name == "adam":
        return torch.optim.Adam(values, rate)
    if optimizer.name == "adamax":
        return torch.optim.Adamax(values, rate)
    return torch.optim.AdamW(values, rate, weight_decay=WEIGHT_DECAY)
