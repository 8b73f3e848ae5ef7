"""The linear systems of implicit steps on JAX: dense, banded, or sparse."""
