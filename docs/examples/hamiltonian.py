"""A Hamiltonian network learns a pendulum: its right-hand side is a gradient itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

T = torch.linspace(0.0, 2.0, 11)


class Pendulum(nn.Module):
    """The truth."""

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Position and momentum."""
        return torch.stack([y[:, 1], -torch.sin(y[:, 0])], dim=1)


class Hamiltonian(nn.Module):
    """Position and momentum follow the gradient of an energy that is learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``(dH/dp, -dH/dq)``."""
        with torch.enable_grad():
            y = y.requires_grad_(True)
            slope = torch.autograd.grad(self.energy(y).sum(), y, create_graph=True)[0]
        return torch.stack([slope[:, 1], -slope[:, 0]], dim=1)


def train(odeint: Callable[..., torch.Tensor], steps: int = 5) -> list[float]:
    """The losses of `steps` steps."""
    torch.manual_seed(0)
    start, field = torch.randn(16, 2), Hamiltonian()
    tolerances = {"rtol": 1e-5, "atol": 1e-6}
    with torch.no_grad():
        truth = odeint(Pendulum(), start, T, **tolerances)
    optimiser = torch.optim.Adam(field.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (odeint(field, start, T, **tolerances) - truth).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
