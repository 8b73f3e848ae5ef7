"""The problem that somebody asks about, and the code that fetches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ... import problems
from ...problems import Problem
from ...problems.locate import Located, is_locator, locate
from ..measuring.names import join_name, split_name

_IMPORT = "import adjointbench as ab"


@dataclass(frozen=True)
class Question:
    """A problem that was asked about.

    Attributes
    ----------
    problem : Problem
    locator : str
        What fetches it in any process and from any folder, where it is not of the zoo.
    fetch : str
        Lines of code that leave it in ``problem``, for a script in the current folder.
    """

    problem: Problem
    locator: str
    fetch: str


def question(text: str, settings: Mapping[str, Any]) -> Question:
    """The problem that `text` names, with its settings; see :func:`adjointbench.problems.load`.

    Raises
    ------
    ValueError
        Where there is none, with what to do.
    """
    name, given = split_name(text)
    given = given | dict(settings)
    if is_locator(name):
        located = locate(name, **given)
        locator = join_name(str(located.place), given)
        return Question(located.problem, locator, _own(located, given))
    if name not in problems.names():
        _refuse(name)
    arguments = ", ".join([repr(name), *_keywords(given)])
    fetch = f"{_IMPORT}\n\nproblem = ab.problems.get({arguments})"
    return Question(problems.get(name, **given), "", fetch)


def as_stiff(fetch: str) -> str:
    """The same lines, for a problem that does not say that it is stiff."""
    *_, last = fetch.splitlines()
    gap = "\n" if last.startswith("problem") else "\n\n"
    return f"import dataclasses\n\n{fetch}{gap}problem = dataclasses.replace(problem, stiff=True)"


def _refuse(name: str) -> NoReturn:
    """Say how to name a problem of one's own, where it is not one of the zoo."""
    if Path(f"{name}.py").exists():
        raise ValueError(f"name {name!r} is not of the zoo; for the file beside, give {name}.py")
    try:
        problems.entry(name)
    except ValueError as error:
        own = "a problem of your own is FILE.py, FILE.py:ATTRIBUTE or MODULE:ATTRIBUTE"
        raise ValueError(f"{error}; {own}") from None
    raise AssertionError(name)


def _keywords(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value!r}" for key, value in settings.items()]


def _own(located: Located, settings: Mapping[str, Any]) -> str:
    """How to fetch a problem of the user's own: by import where a script here could do so."""
    place, attribute = located.place, located.place.attribute
    module = place.module
    if (
        place.file is not None
        and place.file.parent == Path.cwd()
        and place.file.stem.isidentifier()
    ):
        module = place.file.stem
    if not module:
        arguments = ", ".join([repr(str(place)), *_keywords(settings)])
        return f"{_IMPORT}\n\nproblem = ab.problems.load({arguments})"
    if located.called:
        call = f"{attribute}({', '.join(_keywords(settings))})"
        return f"{_IMPORT}\nfrom {module} import {attribute}\n\nproblem = {call}"
    name = attribute if attribute == "problem" else f"{attribute} as problem"
    return f"{_IMPORT}\nfrom {module} import {name}"
