"""A neural ODE learns a spiral whose slope is a cubic, from short pieces of one trajectory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

T = torch.linspace(0.0, 25.0, 500)


class Cubic(nn.Module):
    """The spiral."""

    matrix = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``y' = A y^3``."""
        return y**3 @ self.matrix


class Field(nn.Module):
    """What learns it."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(2, 50), nn.Linear(50, 2)
        self.net = nn.Sequential(layers[0], nn.Tanh(), layers[1])
        for layer in layers:
            nn.init.normal_(layer.weight, std=0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """A network of the cubes."""
        return self.net(y**3)


def train(odeint: Callable[..., torch.Tensor], steps: int = 10) -> list[float]:
    """The losses of `steps` steps."""
    torch.manual_seed(0)
    with torch.no_grad():
        truth = odeint(Cubic(), torch.tensor([[2.0, 0.0]]), T, rtol=1e-6, atol=1e-7)
    field = Field()
    optimiser = torch.optim.RMSprop(field.parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        starts = torch.randint(len(T) - 10, (20,))
        pieces = torch.stack([truth[starts + i] for i in range(10)])
        optimiser.zero_grad()
        found = odeint(field, truth[starts], T[:10], rtol=1e-6, atol=1e-7)
        loss = (found - pieces).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
