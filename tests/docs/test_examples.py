"""The example programs are programs of torchdiffeq with another call, and learn the same."""

import importlib
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchdiffeq
from documents import ROOT, blocks

PROGRAMS = ("spiral", "latent_ode", "continuous_flow", "hamiltonian")


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    for name in (*PROGRAMS, "odeint"):
        sys.modules.pop(name, None)


def here() -> Callable:
    return importlib.import_module("odeint").odeint


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_losses_are_those_of_torchdiffeq(name: str) -> None:
    train = importlib.import_module(name).train
    losses = train(here(), 3)
    np.testing.assert_allclose(losses, train(torchdiffeq.odeint, 3), rtol=1e-3)
    if name != "spiral":
        assert losses[-1] < losses[0]


def test_the_page_shows_the_adapter() -> None:
    (shown,) = [b.code for b in blocks("docs/porting.md", "python") if b.title == "odeint.py"]
    text = (ROOT / "docs" / "examples" / "odeint.py").read_text()
    assert shown.partition("def odeint")[2] == text.partition("def odeint")[2]


@pytest.mark.parametrize(
    ("options", "rtol"),
    [
        ({"method": "dopri8"}, 1e-6),
        ({"rtol": 1e-5, "adjoint": "backsolve"}, 1e-4),
        ({"method": "euler"}, 1e-12),
        ({"method": "euler", "options": {"step_size": 0.05}}, 1e-12),
    ],
)
@pytest.mark.parametrize("end", [1.0, -1.0])
def test_the_adapter_takes_what_torchdiffeq_takes(options: dict, rtol: float, end: float) -> None:
    def func(t: torch.Tensor, y: tuple) -> tuple:
        return y[1], -y[0] * torch.cos(t)

    y0 = tuple(torch.tensor([x], dtype=torch.float64) for x in (1.0, 0.5))
    t = torch.linspace(0.0, end, 5, dtype=torch.float64)
    theirs = options if options.get("method") == "euler" else {"rtol": 1e-9}
    expected = torchdiffeq.odeint(func, y0, t, **theirs)
    for own, other in zip(here()(func, y0, t, **options), expected, strict=True):
        torch.testing.assert_close(own, other, rtol=rtol, atol=rtol)
