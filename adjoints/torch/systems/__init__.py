"""The linear systems of implicit steps on PyTorch: dense, banded, or sparse."""
