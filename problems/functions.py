"""A problem's functions as people write them: on NumPy, on JAX or PyTorch alone, or with lists.

Whatever they are written for, a :class:`Problem` can call them with NumPy arrays. What they need is
found out by calling them once; no framework is imported for it that they have not imported
themselves.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from . import on_frameworks
from .torch_module import ModuleField

#: How the frameworks are called in sentences.
LABELS = {"jax": "JAX", "torch": "PyTorch"}

ARRAY_API = (
    "write it in the Python array API standard, with "
    "xp = array_api_compat.array_namespace(y), and take arrays from p"
)

#: How each function of a problem is called.
_CALLS = {
    **dict.fromkeys(("rhs", "jacobian", "drift", "diffusion", "when", "event jump"), "t, y, p"),
    "loss": "ys, p",
    "jump": "i, t, y, p",
}

#: NumPy arrays, by the argument of a problem that a function is.
Arguments = tuple[Any, ...]


class Adapted:
    """A function of the user's, for arrays of any framework that it can take.

    Attributes
    ----------
    function : callable
        The user's own; the state is its last argument but one.
    framework : str
        ``"jax"`` or ``"torch"``, where it takes only arrays of that one. NumPy arrays are then
        converted on the way in and out.
    """

    def __init__(self, function: Callable[..., Any], framework: str = "") -> None:
        self.function = self.__wrapped__ = function
        self.framework = framework
        self._on_numpy = self._called
        if framework:
            self._on_numpy = on_frameworks.CALLS[framework](self._called)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns, as one array."""
        on_numpy = isinstance(arguments[-2], np.ndarray | np.generic)
        return (self._on_numpy if on_numpy else self._called)(*arguments)

    def _called(self, *arguments: Any) -> Any:
        return joined(self.function(*arguments), arguments[-2])


def joined(found: Any, like: Any) -> Any:
    """One array of what a function returned, where that is a number or a list of components."""
    if isinstance(found, bool | int | float | complex) and not isinstance(found, np.generic):
        return _number(found, like)
    if not isinstance(found, list | tuple):
        return found
    parts = [joined(part, like) for part in found]
    if like.ndim == 1:  # a component that was made with a parameter of shape (1,)
        parts = [part.reshape(()) if part.shape == (1,) else part for part in parts]
    if len({tuple(part.shape) for part in parts}) > 1:
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise ValueError(f"the components of the returned list have different shapes: {shapes}")
    return array_namespace(like).stack([_typed(part, like) for part in parts])


def _number(value: complex, like: Any) -> Any:
    """A number as an array beside `like`."""
    if isinstance(like, np.ndarray):
        return np.asarray(value, dtype=np.result_type(like, value))
    options = {"device": like.device} if type(like).__module__.startswith("torch") else {}
    return array_namespace(like).full((), value, dtype=like.dtype, **options)


def _typed(part: Any, like: Any) -> Any:
    """A component in the dtype of `like`: of integers, an integer is one of real numbers."""
    if isinstance(part, np.ndarray | np.generic) and part.dtype.kind in "iu":
        return part.astype(like.dtype)
    return part


def framework_of(function: object) -> str:
    """The only framework whose arrays `function` takes; empty where NumPy's will do."""
    return function.framework if isinstance(function, Adapted) else ""


def adapted(argument: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """`function` for NumPy arrays, and what it returns for `arguments`.

    Raises
    ------
    ValueError
        Where it runs neither on NumPy nor on a framework that has been imported.
    """
    if isinstance(function, Adapted):
        return function, _tried(argument, function, arguments)
    _check_no_module(argument, function)
    _check_signature(argument, function, arguments)
    if isinstance(function, ModuleField):
        made = Adapted(function, "torch")
        return made, _tried(argument, made, arguments)
    try:
        found = _quietly(function, arguments)
    except Exception as error:
        return _on_other_arrays(argument, function, arguments, error)
    if isinstance(found, np.ndarray | np.generic):
        return function, found
    framework = type(found).__module__.partition(".")[0].removesuffix("lib")
    if framework in LABELS:
        made = Adapted(function, framework)
    elif isinstance(found, list | tuple | float | int):
        made = Adapted(function, _framework_inside(found))
    else:
        return function, found
    return made, _tried(argument, made, arguments)


def _framework_inside(found: Any) -> str:
    """The framework of the components of a list."""
    for part in found if isinstance(found, list | tuple) else ():
        framework = type(part).__module__.partition(".")[0].removesuffix("lib")
        framework = framework if framework in LABELS else _framework_inside(part)
        if framework:
            return framework
    return ""


def _on_other_arrays(
    argument: str, function: Callable[..., Any], arguments: Arguments, error: Exception
) -> tuple[Any, Any]:
    """The function on a framework that it may be written for, as NumPy raised `error`."""
    told = _told(error, "NumPy")
    for framework in ("torch", "jax"):
        if framework not in sys.modules:
            continue
        made = Adapted(function, framework)
        try:
            return made, _quietly(made, arguments)
        except Exception as other:
            if type(other) is not type(error):
                told += f"; {_told(other, LABELS[framework])}"
    raise ValueError(f"{argument} raised {told}; {ARRAY_API}") from error


def _tried(argument: str, function: Callable[..., Any], arguments: Arguments) -> Any:
    try:
        return _quietly(function, arguments)
    except Exception as error:
        where = LABELS.get(framework_of(function), "NumPy")
        raise ValueError(f"{argument} raised {_told(error, where)}; {ARRAY_API}") from error


def _told(error: Exception, where: str) -> str:
    """What was raised, in one line."""
    return f"{type(error).__name__} on {where} arrays: {next(iter(str(error).splitlines()), '')}"


def _quietly(function: Callable[..., Any], arguments: Arguments) -> Any:
    # The size of the values is a matter of solving, not of the definition.
    with np.errstate(all="ignore"):
        return function(*(_copied(argument) for argument in arguments))


def _copied(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return argument.copy()
    return dict(argument) if isinstance(argument, Mapping) else argument


def _check_signature(argument: str, function: Callable[..., Any], arguments: Arguments) -> None:
    """Refuse a function that cannot be called with so many arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise ValueError(
            f"{argument} is called as {argument}({_CALLS[argument]}), and takes other arguments "
            f"({error}); p is one dict, the parameters and constants together"
        ) from error
    except ValueError:  # it does not tell
        return


def _check_no_module(argument: str, function: Any) -> None:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(function, torch.nn.Module):
        raise ValueError(
            f"{argument} is a torch.nn.Module, which takes no p; make the problem of it with "
            "adjointbench.Problem.from_module(module, y0, t_span, loss)"
        )
