"""Files that a user is given: refused early where they cannot be written, whole at any moment."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: Bytes that must fit: a file system may hold an empty file where it is full.
_PROBE = 4096


def checked_folder(argument: str, folder: str | Path) -> Path:
    """`folder`, made where it is not there.

    Raises
    ------
    ValueError
        Where it cannot be a folder, or no file can be written into it.
    """
    target, given = Path(folder), f"{argument}={str(folder)!r}"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{given} cannot be a folder ({_reason(error)}); name another one"
        ) from None
    try:
        # Rights alone do not tell: a file system may be full, or read-only for its owner too.
        with tempfile.TemporaryFile(dir=target) as file:
            file.write(b"\0" * _PROBE)
    except OSError as error:
        raise ValueError(
            f"{given}: nothing can be written there ({_reason(error)}); name another folder"
        ) from None
    return target


def checked_file(argument: str, path: str | Path) -> Path:
    """`path`, whose folder is made where it is not there.

    Raises
    ------
    ValueError
        Where it cannot be a file that is written.
    """
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{argument}={str(path)!r} is a folder; name a file")
    checked_folder(argument, target.parent)
    return target


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `target` in one go, or leaves it as it was."""
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        # Where the disk is full, half a file would keep it so.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
