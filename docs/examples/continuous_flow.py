"""A continuous normalising flow: points and their densities as a state of two, back in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

#: From the data at 1 back to the normal distribution at 0.
T = torch.tensor([1.0, 0.0])


class Flow(nn.Module):
    """How points move, and how the logarithm of their density changes: by minus the trace."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, t: torch.Tensor, state: Any) -> Any:
        """The slopes of both."""
        with torch.enable_grad():
            z = state[0].requires_grad_(True)
            slope = self.net(torch.cat([z, t.expand(len(z), 1)], dim=1))
            columns = [
                torch.autograd.grad(slope[:, i].sum(), z, create_graph=True)[0][:, i]
                for i in range(2)
            ]
        return slope, -torch.stack(columns).sum(dim=0)


def two_moons(number: int) -> torch.Tensor:
    """Points on two half circles."""
    angle = math.pi * torch.rand(number)
    upper = torch.arange(number) % 2 == 0
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    return torch.stack([x, y], dim=1) + 0.05 * torch.randn(number, 2)


def train(odeint: Callable[..., Any], steps: int = 5) -> list[float]:
    """The negative log-likelihoods of `steps` steps."""
    torch.manual_seed(0)
    data, flow = two_moons(64), Flow()
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        z, change = odeint(flow, (data, torch.zeros(len(data))), T, rtol=1e-4, atol=1e-5)
        normal = -0.5 * z[-1].square().sum(dim=1) - math.log(2 * math.pi)
        loss = -(normal - change[-1]).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
