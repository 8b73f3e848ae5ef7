"""A short training with each regulariser: what a step costs, and what it does to the solves."""

from adjointbench.suite.claims import trainings

from ._ladder import CHOSEN, VERSION, _Ladder

REGULARIZERS = trainings.REGULARIZERS if CHOSEN.quick else ("none", "error", "local", "taylor")


class _OfClaims(_Ladder):
    """Base in the quick subset: the trainings that the claims are measured by, one seed."""

    def setup(self, file, backend, regularizer):
        epochs = [epoch for epoch in trainings.epochs_of(file.claims) if epoch["seed"] == 0]
        if not epochs:
            raise NotImplementedError("not measured; ADJOINTBENCH_CLAIMS=10 does")
        self.rows = [epoch for epoch in epochs if epoch["regularizer"] == regularizer]
        self.last = self.rows[-1]
        self.plain = [epoch for epoch in epochs if epoch["regularizer"] == "none"][-1]


class _OfItsOwn:
    """Base otherwise: all epochs on both backends, one seed."""

    def setup_cache(self):
        return {
            backend: {regularizer: _rows(backend, regularizer) for regularizer in REGULARIZERS}
            for backend in self.params[0]
        }

    setup_cache.timeout = 3600

    def setup(self, measured, backend, regularizer):
        self.rows = measured[backend][regularizer]
        self.last, self.plain = self.rows[-1], measured[backend]["none"][-1]
        if self.last["status"] != "ok":
            raise NotImplementedError(f"the training broke down: {self.last['status']}")


class Training(_OfClaims if CHOSEN.quick else _OfItsOwn):
    """A few epochs of digits in the quick subset, all sixty in the whole one."""

    params = (("jax",) if CHOSEN.quick else ("jax", "torch"), REGULARIZERS)
    param_names = ("backend", "regularizer")
    timeout = 600
    version = VERSION

    def track_step_seconds(self, measured, backend, regularizer):
        return 1.0 / max(row["steps_per_second"] for row in self.rows[1:])

    track_step_seconds.unit = "seconds"

    def track_epoch_seconds(self, measured, backend, regularizer):
        return self.last["train_seconds"] / self.last["epoch"]

    track_epoch_seconds.unit = "seconds"

    def track_evaluations(self, measured, backend, regularizer):
        return self.last["nfe"]

    track_evaluations.unit = "count"

    def track_test_error(self, measured, backend, regularizer):
        return 1.0 - self.last["test_accuracy"]

    track_test_error.unit = "share told wrong"

    def track_train_time_over_none(self, measured, backend, regularizer):
        return self.last["train_seconds"] / self.plain["train_seconds"]

    track_train_time_over_none.unit = "ratio"

    def track_predict_time_over_none(self, measured, backend, regularizer):
        return self.last["predict_seconds"] / self.plain["predict_seconds"]

    track_predict_time_over_none.unit = "ratio"

    def track_evaluations_over_none(self, measured, backend, regularizer):
        return self.last["nfe"] / self.plain["nfe"]

    track_evaluations_over_none.unit = "ratio"


def _rows(backend, regularizer):
    from adjointbench.training import train

    training = train(
        trainings.TASK, regularizer=regularizer, backend=backend, epochs=trainings.EPOCHS
    )
    return training.rows
