"""Adjoints in PyTorch."""
