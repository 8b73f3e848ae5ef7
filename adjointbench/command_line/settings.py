"""``--set KEY=VALUE``: settings of a problem on the command line."""

from __future__ import annotations

import ast
from typing import Annotated, Any

import typer

from .output import refuse

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the problem; repeatable."),
]


def parse_settings(settings: list[str] | None) -> dict[str, Any]:
    """Turn ``["mu=1e3", "kind=sine"]`` into keyword arguments.

    Parameters
    ----------
    settings : list of str or None
        The values are Python literals, or else text.

    Returns
    -------
    dict of str to object
    """
    found: dict[str, Any] = {}
    for setting in settings or ():
        key, value = _pair(setting)
        if key in found:
            refuse(f"--set {setting!r}: {key} is set to {found[key]!r} already")
        found[key] = value
    return found


def _pair(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not key or not equals:
        refuse(f"--set {setting!r} must be KEY=VALUE, as in --set mu=10")
    try:
        return key, ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return key, text
