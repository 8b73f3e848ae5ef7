"""Programs are shared inside of the context alone."""

import pytest

jax = pytest.importorskip("jax")

from jax.experimental.compilation_cache import compilation_cache  # noqa: E402

from adjointbench.suite.measuring import worker  # noqa: E402
from adjointbench.suite.measuring.shared_programs import FOLDER, shared_programs  # noqa: E402


@pytest.fixture
def nothing_kept():
    """As in a measuring process, which keeps no programs; what the tests keep, afterwards."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.fixture
def found():
    """How often a program was found."""
    events = []

    def listen(event, **about):
        events.extend([event] * (event == "/jax/compilation_cache/cache_hits"))

    jax.monitoring.register_event_listener(listen)
    yield events
    jax.monitoring.unregister_event_listener(listen)


def compile_anew():
    jax.jit(lambda x: 2.0 * x + 17.0).lower(1.0).compile()


def test_programs_are_found_inside_and_never_outside(tmp_path, monkeypatch, nothing_kept, found):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    compile_anew()
    with shared_programs():
        compile_anew()
    assert not found
    kept = sorted(tmp_path.iterdir())
    assert kept
    with shared_programs():
        compile_anew()
    assert len(found) == 1
    # A row of a ladder tells what compiling takes: nothing is found, and nothing kept.
    compile_anew()
    assert len(found) == 1
    assert {path.stem for path in tmp_path.iterdir()} == {path.stem for path in kept}


def test_measuring_processes_share_one_folder_and_have_no_other():
    folder = worker._environment()[FOLDER]
    assert folder == worker._environment()[FOLDER]
    assert "JAX_COMPILATION_CACHE_DIR" not in worker._environment()
