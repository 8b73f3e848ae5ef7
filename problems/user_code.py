"""Code of the user's own, imported: what it raises becomes one sentence with the line.

A file is run as a module of its own name, a module is found in the current folder or installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from .validation import did_you_mean


def import_file(file: Path) -> ModuleType:
    """The module of a file; ``ValueError`` with the line where importing it raises."""
    name = _name_of(file)
    if name in sys.modules:
        return sys.modules[name]
    _search_in(file.parent)
    with telling(f"{file} raised {{}} when it was imported", file):
        return _run_file(name, file)


def import_module(name: str) -> ModuleType:
    """A module by its name; ``ValueError`` where there is none, or importing it raises."""
    _search_in(Path.cwd())
    _check_found(name)
    with telling(f"{name} raised {{}} when it was imported", None):
        return importlib.import_module(name)


def _name_of(file: Path) -> str:
    """The name of a file's module: no other's, and the same in every process."""
    path = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    stem = re.sub(r"\W", "_", file.stem)
    return f"adjointbench_file_{stem}_{path}"


def _run_file(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _search_in(folder: Path) -> None:
    """Modules are found beside the file, or in the current folder, as Python does for scripts."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def _check_found(name: str) -> None:
    """Refuse a module that is not there; nothing of it is run."""
    top, *_ = name.split(".")
    try:
        known = top in sys.modules or importlib.util.find_spec(top) is not None
    except ValueError:
        known = False
    if not known:
        here = [path.stem for path in Path.cwd().glob("*.py")]
        here += [path.name for path in Path.cwd().iterdir() if (path / "__init__.py").exists()]
        raise ValueError(
            f"there is no module {top!r}, neither in {Path.cwd()} nor installed; "
            f"{did_you_mean(top, sorted(here))}go to its folder, or give its path, as "
            "path/to/file.py:ATTRIBUTE"
        )


@contextlib.contextmanager
def telling(sentence: str, file: Path | None) -> Iterator[None]:
    """Turn whatever the user's code raises into one sentence: type, message and line.

    What it prints goes to the standard error.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = f"{type(error).__name__}: {_first_line(error)}{_line_of(error, file)}"
        raise ValueError(f"{sentence.format(what)}; mend it there") from error


def _first_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return next(iter(str(error).splitlines()), "no message")


def _line_of(error: BaseException, file: Path | None) -> str:
    """Where in the user's code it was raised: the last line of `file`, else the last of all."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != Path(__file__).parent
        and not frame.filename.startswith(("<frozen", contextlib.__file__))
    ]
    mine = [frame for frame in frames if file is not None and Path(frame.filename) == file]
    if not (mine or frames):
        return ""
    frame = (mine or frames)[-1]
    return f" ({Path(frame.filename).name}, line {frame.lineno})"
