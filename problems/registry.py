"""The registry of the zoo: every module in ``zoo/`` that marks a factory with ``@register``."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .problem import Problem
from .settings import check_kind, check_known, plain, published_defaults


@dataclass(frozen=True)
class Entry:
    """One problem of the zoo.

    Attributes
    ----------
    name : str
        The name of its factory.
    factory : callable
        Keyword arguments to :class:`Problem`.
    tags : tuple of str
    stiff : bool
        Whether it is stiff at its defaults.
    defaults : dict
        The keyword arguments and their published defaults.
    summary : str
        One line.
    """

    name: str
    factory: Callable[..., Problem]
    tags: tuple[str, ...]
    stiff: bool
    defaults: dict[str, Any]
    summary: str


_ENTRIES: dict[str, Entry] = {}


def register(
    *, tags: Sequence[str] = (), stiff: bool = False
) -> Callable[[Callable[..., Problem]], Callable[..., Problem]]:
    """Mark a factory as a problem of the zoo, under the factory's own name.

    Parameters
    ----------
    tags : sequence of str
        What it is an example of. Stiff problems get the tag ``"stiff"`` by themselves.
    stiff : bool
        Whether it is stiff at its defaults. A factory whose arguments decide passes ``stiff=`` to
        its :class:`Problem` as well.

    Returns
    -------
    callable
        The decorator. The factory keeps its signature; its problems carry the tags, and the
        arguments that they were made with as ``settings``.
    """

    def decorate(factory: Callable[..., Problem]) -> Callable[..., Problem]:
        @functools.wraps(factory)
        def make(**kwargs: Any) -> Problem:
            given = {key: plain(value) for key, value in kwargs.items()}
            for key in given.keys() & defaults.keys():
                check_kind(key, given[key], defaults[key])
            problem = factory(**given)
            is_stiff = stiff or problem.stiff
            return dataclasses.replace(
                problem,
                name=name,
                stiff=is_stiff,
                tags=_with_stiff(tags, is_stiff),
                settings=defaults | given,
            )

        name = factory.__name__
        defaults = published_defaults(factory)
        if name in _ENTRIES and _ENTRIES[name].factory.__module__ != factory.__module__:
            raise ValueError(
                f"the problem {name!r} is already defined in {_ENTRIES[name].factory.__module__}; "
                "choose another name"
            )
        summary = (inspect.getdoc(factory) or "").partition("\n")[0]
        _ENTRIES[name] = Entry(name, make, _with_stiff(tags, stiff), stiff, defaults, summary)
        return make

    return decorate


def _with_stiff(tags: Sequence[str], stiff: bool) -> tuple[str, ...]:
    return ("stiff", *tags) if stiff else tuple(tags)


@functools.cache
def _discovered() -> Mapping[str, Entry]:
    """All entries by name, after every module of the zoo has been imported."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent / "zoo")]):
        importlib.import_module(f"{package}.zoo.{module.name}")
    return {name: _ENTRIES[name] for name in sorted(_ENTRIES)}


def names(*, stiff: bool | None = None, tag: str | None = None) -> tuple[str, ...]:
    """The names of the zoo, or of the part of it that matches.

    Parameters
    ----------
    stiff : bool, optional
        Only problems that are (or are not) stiff at their defaults.
    tag : str, optional
        Only problems with this tag.

    Returns
    -------
    tuple of str
        In alphabetical order.

    Raises
    ------
    ValueError
        Where no problem has the tag.
    """
    entries = _discovered().values()
    if tag is not None:
        check_known("tag", tag, sorted({t for e in entries for t in e.tags} | {"stiff"}))
    return tuple(
        e.name
        for e in entries
        if (stiff is None or e.stiff == stiff) and (tag is None or tag in e.tags)
    )


def entry(name: str) -> Entry:
    """What the zoo knows of `name` without making the problem: tags, defaults, one line.

    Raises
    ------
    ValueError
        Where `name` is unknown, with close matches.
    """
    check_known("name", name, list(_discovered()))
    return _discovered()[name]


def get(name: str, **settings: Any) -> Problem:
    """The problem `name` of the zoo.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    **settings
        Arguments of its factory; ``entry(name).defaults`` has them.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        Where the name or a setting is unknown, with close matches, or a value does not fit.
    """
    found = entry(name)
    for setting in settings:
        check_known(f"setting of the problem {name!r}:", setting, list(found.defaults))
    return found.factory(**settings)
