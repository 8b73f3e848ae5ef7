"""Problems of the user's own, in a module or a file, found by what stands on a command line.

``my_module:problem`` and ``path/to/file.py:problem`` name an attribute: a
:class:`~adjointbench.Problem`, or a function that returns one. ``path/to/file.py`` alone will do
where exactly one stands in it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from .problem import Problem
from .user_code import import_file, import_module, telling
from .validation import did_you_mean

#: A file, or a module, and an attribute of it; what stands after a colon is the attribute.
LOCATOR = re.compile(
    r"(?P<file>.+\.py)(?::(?P<in_file>\w+))?|(?P<module>[\w.]+):(?P<in_module>\w+)"
)

_EXAMPLE = "FILE.py, FILE.py:ATTRIBUTE or MODULE:ATTRIBUTE"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a problem stands: a file or a module, and the attribute; empty where not named."""

    file: Path | None
    module: str
    attribute: str

    def __str__(self) -> str:
        """The text that leads here from any folder."""
        where = self.module if self.file is None else str(self.file)
        return f"{where}:{self.attribute}" if self.attribute else where

    @property
    def short(self) -> str:
        """The same for a reader."""
        where = self.module if self.file is None else self.file.name
        return f"{where}:{self.attribute}" if self.attribute else where


@dataclasses.dataclass(frozen=True)
class Located:
    """A problem, where it stands, and whether a function there was called for it."""

    problem: Problem
    place: Place
    called: bool


def is_locator(text: str) -> bool:
    """Whether `text` names a module or file, not a problem of the zoo."""
    return LOCATOR.fullmatch(text.strip()) is not None


def place_of(text: str) -> Place:
    """Where `text` points to, its path made absolute; nothing is imported.

    Raises
    ------
    ValueError
        Where it is no locator, or there is no such file.
    """
    match = LOCATOR.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} must be {_EXAMPLE}")
    if match["module"]:
        return Place(None, match["module"], match["in_module"])
    file = Path(match["file"]).expanduser().resolve()
    if not file.is_file():
        beside = sorted(path.name for path in file.parent.glob("*.py"))
        hint = did_you_mean(file.name, beside) or "check the path; "
        raise ValueError(f"there is no file {file}; {hint}a problem is {_EXAMPLE}")
    return Place(file, "", match["in_file"] or "")


def load(text: str, **settings: Any) -> Problem:
    """The problem that stands in a module or a file of yours.

    Parameters
    ----------
    text : str
        ``"path/to/file.py:attribute"``, ``"path/to/file.py"`` where exactly one problem stands in
        it, or ``"module:attribute"``; a module may lie in the current folder.
    **settings
        Arguments of the attribute, where that is a function. The problem has them in its
        ``settings``.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        Where there is no such file, module or attribute, with close matches; where importing it
        raises, with the line; where the attribute is no problem and does not return one.
    """
    return locate(text, **settings).problem


def locate(text: str, **settings: Any) -> Located:
    """The problem that `text` points to, as :func:`load`, and where it stands."""
    place = place_of(text)
    module = import_file(place.file) if place.file else import_module(place.module)
    if not place.attribute:
        place = dataclasses.replace(place, attribute=_only_problem(module, place))
    found = _attribute(module, place)
    if isinstance(found, Problem):
        if settings:
            raise ValueError(
                f"{place.short} is a Problem, which takes no settings ({', '.join(settings)}); "
                "make it a function with these as arguments that returns the Problem"
            )
        return Located(found, place, called=False)
    if not callable(found) or isinstance(found, type):
        raise ValueError(
            f"{place.short} is {_kind(found)}; it must be a Problem, or a function that returns one"
        )
    return Located(_called(found, place, settings), place, called=True)


def _only_problem(module: ModuleType, place: Place) -> str:
    """The name of the one problem in a module; functions count where no problem stands there."""
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    problems = {id(v): name for name, v in values.items() if isinstance(v, Problem)}
    makers = [name for name, v in values.items() if _makes_problem(v, module)]
    names = sorted(problems.values()) or sorted(makers)
    if len(names) == 1:
        return names[0]
    functions = [n for n, v in values.items() if _is_own_function(v, module)]
    if not names:
        hint = f" (functions in it: {', '.join(sorted(functions))})" if functions else ""
        raise ValueError(
            f"no Problem stands in {place.short}; name the function that returns it, as "
            f"{place.short}:FUNCTION{hint}, or add problem = adjointbench.Problem(...)"
        )
    raise ValueError(
        f"{len(names)} problems stand in {place.short}; name one: "
        f"{', '.join(f'{place.short}:{name}' for name in names)}"
    )


def _is_own_function(value: object, module: ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__


def _makes_problem(value: Any, module: ModuleType) -> bool:
    """Whether it is a function of this module that says that it returns a problem."""
    if not _is_own_function(value, module):
        return False
    returned = value.__annotations__.get("return")
    return returned is Problem or str(returned).rpartition(".")[2] == "Problem"


def _attribute(module: ModuleType, place: Place) -> Any:
    try:
        return getattr(module, place.attribute)
    except AttributeError:
        names = [name for name, value in vars(module).items() if _could_be_meant(value, name)]
        hint = did_you_mean(place.attribute, names) or f"it has {', '.join(names) or 'nothing'}; "
        where = dataclasses.replace(place, attribute="").short
        raise ValueError(
            f"{where} has no attribute {place.attribute!r}; {hint}"
            "give the name of a Problem or of a function that returns one"
        ) from None


def _could_be_meant(value: object, name: str) -> bool:
    function = callable(value) and not isinstance(value, type)
    return not name.startswith("_") and (isinstance(value, Problem) or function)


def _called(function: Callable[..., Any], place: Place, settings: Mapping[str, Any]) -> Problem:
    """What a function of the user's returns for `settings`, as a problem that has them."""
    _check_arguments(function, place, settings)
    source = inspect.getsourcefile(inspect.unwrap(function))
    file = Path(source) if source else place.file
    with telling(f"{place.short} raised {{}}", file):
        problem = function(**settings)
    if not isinstance(problem, Problem):
        raise ValueError(f"{place.short} returned {_kind(problem)}; it must return a Problem")
    return dataclasses.replace(problem, settings=problem.settings | dict(settings))


def _check_arguments(
    function: Callable[..., Any], place: Place, settings: Mapping[str, Any]
) -> None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    named = [p for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    known = [p.name for p in named]
    for name in settings:
        if name not in known:
            raise ValueError(
                f"{place.short} has no argument {name!r}; {did_you_mean(name, known)}"
                f"its arguments are: {', '.join(known) or 'none'}"
            )
    lacking = [p.name for p in named if p.default is p.empty and p.name not in settings]
    if lacking:
        raise ValueError(
            f"{place.short} needs {', '.join(lacking)}; pass "
            f"{' '.join(f'--set {name}=VALUE' for name in lacking)}, or give it a default"
        )


def _kind(value: object) -> str:
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    return f"the class {name}" if isinstance(value, type) else f"of type {name}"
