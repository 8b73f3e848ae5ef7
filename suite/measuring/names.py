"""Names with settings: ``van_der_pol(mu=1000.0)``, ``cvodes-adjoint(solver=cvodes-gmres)``.

Wherever a problem or a method is named (lists of names, environment variables, rows, asv's
parameters, headings) its settings may follow in parentheses, as keyword arguments. Values are
Python literals, or else text. What names a problem of the user's own, ``file.py:problem``, takes
them as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from ... import problems
from ...adjoints.methods import find_method
from ...problems import Problem
from ...problems.locate import is_locator, load

_NAME = re.compile(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)

#: A place in a file or module, and settings; the path may hold anything.
_PLACE = re.compile(r"\s*(.+?\.py(?::\w+)?|[\w.]+:\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)

#: Text that needs no quotes, as it cannot be taken for anything else.
_BARE = re.compile(r"(?!(?:True|False|None)$)[A-Za-z][\w-]*")


def split_name(text: str) -> tuple[str, dict[str, Any]]:
    """The bare name, and the settings in its parentheses.

    Parameters
    ----------
    text : str
        ``"name"`` or ``"name(key=value, ...)"``.

    Raises
    ------
    ValueError
        Where it is neither.
    """
    match = _NAME.fullmatch(text) or _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} must be NAME or NAME(KEY=VALUE, ...), as van_der_pol(mu=1e3)")
    name, inside = match[1], match[2] or ""
    settings = _keywords(f"f({inside})")
    if settings is None:
        raise ValueError(f"{text!r}: the settings must be KEY=VALUE, as in van_der_pol(mu=1e3)")
    return name, settings


def bare_name(text: str) -> str:
    """What a name begins with: without settings, and without ``" on <device>"`` of a report."""
    match = re.match(r"\s*([\w-]+)", text)
    return match[1] if match else text


def adjoint_of(text: str) -> str:
    """The kind of the method that a name begins with; empty where the table has none of it."""
    method = find_method(bare_name(text))
    return "" if method is None else method.adjoint


def _keywords(call: str) -> dict[str, Any] | None:
    """The keyword arguments of a call in Python's syntax; ``None`` where it is anything else."""
    try:
        node = ast.parse(call, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        return None
    given = {keyword.arg: _value(call, keyword.value) for keyword in node.keywords}
    return {str(key): value for key, value in given.items()} if None not in given else None


def _value(source: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.get_source_segment(source, node)


def join_name(name: str, settings: Mapping[str, Any]) -> str:
    """The name with its settings, as :func:`split_name` takes it apart."""
    if not settings:
        return name
    return f"{name}({', '.join(f'{key}={_text(value)}' for key, value in settings.items())})"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and _BARE.fullmatch(value) else repr(value)


def split_list(text: str) -> tuple[str, ...]:
    """The names of a list between commas; the commas between settings separate nothing."""
    parts = re.split(r",(?![^(]*\))", text)
    return tuple(part.strip() for part in parts if part.strip())


def get_problem(text: str) -> Problem:
    """The problem that `text` names, with its settings: of the zoo, or of the user's own.

    Raises
    ------
    ValueError
        Where the name or a setting is unknown, with close matches, or a value does not fit.
    """
    name, settings = split_name(text)
    return load(name, **settings) if is_locator(name) else problems.get(name, **settings)


def problem_name(problem: Problem) -> str:
    """The one name of a problem: with those of its settings that are not the published ones."""
    if not problem.settings:
        return problem.name
    if problem.name not in problems.names():
        return join_name(problem.name, problem.settings)
    defaults = problems.entry(problem.name).defaults
    changed = {
        key: _as_default(value, defaults.get(key))
        for key, value in problem.settings.items()
        if key not in defaults or value != defaults[key]
    }
    return join_name(problem.name, changed)


def _as_default(value: Any, default: Any) -> Any:
    return float(value) if isinstance(default, float) and isinstance(value, int) else value
