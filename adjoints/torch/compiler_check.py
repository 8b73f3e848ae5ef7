"""Whether PyTorch's compiler can work here, known before it has tried for a minute."""

from __future__ import annotations

import os
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator

import torch
from torch._inductor import config as inductor
from torch._inductor.runtime.cache_dir_utils import default_cache_dir


def why_none() -> str:
    """Why nothing can be compiled, or an empty text.

    PyTorch hands paths to the C++ compiler in one line, unquoted: a space in one splits it.
    """
    for what, path in _paths():
        if any(letter.isspace() for letter in path):
            return (
                f"PyTorch's compiler fails where a path has a space, as {what} has: {path!r}; "
                "choose another"
            )
    known = inductor.cpp.cxx
    names = [name for name in ((known,) if isinstance(known, str) else known) if name]
    if not any(shutil.which(name) for name in names):
        return f"no C++ compiler was found ({', '.join(names)}); install one, or name it in CXX"
    return ""


def _paths() -> Iterator[tuple[str, str]]:
    """What the compiler reads from and writes to."""
    yield "the folder for temporary files (TMPDIR)", tempfile.gettempdir()
    where = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    yield "PyTorch's cache (TORCHINDUCTOR_CACHE_DIR)", where or default_cache_dir()
    yield "the folder that PyTorch is installed in", os.path.dirname(torch.__file__)
    yield "the folder of Python's headers", sysconfig.get_paths()["include"]
