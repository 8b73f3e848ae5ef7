"""Settings of JAX for single files of tests."""

from collections.abc import Iterator

import pytest

#: Tests of the open JAX solver on equations that are written out in full: what careful users set,
#: so that a shape that is promoted by accident is an error. The equations of the zoo promote
#: shapes, as the array API allows.
STRICT = ("contract", "test_jax_", "test_solve_", "test_kernels")

#: Tests in which two programs are held to the last digits, as XLA's optimisations make them.
OPTIMISED = ("test_diffrax_estimates", "test_peers")


@pytest.fixture(autouse=True)
def settings_of_jax(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set what the file of a test asks for."""
    names = (request.path.name, request.path.parent.name)
    if not any(name.startswith((*STRICT, *OPTIMISED)) for name in names):
        yield
        return
    import jax

    if any(name.startswith(STRICT) for name in names):
        with jax.numpy_rank_promotion("raise"):
            yield
        return
    quick = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", quick)
