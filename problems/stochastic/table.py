"""The stochastic problems by their names."""

from __future__ import annotations

from typing import Any

from ..settings import check_kind, check_known, published_defaults
from .geometric_brownian_motion import geometric_brownian_motion
from .linear import stochastic_linear
from .ornstein_uhlenbeck import ornstein_uhlenbeck
from .problem import SdeProblem
from .spiral import stochastic_spiral

_FACTORIES = {
    factory.__name__: factory
    for factory in (
        geometric_brownian_motion,
        ornstein_uhlenbeck,
        stochastic_linear,
        stochastic_spiral,
    )
}


def names() -> tuple[str, ...]:
    """The names of the stochastic problems."""
    return tuple(_FACTORIES)


def get(name: str, **settings: Any) -> SdeProblem:
    """The stochastic problem `name`.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    **settings
        Arguments of its factory, which have published defaults.

    Raises
    ------
    ValueError
        Where the name or a setting is unknown, with close matches, or a value does not fit.
    """
    check_known("name", name, names())
    defaults = published_defaults(_FACTORIES[name])
    for setting, value in settings.items():
        check_known(f"setting of the problem {name!r}:", setting, list(defaults))
        check_kind(setting, value, defaults[setting])
    return _FACTORIES[name](**settings)
