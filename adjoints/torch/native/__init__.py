"""A user's PyTorch function on the expressions of the native loop."""
