"""How far a method's gradient is off while the weights change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..adjoints.gradient import prepare
from ..adjoints.methods import method_of
from .loss_gradient import LossGradient

#: By how much the reference's tolerances are tighter, and the tightest that float64 allows.
_TIGHTER, _TIGHTEST = 1e-3, 1e-12


class GradientError:
    """The relative error on the first batch, against a discrete adjoint at tight tolerances.

    Parameters
    ----------
    loss_gradient : LossGradient

    Raises
    ------
    ValueError
        Where there is a regulariser.
    """

    def __init__(self, loss_gradient: LossGradient) -> None:
        settings, preset = loss_gradient.settings, loss_gradient.settings.preset
        penalty = settings.regularizer
        if penalty is not None:
            raise ValueError(
                f"gradient_error=True: with regularizer={penalty.name!r} there is no reference "
                "that does not depend on the tolerance; leave one of them out"
            )
        self._run = loss_gradient.run
        self._reference = prepare(
            loss_gradient.task.problem.with_dtype("float64"),
            method_of("discrete", settings.backend).name,
            solver=loss_gradient.evaluation_solver,
            rtol=max(_TIGHTEST, _TIGHTER * preset.rtol),
            atol=max(_TIGHTEST, _TIGHTER * preset.atol),
        )

    def __call__(self, params: Mapping[str, np.ndarray]) -> float:
        """The norm of the difference over the norm of the reference; NaN after a breakdown."""
        found, exact = self._run(params=params), self._reference(params=params)
        off = sum(float(np.sum((found.dparams[k] - exact.dparams[k]) ** 2)) for k in params)
        size = sum(float(np.sum(exact.dparams[k] ** 2)) for k in params)
        return float(np.sqrt(off / size)) if size else float("nan")
