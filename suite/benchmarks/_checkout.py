"""What this checkout measures: the parameters of all benchmarks, whatever commit is installed.

asv tells a benchmark which combination to run by its *number* in the list of the commit where
benchmarks were discovered. If the lists came from the installed package, one problem more or less
between two commits would put the figures of one problem under the name of another.
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import adjointbench

ROOT = Path(__file__).parents[2]

# asv names the folder of its configuration only in environments that it has built.
os.environ.setdefault("ASV_CONF_DIR", str(ROOT))


def of_checkout(module):
    """A module of the package as it stands in the checkout."""
    name = "adjointbench"
    if Path(adjointbench.__file__).parents[1] != ROOT:
        name = "adjointbench_of_checkout"
        package = sys.modules.setdefault(name, ModuleType(name))
        package.__path__ = [str(ROOT)]  # where the folders of the package lie, by their own names
    return importlib.import_module(f"{name}.{module}")


TASKS = of_checkout("suite.selection")
CHOSEN = TASKS.selection()
VERSION = TASKS.results_version()


def check_known(problem="", method=""):
    """Not implemented where the commit that is installed lacks what the checkout has."""
    from adjointbench import problems
    from adjointbench.adjoints.methods import METHODS
    from adjointbench.suite.measuring.names import bare_name

    methods = [each.name for each in METHODS]
    for name, names in ((problem, problems.names()), (method, methods)):
        if name and bare_name(name) not in names:
            raise NotImplementedError(f"this commit has no {name}")
