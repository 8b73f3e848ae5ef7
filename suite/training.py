"""A short training with each regulariser: what a step costs, and what it does to the solves."""

import os

from ._ladder import VERSION

QUICK = bool(os.environ.get("ADJOINTBENCH_QUICK"))
TASK = "digits-float64"
EPOCHS = 5 if QUICK else 60
REGULARIZERS = ("none", "error", "local", "taylor")


class Training:
    """Five epochs of digits in the quick subset, all sixty in the whole one; one seed."""

    params = (("jax",) if QUICK else ("jax", "torch"), REGULARIZERS)
    param_names = ("backend", "regularizer")
    timeout = 600
    version = VERSION

    def setup_cache(self):
        return {
            backend: {regularizer: _rows(backend, regularizer) for regularizer in REGULARIZERS}
            for backend in self.params[0]
        }

    setup_cache.timeout = 3600

    def setup(self, rows, backend, regularizer):
        self.rows = rows[backend][regularizer]
        self.last, self.plain = self.rows[-1], rows[backend]["none"][-1]
        if self.last["status"] != "ok":
            raise NotImplementedError(f"the training broke down: {self.last['status']}")

    def track_step_seconds(self, rows, backend, regularizer):
        return 1.0 / max(row["steps_per_second"] for row in self.rows[1:])

    track_step_seconds.unit = "seconds"

    def track_epoch_seconds(self, rows, backend, regularizer):
        return self.last["train_seconds"] / self.last["epoch"]

    track_epoch_seconds.unit = "seconds"

    def track_evaluations(self, rows, backend, regularizer):
        return self.last["nfe"]

    track_evaluations.unit = "count"

    def track_test_error(self, rows, backend, regularizer):
        return 1.0 - self.last["test_accuracy"]

    track_test_error.unit = "share told wrong"

    def track_train_time_over_none(self, rows, backend, regularizer):
        return self.last["train_seconds"] / self.plain["train_seconds"]

    track_train_time_over_none.unit = "ratio"

    def track_predict_time_over_none(self, rows, backend, regularizer):
        return self.last["predict_seconds"] / self.plain["predict_seconds"]

    track_predict_time_over_none.unit = "ratio"

    def track_evaluations_over_none(self, rows, backend, regularizer):
        return self.last["nfe"] / self.plain["nfe"]

    track_evaluations_over_none.unit = "ratio"


def _rows(backend, regularizer):
    from adjointbench.training import train

    training = train(TASK, regularizer=regularizer, backend=backend, epochs=EPOCHS)
    return training.rows
