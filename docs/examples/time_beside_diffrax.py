"""The JAX programs with diffrax and with ``solve``: the table of docs/porting-jax.md.

.venv/bin/python docs/examples/time_beside_diffrax.py
"""

from __future__ import annotations

import hamiltonian_network
import kalman_filter
import latent_spirals
import neural_cde
import normalising_flow
import spans
import stiff_fit
from fitting import here, in_diffrax

PROGRAMS = (
    stiff_fit,
    kalman_filter,
    normalising_flow,
    spans,
    hamiltonian_network,
    neural_cde,
    latent_spirals,
)
STEPS = 30


def main() -> None:
    """Print the table."""
    print(f"| program | diffrax ms a step | here ms a step | loss after {STEPS} steps, both |")
    print("| --- | --- | --- | --- |")
    for program in PROGRAMS:
        peer, own = (program.train(call, STEPS) for call in (in_diffrax, here))
        losses = f"{peer.losses[-1]:.6f}, {own.losses[-1]:.6f}"
        name = program.__name__
        print(f"| `{name}` | {peer.milliseconds:.1f} | {own.milliseconds:.1f} | {losses} |")


if __name__ == "__main__":
    main()
