"""Made-up folders of trainings whose ratios are known."""

import csv
import json

from adjointbench.training.run_folder import COLUMNS

#: Regulariser: seconds of training, evaluations, test accuracy, status, for seeds 0 and 1.
RUNS = {
    "none": [(10.0, 100, 0.95, "ok"), (20.0, 120, 0.93, "ok")],
    "error": [(5.0, 50, 0.94, "ok"), (14.0, 60, 0.93, "ok")],
    "taylor": [(40.0, 80, 0.95, "ok"), (60.0, 90, 0.20, "nonfinite")],
}


def write_run(folder, regularizer, seed, seconds, nfe, accuracy, status, machine="box"):
    folder.mkdir(parents=True)
    settings = {
        "task": "digits",
        "method": "jax-discrete",
        "regularizer": None
        if regularizer == "none"
        else {"name": regularizer, "sampling": "uniform"},
        "coefficients": [] if regularizer == "none" else [[10.0, 1.0]],
        "epochs": 2,
        "seed": seed,
        "rtol": 1e-6,
        "dtype": "float64",
        "made_with": {"machine": machine},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    with (folder / "epochs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for epoch in range(3):
            share = epoch / 2
            writer.writerow(
                {
                    "epoch": epoch,
                    "status": status if epoch == 2 else "ok",
                    "train_loss": 2.0 - share,
                    "test_accuracy": 0.1 + share * (accuracy - 0.1),
                    "nfe": 20 + share * (nfe - 20),
                    "forward_evals": None if epoch == 0 else 10 * nfe,
                    "gradient_error": (1e-3, 2e-3, None)[epoch],
                    "train_seconds": share * seconds,
                    "predict_seconds": nfe * 1e-5,
                    "steps_per_second": 2000.0 / seconds,
                }
            )
