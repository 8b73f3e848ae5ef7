"""``--set KEY=VALUE``: settings of a problem on the command line."""

from __future__ import annotations

import ast
from typing import Annotated, Any

import typer

from adjointbench import problems
from adjointbench.problems import Problem
from adjointbench.problems.locate import is_locator

from .output import refuse

#: What may be named as a problem.
PROBLEM = "A name of 'adjointbench problems', FILE.py, FILE.py:ATTRIBUTE or MODULE:ATTRIBUTE."

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


def find_problem(name: str, settings: list[str] | None) -> Problem:
    """The problem of the zoo, or of the user's own: FILE.py, FILE.py:ATTRIBUTE, MODULE:ATTRIBUTE.

    Raises
    ------
    ValueError
        Where there is none, or a setting does not fit.
    """
    given = parse_settings(settings)
    return problems.load(name, **given) if is_locator(name) else problems.get(name, **given)


def _pair(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not key or not equals:
        refuse(f"--set {setting!r} must be KEY=VALUE, as in --set mu=10")
    try:
        return key, ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return key, text
