"""The methods in the order in which they are worth their time, where that is short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...adjoints.methods import METHODS, get_method
from ..measuring.names import join_name, split_name

#: What answers at once first, of each such family; then one of each backend, with what a user
#: would pick instead. Those that are not named follow in the order of the table.
FIRST = (
    "native-discrete",
    "cvodes-adjoint",
    "scipy-adjoint",
    "jax-discrete",
    "finite-difference",
    "cvodes-forward",
    "scipy-forward",
    "diffrax-recursive-checkpoint",
    "torch-discrete(compile=False)",
    "jax-forward",
    "jax-gauss",
    "torch-blackbox",
    "torchdiffeq-adjoint",
    "jax-backsolve",
    "complex-step",
    "torchode-autodiff",
    "diffrax-backsolve",
    "torchdiffeq-backprop",
)

#: The method on PyTorch that is worth the minute that its compiler takes.
WORTH_COMPILING = "torch-discrete"


#: Seconds from which on it is begun early, behind so many others.
LONG_BUDGET_S, _EARLY = 240.0, 4


def in_order(names: Iterable[str] | None = None) -> tuple[str, ...]:
    """All methods, the most useful first and those that PyTorch compiles last.

    Parameters
    ----------
    names : iterable of str, optional
        The bare names to keep; by default all but those that keep the steps of other parameters.
    """
    every = {method.name for method in METHODS if not method.keeps_steps}
    kept = every if names is None else set(names)
    rest = sorted((method.name for method in METHODS), key=is_compiled)
    return tuple(m for m in dict.fromkeys((*FIRST, *rest)) if split_name(m)[0] in kept)


def for_cores(methods: Sequence[str], cores: int, budget_s: float) -> tuple[str, ...]:
    """The same order where several are measured at a time.

    What PyTorch compiles for a minute or two, and is worth it, comes early where there is time
    enough and another core goes on with the others meanwhile.
    """
    if (
        cores < 2
        or budget_s < LONG_BUDGET_S
        or len(methods) < 3
        or WORTH_COMPILING not in methods[1:]
    ):
        return tuple(methods)
    others = [method for method in methods if method != WORTH_COMPILING]
    return (*others[:_EARLY], WORTH_COMPILING, *others[_EARLY:])


def is_compiled(method: str) -> bool:
    """Whether PyTorch's compiler works on it, which takes most of a minute."""
    name, settings = split_name(method)
    return bool(settings.get("compile", True)) and "compile" in get_method(name).supports


def normal_name(text: str) -> str:
    """A method as it is named in rows; ``ValueError`` where there is none of that name."""
    name, settings = split_name(text)
    get_method(name)
    return join_name(name, settings)
