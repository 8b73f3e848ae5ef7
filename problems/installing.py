"""What to do where a package is missing, in words."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """The command that installs the packages of an extra of ``pyproject.toml``.

    This package is on no index: it is installed from its checkout.
    """
    return f"run pip install -c constraints.txt '.[{extra}]' in the checkout of adjointbench"
