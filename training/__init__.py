"""Training neural ODEs: tasks, regularisers at work, and what they cost.

>>> from adjointbench.training import train
>>> training = train("digits", regularizer="error", epochs=3, seed=0)
>>> training.rows[-1]["nfe"]
"""

from .grid import train_grid
from .presets import PRESETS, Optimizer, Preset, Schedule
from .settings import RunSettings, run_settings
from .task import Task
from .train import train
from .training import Training

__all__ = [
    "PRESETS",
    "Optimizer",
    "Preset",
    "RunSettings",
    "Schedule",
    "Task",
    "Training",
    "run_settings",
    "train",
    "train_grid",
]
