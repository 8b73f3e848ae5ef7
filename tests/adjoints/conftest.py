"""Settings for single files of tests: those of JAX, and which engine runs."""

from collections.abc import Iterator

import pytest

from adjointbench.adjoints.native import compiler, loop

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


#: Tests of what the engine of a framework does inside: it runs there, whatever "auto" would take.
BY_THE_FRAMEWORK = (
    "test_jax_discrete::test_large_states",
    "test_kernels::test_gradients",
    "test_regularizers::test_slopes",
)

#: Tests of what a user gets, which run by both engines. Where XLA compiles for seconds, they are
#: those that see what no other adjoint shows: test_frameworks_agree.py compares whole problems.
BY_BOTH = (
    "test_jax_composes::test_breakdown",
    "test_jax_composes::test_jacrev",
    "test_jax_composes::test_unused_estimates",
    "test_jax_composes::test_vmap_over",
    "test_jax_discrete::test_checkpoints",
    "test_jax_discrete::test_estimates",
    "test_jax_discrete::test_exact",
    "test_jax_discrete::test_replayed",
    "test_jax_discrete::test_save_times",
    "test_jax_implicit::test_exact",
    "test_solve_stops::test_no_step",
    "test_solve_times::test_save_times",
    "test_torch_directions::test_backwards",
    "test_torch_directions::test_jumps",
    "test_torch_directions::test_no_step",
    "test_torch_directions::test_the_gradient",
    "test_torch_lanes::test_a_lane",
    "test_torch_lanes::test_lanes",
    "test_torch_rejected::test_an_attempt_outside_the_domain",
    "test_torch_solve::test_a_breakdown",
    "test_torch_solve::test_estimates",
    "test_torch_solve::test_exact",
    "test_torch_solve::test_function_transforms",
    "test_torch_states::test_structures",
    "test_torch_stops::test_given_steps",
    "test_torch_stops::test_save_times",
    "test_torch_stops::test_switch",
    "test_torch_times::test_start",
    "test_torch_times::test_under_vmap",
)

#: Of the other values of a test, those by which no native program can run.
NEVER_NATIVE = {"auto", "kvaerno5", "implicit_midpoint", "forward", "tape", "gauss", "quadrature"}
NEVER_NATIVE |= {"backsolve", "seminorm", "interpolating"}


def _name(definition: pytest.Item) -> str:
    return f"{definition.path.stem}::{definition.name}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run by both engines what is listed."""
    if _name(metafunc.definition).startswith(BY_BOTH):
        metafunc.parametrize("engine", ["native", "framework"], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run once what is never native."""

    def is_twin(item: pytest.Item) -> bool:
        values = set(item.name.partition("[")[2].rstrip("]").split("-"))
        return "framework" in values and bool(values & NEVER_NATIVE)

    items[:] = [item for item in items if not is_twin(item)]


#: Where native programs are optimised as users have them; that takes as long again as the rest of
#: their compilation.
FULLY_OPTIMISED = ("contract", "test_native")


@pytest.fixture(autouse=True)
def quickly_compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Optimise native programs little, but in the files that are about them."""
    names = (request.path.name, request.path.parent.name)
    if not any(name.startswith(FULLY_OPTIMISED) for name in names):
        monkeypatch.setattr(compiler, "OPTIMISED_UP_TO", 0)


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine of the framework run where that is what is tested."""
    chosen = getattr(request, "param", "")
    if chosen == "framework" or _name(request.node).startswith(BY_THE_FRAMEWORK):
        monkeypatch.setattr(loop, "KINDS", ())
