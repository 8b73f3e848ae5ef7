"""Programs that JAX has compiled, shared by the tasks of one run that tell no time of compiling."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping

#: Names the folder that the measuring processes of a run share; see :mod:`.worker`.
FOLDER = "ADJOINTBENCH_SHARED_PROGRAMS"

#: JAX's own name of it.
_WHERE = "jax_compilation_cache_dir"

#: Keep what compiles quickly and is small, too.
_SETTINGS: dict[str, object] = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextlib.contextmanager
def shared_programs() -> Iterator[None]:
    """What JAX compiles inside is kept for all that is inside, and found there alone.

    Outside, all is compiled anew: rows tell what compiling takes. A process that keeps its programs
    anyway goes on with that.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    before = {name: getattr(jax.config, name) for name in (*_SETTINGS, _WHERE)}
    if before[_WHERE]:
        yield
        return
    with _folder() as folder:
        _set(_SETTINGS | {_WHERE: folder})
        # JAX looks once at where its programs are kept, and goes on with that.
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            _set(before)
            compilation_cache.reset_cache()


def _set(values: Mapping[str, object]) -> None:
    import jax

    for name, value in values.items():
        jax.config.update(name, value)


def _folder() -> contextlib.AbstractContextManager[str]:
    """That of the run, or one of its own in a process that belongs to none."""
    named = os.environ.get(FOLDER)
    return contextlib.nullcontext(named) if named else tempfile.TemporaryDirectory()
