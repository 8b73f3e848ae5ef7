"""Settings of every test, made before anything imports JAX: most of their time is compiling."""

import gc
import os
import shutil
from importlib.metadata import distributions
from pathlib import Path

import pytest

#: Compiled programs of JAX, by what they are compiled from and with: the processes of a run share
#: them, and the next run finds those that did not change. ``pytest --cache-clear`` empties it.
CACHES = Path(__file__).parents[1] / ".pytest_cache" / "d"
PROGRAMS = CACHES / "jax"
MOST_BYTES = 2**30

#: Files of tests, and one folder, that ``make test-fast`` leaves out: they compile much, start
#: processes, or go through many combinations of what other tests see once.
# fmt: off
SLOW = {
    "contract", "random_problems", "test_blackbox", "test_browser", "test_certify",
    "test_code", "test_code_key", "test_collect", "test_commands",
    "test_contributing", "test_diffrax_estimates", "test_directions", "test_jax_composes",
    "test_jax_discrete", "test_jax_implicit", "test_jax_odeint", "test_jax_orders",
    "test_jax_mass", "test_mass_gradients", "test_torch_mass",
    "test_kernels", "test_kinds_of_models", "test_measure", "test_nonfinite_derivatives",
    "test_own_problem", "test_peers", "test_regularizers", "test_scipy_forward",
    "test_scipy_stops", "test_scipy_units", "test_sde", "test_sde_peers",
    "test_solve_stops", "test_solve_times", "test_frameworks_agree", "test_torch_compiled",
    "test_torch_continuous", "test_torch_methods", "test_torch_peers", "test_torch_rejected",
    "test_torch_stops", "test_torch_times", "test_torch_units", "test_training", "test_zoo",
}
# fmt: on

#: What only the long run goes through: rows that take seconds to compile, of tests of which other
#: rows are run every time.
# fmt: off
LONG = (
    "test_torch_compiled.py::test_the_discrete_sweep_sees_the_same_steps",
    "test_random_problems.py::test_solve_of_pytorch_with_several_jumps",
    "test_control_takes_the_same_steps[pkpd]", "the_same_gradient[pkpd-rodas5p]",
    "the_same_gradient[stiff_neural_ode-rodas5p]",
    "jax-discrete-auto-rates_and_doses]", "jax-discrete-kvaerno5-stiff_with_stops]",
    "refused[jax-quadrature-stiff_with_stops]", "refused[jax-gauss-stiff_with_stops]",
    "refused[jax-quadrature-rates_and_doses]", "refused[jax-gauss-rates_and_doses]",
    "refused[torch-forward-stiff_with_stops]", "refused[torch-backsolve-stiff_with_stops]",
    "refused[torch-backsolve-seminorm-stiff_with_stops]", "refused[torch-tape-stiff_with_stops]",
    "agrees_with_cvodes[diffrax-direct]", "agrees_with_cvodes[diffrax-backsolve]",
    "agrees_with_cvodes[diffrax-forward]",
    "test_stored_references_of_larger_problems_are_found_again[robertson]",
    "test_an_attempt_outside_the_domain[native-rodas5p-forward]",
    "test_no_deadlock_where_the_main_thread_runs_ahead[2]",
    "test_windows_of_the_record_are_taken_again_exactly[kvaerno5]",
    "test_estimates_have_the_derivatives_of_frozen_steps[kvaerno5]",
    "converge_with_the_tolerance[interpolating-kvaerno5]",
    "converge_with_the_tolerance[quadrature-rodas4p]",
    "test_vmap_of_grad_and_grad_of_vmap[interpolating]",
    "agree_on_the_same_steps[two_spirals-error-scaled-mean]",
    "test_a_training_takes_the_same_gradient[diffrax-direct]",
    "test_other_tolerances_need_no_other_program[jax-gauss]",
    "test_doses_jump_in_state_and_adjoint[jax-quadrature]",
    "test_one_percent_in_one_entry_is_caught[pendulum-last]",
    "test_gradients_are_those_of_many_kernels[lotka_volterra-jax-gauss]",
    "test_breakdowns_are_statuses[torchode-backsolve]",
    "test_a_breakdown_is_a_result[<lambda>-options0-statuses0-torch-forward]",
    "test_derivatives_by_start_and_save_times[gauss]",
    "test_peers_and_regularisers_train_it_too[diffrax]",
    "test_where_there_is_no_closed_form_two_solvers_agree",
    "those_of_the_path[diffrax-backsolve",
    "test_multiplicative_noise[sosri2]", "test_adaptive_steps_bias_nothing[sra1]",
    "test_sde.py::test_jacobians_and_second_derivatives",
    "of_the_same_steps[sosri2-absolute-mean]",
    "the_gradient_is_that_of_the_steps_on_the_path[forward]",
    "test_stochastic_tasks.py::test_a_classifier_learns",
    "test_diffrax_gets_the_stratonovich_drift", "test_methods[torch-4]",
    "those_of_the_path[diffrax-recursive", "test_reverse_and_forward_mode_agree[kvaerno5]",
    "test_dopri5_has_another_embedded_solution",
    "test_methods[scipy-15]", "not_finite_is_told[diffrax-recursive-checkpoint-norm_o",
    "test_lotka_volterra_agrees_with_cvodes[diffrax-recursive-checkpoint]",
    "differentiate_the_same_steps[robertson-torch-forward]",
    "test_breakdowns_are_statuses[torchode-autodiff]",
    "test_exact_derivative_of_the_accepted_steps[native-kvaerno5]",
    "test_one_percent_in_one_entry_is_caught[pendulum-y0]",
    "test_gradient_of_a_solve_that_switches[gauss]",
    "converge_with_the_tolerance[interpolating-rodas5p]",
    "own_of_the_same_steps[sosri2-scaled-max]",
    "test_gradients_are_those_of_many_kernels[robertson-jax-discrete]",
    "at_the_start_and_at_the_end[native-rodas5p-False-forward]",
    "test_control_takes_the_same_steps[robertson]",
    "test_a_discontinuity_is_stepped_onto[diffrax-recursive-checkpoint]",
    "test_daily_doses_with_a_save_every_half_hour[interpolating]",
    "those_of_the_closed_form[rodas5p-forward", "by_the_other_solvers[rodas5p]",
    "test_equations_are_seen_from_inside_the_span[diffrax-backsolve]",
    "test_peers.py::test_the_backsolve_has_its_own_tolerance",
    "test_what_storage_comes_with_is_never_read[discrete-1-True]",
    "test_what_storage_comes_with_is_never_read[interpolating-40-False]",
    "test_jax_lanes.py::test_estimates_of_each[max]",
    "test_jax_lanes.py::test_times_starts_and_stops_of_their_own",
    "test_daily_doses_with_a_save_every_half_hour[quadrature]",
    "test_gpu.py::test_a_part_that_hangs_is_a_row_and_the_next_run_measures_only_what_is_missing",
    "test_a_diverged_training_keeps_its_rows_and_says_so[torch]",
    "test_second_derivatives_go_through_the_sweep",
    "test_numbers_and_tensors_that_change_are_no_constants",
    "refused[diffrax-recursive-checkpoint-stiff_with_stops]",
    "refused[diffrax-direct-stiff_with_stops]", "refused[diffrax-direct-rates",
    "refused[diffrax-backsolve-rates]", "refused[torch-backsolve-seminorm-stiff]",
    "refused[torch-forward-stiff]", "refused[torch-tape-stiff]",
    "refused[diffrax-backsolve-scalar_in_large_units]",
    "refused[diffrax-direct-scalar_in_large_units]",
    "program_for_each[diffrax-recursive-checkpoint",
    "test_stiff_equations_with_a_rosenbrock_solver[quadrature]",
    "equation_is_unstable_backwards[backsolve-seminorm]",
    "of_the_reverse_solve[backsolve-seminorm]", "of_the_reverse_solve[quadrature]",
    "step_size_is_that_of_the_whole_program[forward]",
    "test_what_storage_comes_with_is_never_read[interpolating-40-True]",
    "derivatives_of_the_tape[dop853-forward over forward-1e-10]",
    "test_rounding_is_not_multiplied_by_stiffness[sparse]",
    "test_robertson_is_as_certified[torch-interpolating]",
    "test_robertson_is_as_certified[torch-tape]",
    "differentiate_the_same_steps[robertson-torch-tape]",
    "test_torch_continuous.py::test_as_in_jax[backsolve]",
    "test_lanes_and_forward_mode_give_what_each_gives_alone[banded]",
    "test_gradients_are_those_of_dense_systems[rodas4p-gauss-banded]",
    "the_sweep_is_forward_mode_through_the_steps[stops-rodas5p]",
    "test_jax_lanes.py::test_estimates_of_each[mean]",
    "test_reports_know_what_to_do_with_the_example_and_with_others",
    "refused[torch-backsolve-stiff]", "refused[diffrax-forward-rates_and_doses]",
    "refused[diffrax-forward-stiff_with_stops]", "refused[jax-interpolating-stiff_with_stops]",
    "of_the_reverse_solve[backsolve]",
    "test_torch_continuous.py::test_as_in_jax[quadrature]",
    "test_a_fixed_step_has_its_order_in_reverse[backsolve]",
    "test_gradients_are_those_of_dense_systems[kvaerno5-discrete-sparse]",
    "test_stochastic_tasks.py::test_an_interrupted_training_goes_on_to_the_same_numbers",
    "test_rosenbrock_back.py::test_lanes_give_what_each_gives_alone",
    "test_jax_lanes.py::test_each_is_what_it_is_alone[tsit5-options0]",
    "test_a_nonlinear_equation_by_all_systems[rodas4p]",
    "test_the_heat_equation_in_closed_form_by_all_systems[rodas4p]",
    "the_error_of_every_open_method[torch-forward]",
    "test_stored_references_are_found_again[lotka_volterra]",
    "gradient_that_it_has_alone[diffrax-recursive-checkpoint]",
    "test_control_takes_the_same_steps[pendulum]",
    "of_the_closed_form[tsit5-backsolve]", "test_vmap_over_windows_of_the_record[framework]",
    "test_large_states_are_swept_step_by_step_with_any_linear_solver[sparse-xla]",
    "the_closed_form[both-diffrax-recursive-checkpoint]",
    "test_one_percent_in_one_entry_is_caught[stiff_neural_ode-last]",
    "gradients_are_those_of_jax[implicit_midpoint]",
    "refused[diffrax-recursive-checkpoint-scalar_in_large_units]",
    "test_jax_lanes.py::test_each_is_what_it_is_alone[tsit5-options2]",
    "test_jax_lanes.py::test_any_number_of_lanes[1]",
    "test_peers.py::test_a_discontinuity_is_stepped_onto[diffrax-backsolve]",
    "test_equations_are_seen_from_inside_the_span[diffrax-recursive-checkpoint]",
    "one_program_and_those_of_a_program_for_each[diffrax-backsolve(solver=heun",
    "test_a_ball_bounces_twenty_times[tsit5-interpolating]",
    "test_a_ball_bounces_twenty_times[tsit5-forward]",
    "refused[diffrax-recursive-checkpoint-rates]",
    "test_a_limit_is_noticed_in_large_units_too[float32]",
    "test_halved_steps_tell_the_error_of_every_open_method[jax-gauss]",
    "test_rounding_is_not_multiplied_by_stiffness[dense]",
    "test_lanes_and_forward_mode_give_what_each_gives_alone[sparse]",
    "test_jax_lanes.py::test_each_is_what_it_is_alone[rodas5p-options3]",
    "test_a_rejected_value_that_is_finite_with_a_derivative_that_is_not[rodas5p-False]",
    "test_lotka_volterra_agrees_with_cvodes[torchode-backsolve]",
    "test_lotka_volterra_agrees_with_cvodes[torchdiffeq-seminorm]",
    "[framework-scaled-sum-stiffness_estimate-rodas5p]",
    "[framework-absolute-max-error_estimate-rodas5p]",
    "[framework-scaled-sum-error_squared-rodas5p]",
    "[framework-absolute-max-error_squared-rodas5p]",
    "test_constants_reach_the_equations[diffrax-direct]",
    "test_constants_reach_the_equations[diffrax-backsolve]",
    "test_taylor_in_closed_form[diffrax-recursive-checkpoint-2]",
    "test_jacobian_in_closed_form[diffrax-recursive-checkpoint]",
    "at_the_start_and_at_the_end[native-rodas5p-False-backsolve-seminorm]",
    "at_the_start_and_at_the_end[native-rodas5p-False-quadrature]",
    "pays_little_for_a_stop[interpolating-rodas4p]",
    "pays_little_for_a_stop[quadrature-rodas4p]",
    "test_one_percent_in_one_entry_is_caught[robertson-y0]",
    "test_checkpoints_leave_continuous_gradients_within_tolerance[quadrature]",
    "test_the_same_steps_give_the_same_gradient[robertson-rodas4p]",
    "test_an_attempt_outside_the_domain[native-rodas5p-quadrature]",
    "test_an_attempt_outside_the_domain[native-rodas5p-backsolve-seminorm]",
    "test_two_thirds_of_the_digits[radau]",
    "test_the_closed_form[lag_time-jax-interpolating]",
    "test_a_start_from_which_newton_does_not_arrive_is_a_status[jax-forward]",
    "agree_on_the_same_steps[lotka_volterra-error_squared-scaled-mean]",
    "test_jax_lanes.py::test_any_number_of_lanes[2]",
    "test_jax_lanes.py::test_any_number_of_lanes[3]",
    "test_exact_derivative_of_the_accepted_steps[framework-dopri5]",
    "test_exact_derivative_of_the_accepted_steps[framework-dop853]",
    "test_estimates_have_exact_derivatives[framework-dop853-scaled-error_estimate-max]",
    "may_change_between_solves[function-xla]", "may_change_between_solves[table-xla]",
    "at_the_start_and_at_the_end[native-tsit5-False-forward]",
    "at_the_start_and_at_the_end[interpolating-tsit5]",
    "test_gradients_that_are_taken_inside[shape1-Lagrangian-discrete]",
    "test_solve_times.py::test_save_times_that_are_repeated[native-interpolating]",
    "test_complex_step_gives_the_derivatives_of_jax[digits]",
    "test_every_solver_of_a_discrete_method[torch-discrete-implicit_midpoint-rates_and_doses]",
    "test_lotka_volterra_agrees_with_cvodes[torchdiffeq-adjoint]",
)
# fmt: on

#: Where programs are compiled as users have them, each as one kernel where XLA can.
ONE_KERNEL = {"contract", "random_problems", "test_gradient", "test_kernels"}

# Two virtual devices, so that tests can ask for "cpu:1" and look at where results live. The other
# flags, and no optimisation, more than halve the time that tests take. XLA ends the process without
# a word at a flag that it does not know: from 0.11 on it has no other emitters.
JAXLIB = "".join(d.version for d in distributions(name="jaxlib"))
FLAGS = [
    "--xla_force_host_platform_device_count=2",
    "--xla_cpu_parallel_codegen_split_count=1",
    *(["--xla_cpu_use_fusion_emitters=false"] if JAXLIB.startswith("0.10.") else []),
]
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(PROGRAMS))
# Native programs lie there too, beside what other libraries keep.
os.environ.setdefault("XDG_CACHE_HOME", str(CACHES))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Where in the source each operation stands is written into every program, and nobody reads it here.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# A program that is one kernel takes XLA twice as long to compile.
os.environ.setdefault("ADJOINTBENCH_ONE_KERNEL", "0")
# A dtype that is promoted by accident is an error, in our code and in the equations.
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")

# Tracing makes millions of objects that live on: looking through them takes a fifth of its time.
gc.set_threshold(200_000, 50, 100)


def pytest_sessionstart() -> None:
    """Begin anew where programs of many versions have piled up."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker and sum(f.stat().st_size for f in PROGRAMS.glob("*")) > MOST_BYTES:
        shutil.rmtree(PROGRAMS)


def pytest_collection_finish() -> None:
    """Leave what the imports made out of every collection of garbage."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        if {item.path.stem, item.path.parent.name} & SLOW:
            item.add_marker(pytest.mark.slow)
        if any(row in item.nodeid for row in LONG):
            item.add_marker(pytest.mark.long)


@pytest.fixture(autouse=True)
def as_one_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs be single kernels in the files that are about them."""
    if {request.path.stem, request.path.parent.name} & ONE_KERNEL:
        monkeypatch.setenv("ADJOINTBENCH_ONE_KERNEL", "1")
