"""The example programs with torchdiffeq's ``odeint`` and with ours: the table of docs/porting.md.

.venv/bin/python docs/examples/time_beside_peers.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import continuous_flow
import hamiltonian
import latent_ode
import odeint as here
import spiral
import torch
import torchdiffeq

PROGRAMS = (spiral, latent_ode, continuous_flow, hamiltonian)
CALLS = {
    "odeint": torchdiffeq.odeint,
    "odeint_adjoint": torchdiffeq.odeint_adjoint,
    "here": here.odeint,
    "here, tape": partial(here.odeint, adjoint="tape"),
}
STEPS, ROUNDS = 10, 3


def milliseconds(train: Callable[..., list[float]], call: Callable) -> tuple[float, float]:
    """One step of a training at best, and the last loss."""
    taken, losses = [], [math.nan]
    for _ in range(ROUNDS):
        started = time.perf_counter()
        losses = train(call, STEPS)
        taken.append(time.perf_counter() - started)
    return 1e3 * min(taken) / STEPS, losses[-1]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"| program | {' | '.join(f'{name} (ms)' for name in CALLS)} | losses after {STEPS} |")
    print("|---" * (len(CALLS) + 2) + "|")
    for program in PROGRAMS:
        found = {name: milliseconds(program.train, call) for name, call in CALLS.items()}
        times = " | ".join(f"{ms:.0f}" for ms, _ in found.values())
        losses = ", ".join(f"{loss:.4f}" for _, loss in found.values())
        print(f"| `{program.__name__}` | {times} | {losses} |")


if __name__ == "__main__":
    main()
