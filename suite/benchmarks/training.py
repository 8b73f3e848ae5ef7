"""A short training with each regulariser: what a step costs, and what it does to the solves."""

from ._checkout import CHOSEN, of_checkout
from ._ladder import _Measured
from ._rows import once
from .claims import Claim10 as _Claim10
from .claims import row_of as _row_of

_TRAININGS = of_checkout("suite.claims.trainings")
_REGULARIZERS = _TRAININGS.REGULARIZERS if CHOSEN.quick else ("none", "error", "local", "taylor")


class _OfClaims(_Measured):
    """Base in the quick subset: the trainings that the claims are measured by, one seed."""

    timeout = _Claim10.timeout

    def setup(self, file, backend, regularizer):
        from adjointbench.suite.claims.trainings import epochs_of

        epochs = [epoch for epoch in epochs_of([_row_of(file, "10")]) if epoch["seed"] == 0]
        self.rows = [epoch for epoch in epochs if epoch["regularizer"] == regularizer]
        self.last = self.rows[-1]
        self.plain = [epoch for epoch in epochs if epoch["regularizer"] == "none"][-1]


class _OfItsOwn(_Measured):
    """Base otherwise: all epochs, one seed."""

    timeout = 3600

    def setup(self, file, backend, regularizer):
        self.backend = backend
        self.rows = _epochs(backend, regularizer)
        self.last = self.rows[-1]
        if self.last["status"] != "ok":
            raise NotImplementedError(f"the training broke down: {self.last['status']}")

    @property
    def plain(self):
        """The last epoch of the training with nothing added."""
        return _epochs(self.backend, "none")[-1]


class Training(_OfClaims if CHOSEN.quick else _OfItsOwn):
    """A few epochs of digits in the quick subset, all sixty in the whole one."""

    params = (("jax",) if CHOSEN.quick else ("jax", "torch"), _REGULARIZERS)
    param_names = ("backend", "regularizer")

    def track_step_seconds(self, file, backend, regularizer):
        return 1.0 / max(row["steps_per_second"] for row in self.rows[1:])

    track_step_seconds.unit = "seconds"

    def track_epoch_seconds(self, file, backend, regularizer):
        return self.last["train_seconds"] / self.last["epoch"]

    track_epoch_seconds.unit = "seconds"

    def track_evaluations(self, file, backend, regularizer):
        return self.last["nfe"]

    track_evaluations.unit = "count"

    def track_test_error(self, file, backend, regularizer):
        return 1.0 - self.last["test_accuracy"]

    track_test_error.unit = "share told wrong"

    def track_train_time_over_none(self, file, backend, regularizer):
        return self.last["train_seconds"] / self.plain["train_seconds"]

    track_train_time_over_none.unit = "ratio"

    def track_predict_time_over_none(self, file, backend, regularizer):
        return self.last["predict_seconds"] / self.plain["predict_seconds"]

    track_predict_time_over_none.unit = "ratio"

    def track_evaluations_over_none(self, file, backend, regularizer):
        return self.last["nfe"] / self.plain["nfe"]

    track_evaluations_over_none.unit = "ratio"


def _epochs(backend, regularizer):
    """The rows of one training, done once in a run of asv."""
    from adjointbench.suite.claims.trainings import EPOCHS, TASK
    from adjointbench.training import train

    def rows():
        return train(TASK, regularizer=regularizer, backend=backend, epochs=EPOCHS).rows

    return once(f"training {backend} {regularizer}", rows)
