"""Gradients of a network on a batch by PyTorch's compiled steps: warm, and what compiling takes."""

import os
import subprocess
import sys
import tempfile

from ._checkout import CHOSEN, VERSION
from ._warm import Warm as _Warm

RTOLS = [1e-3] if CHOSEN.quick else [1e-3, 1e-5]
TOO_LONG = "a minute of compiling is not for the quick benchmarks"
BATCH, OTHER_BATCH = 256, 192

NETWORK = """
import time, torch
from adjointbench.adjoints.torch import solve

torch.set_num_threads(1)


class Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(),
            torch.nn.Linear(64, 2),
        )

    def forward(self, t, y):
        return self.net(y)


def gradient(field, batch, rtol=1e-3):
    torch.manual_seed(1)
    y0 = torch.randn(batch, 2, requires_grad=True)
    tolerances = {"rtol": rtol, "atol": rtol / 100}
    solution = solve(field, y0, [1.0], solver="dopri5", compile=True, **tolerances)
    solution.ys.square().mean().backward()
    if solution.compiled != "yes":
        raise RuntimeError(solution.compiled)
"""

#: Seconds of the first gradient, of another batch, and of another module of the same layers.
CALLS = f"""
field = Field()
for call in ((field, {BATCH}), (field, {OTHER_BATCH}), (Field(), {BATCH})):
    begin = time.perf_counter()
    gradient(*call)
    print(time.perf_counter() - begin)
"""


class Network(_Warm):
    """2-64-64-2 tanh, a batch of 256, float32, through the user's own `solve`."""

    params = (RTOLS,)
    param_names = ("rtol",)

    def prepare(self, rtol):
        if CHOSEN.quick:
            raise NotImplementedError(TOO_LONG)
        names = {}
        exec(NETWORK, names)
        field = names["Field"]()
        names["gradient"](field, BATCH, rtol)
        return lambda number: names["gradient"](field, BATCH, rtol)

    def time_gradient(self, rtol):
        self.next_call()


class Compiling:
    """Seconds of gradients that compile, with nothing kept on disk and in a second process."""

    params = (["first", "other batch", "other module", "second process"],)
    param_names = ("gradient",)
    timeout = 600
    version = VERSION

    def setup(self, gradient):
        if CHOSEN.quick:
            raise NotImplementedError(TOO_LONG)

    def track_seconds(self, gradient):
        with tempfile.TemporaryDirectory() as folder:
            seconds = _seconds(folder)
            if gradient == "second process":
                return _seconds(folder)[0]
        return seconds[self.params[0].index(gradient)]

    track_seconds.unit = "seconds"


def _seconds(folder):
    """What a process of its own prints, which keeps what it compiles in `folder`."""
    own = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": folder}
    command = [sys.executable, "-c", NETWORK + CALLS]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]
