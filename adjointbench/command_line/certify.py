"""``adjointbench certify``."""


def certify() -> None:
    """Compute the reference."""
