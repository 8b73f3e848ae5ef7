"""A latent ODE: a recurrent encoder of noisy spirals, an ODE in the latent space, a decoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

T = torch.linspace(0.0, 3.0, 20)
LATENT = 4


def spirals(number: int) -> torch.Tensor:
    """Noisy spirals, half of them clockwise, shape (number, times, 2)."""
    turn = torch.where(torch.arange(number) % 2 == 0, 1.0, -1.0)[:, None]
    radius, angle = 0.5 + 0.3 * T, turn * 2.0 * T + torch.rand(number, 1)
    clean = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
    return clean + 0.05 * torch.randn_like(clean)


class Model(nn.Module):
    """Encoder, right-hand side and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(2, 16, batch_first=True)
        self.start = nn.Linear(16, 2 * LATENT)
        self.field = Latent()
        self.decoder = nn.Sequential(nn.Linear(LATENT, 20), nn.ReLU(), nn.Linear(20, 2))


class Latent(nn.Module):
    """The right-hand side in the latent space."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(LATENT, 20), nn.ELU(), nn.Linear(20, LATENT))

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """It does not depend on time."""
        return self.net(z)


def train(odeint: Callable[..., torch.Tensor], steps: int = 10) -> list[float]:
    """The negative evidence lower bounds of `steps` steps."""
    torch.manual_seed(0)
    data, model = spirals(32), Model()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        _, hidden = model.encoder(data.flip(1))
        mean, log_variance = model.start(hidden[0]).chunk(2, dim=-1)
        z0 = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        path = odeint(model.field, z0, T, rtol=1e-5, atol=1e-6)
        error = (model.decoder(path).transpose(0, 1) - data).square().sum(dim=(1, 2)) / 0.5
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=-1)
        loss = (error + divergence).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
