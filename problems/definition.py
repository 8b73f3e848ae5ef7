"""What defines a problem's numbers, as one hash: it tells when a reference is out of date."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .functions import Adapted

#: Modules that problems import and whose changes do not change the numbers.
_MACHINERY = ("problem", "registry", "event", "closed_form")

#: Where an object lies in memory, which is another place in every process.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)

#: Digits of an array that count. Far below rounding, so that another platform's `exp` or another
#: summation order in made data gives the same hash; a finer change shows in the source or the
#: settings.
_DIGITS = {"float64": 9, "float32": 5}


def definition_hash(
    name: str,
    functions: Sequence[Callable[..., Any]],
    arrays: Mapping[str, np.ndarray],
    times: Mapping[str, Any],
) -> str:
    """SHA-256 of what defines the loss and gradient of a problem.

    It covers the source of the modules that the `functions` come from, and of what these import
    by relative imports or from their own folder (syntax trees, so comments, docstrings,
    decorators and layout do not count, nor does where a module lies), the names of the functions
    and the values that they have captured, the `arrays` to 9 digits (5 in float32) and the
    `times`. Two ways to make the same problem have the same hash.

    Returns
    -------
    str
        64 hexadecimal digits, the same on every platform and Python version.
    """
    functions = [f.function if isinstance(f, Adapted) else f for f in functions]
    parts = [
        ("name", name),
        *(("function", _describe(function)) for function in functions),
        *((_last(m), module_tree(m)) for m in sorted({_module(f) for f in functions})),
        *((key, _digits(value)) for key, value in arrays.items()),
        *((key, repr(value)) for key, value in times.items()),
    ]
    return hashlib.sha256("\n".join(f"{key}: {value}" for key, value in parts).encode()).hexdigest()


def _module(function: Any) -> str:
    return getattr(getattr(function, "func", function), "__module__", None) or ""


def _last(module: str) -> str:
    """The name of a module without the packages that it lies in."""
    return module.rpartition(".")[2]


def _describe(value: Any) -> str:
    """A function by its name and what it has captured, anything else by its value."""
    if isinstance(value, np.ndarray):
        return _digits(value)
    if isinstance(value, functools.partial):
        return f"{_describe(value.func)}({value.args!r}, {value.keywords!r})"
    if not inspect.isfunction(value):
        return _ADDRESS.sub("", repr(value))
    captured = [cell.cell_contents for cell in value.__closure__ or ()]
    captured += [value.__defaults__, value.__kwdefaults__]
    return f"{_last(value.__module__)}.{value.__qualname__}[{', '.join(map(_describe, captured))}]"


@functools.cache
def module_tree(name: str, importers: tuple[str, ...] = ()) -> str:
    """The syntax of a module and of its siblings that it imports; empty where there is none.

    `importers` are those on the way here, which are in the text already.
    """
    try:
        module = importlib.import_module(name)
        tree = ast.parse(inspect.getsource(module))
    except (ImportError, OSError, TypeError, ValueError):
        return ""
    above = (*importers, name)
    siblings = [sibling for sibling in _imported_siblings(tree, name) if sibling not in above]
    return "\n".join([_dump(tree), *(module_tree(sibling, above) for sibling in siblings)])


def _imported_siblings(tree: ast.Module, name: str) -> Iterator[str]:
    """The modules that a module imports by a relative import or from its own folder."""
    package = name.rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.module not in _MACHINERY:
                yield importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from _beside([node.module or ""], name)
        elif isinstance(node, ast.Import):
            yield from _beside([alias.name for alias in node.names], name)


def _beside(names: list[str], importer: str) -> Iterator[str]:
    """Those of the modules `names` that lie in the folder of `importer`."""
    folder = _folder(importer)
    return (name for name in names if folder is not None and _folder(name) == folder)


def _folder(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None else Path(file).resolve().parent


def _dump(node: Any) -> str:
    """A syntax tree as text, without docstrings and decorators.

    `ast.dump` is not the same in every version of Python, which add fields; leaving out what is
    empty makes it so.
    """
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    fields.pop("decorator_list", None)
    if isinstance(node, ast.ImportFrom):
        # Where a module lies says nothing; what is taken from it is in the text itself.
        fields = {"names": node.names}
    if _has_docstring(node):
        fields["body"] = fields["body"][1:]
    inner = ",".join(f"{name}={_dump(value)}" for name, value in fields.items())
    return f"{type(node).__name__}({inner})"


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return ast.get_docstring(node) is not None


def _digits(array: np.ndarray) -> str:
    """Dtype, shape and rounded elements of an array; what is noise beside its largest is zero."""
    head = f"{array.dtype.name}{array.shape}"
    if array.dtype.kind != "f":
        return f"{head} {array.tolist()}"
    largest = np.max(np.abs(array), initial=0.0)
    noise = 10 * np.finfo(array.dtype).eps * largest
    digits = _DIGITS[array.dtype.name]
    values = (0.0 if abs(x) <= noise else float(x) for x in array.ravel())
    return f"{head} {' '.join(f'{x:.{digits - 1}e}' for x in values)}"
