"""The script for a GPU, on the CPU: what it measures, and what it does in trouble."""

import time
from contextlib import nullcontext
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch

import adjointbench as ab
from adjointbench.adjoints.jax.program import JaxProgram
from adjointbench.suite.gpu import launches, placement, run
from adjointbench.suite.gpu.lanes import Lanes
from adjointbench.suite.gpu.on_device import OnDevice
from adjointbench.suite.gpu.parts import backend_of, parts
from adjointbench.suite.gpu.problems import images, lotka_volterra_lanes
from adjointbench.suite.gpu.studies import AGREEMENT, STUDIES
from adjointbench.suite.gpu.sweeps import WAYS, Sweep
from adjointbench.suite.measuring.names import join_name
from adjointbench.suite.measuring.timing import inputs_of

AGREE = OnDevice(problem="linear", method="jax-discrete", study=AGREEMENT, budget_s=0.01)


def rows_of(task):
    return list(task.rows(nullcontext))


def test_every_method_that_knows_devices_is_measured_on_one():
    able = {m.name for m in ab.methods() if "device" in m.supports}
    assert able == {
        task.method.partition("(")[0] for task in parts("cuda") if task.study == AGREEMENT
    }


def test_each_part_is_one_line_of_the_file_and_has_its_own_limit():
    tasks = parts("cuda")
    assert len({(task.key, getattr(task, "rtol", 0)) for task in tasks}) == len(tasks)
    assert all(task.timeout_s > 0 for task in tasks)
    assert {task.study for task in tasks} >= set(STUDIES)
    assert {task.device for task in tasks if task.study in STUDIES} == {"cuda"}


def test_on_the_cpu_there_is_a_part_of_each_kind_for_each_framework():
    small = parts("cpu")
    assert {task.study for task in small} >= set(STUDIES)
    assert {backend_of(task) for task in small} == {"jax", "torch"}
    assert len(small) < len(parts("cuda")) / 4


def test_many_systems_as_one_have_the_gradients_of_each():
    many = ab.gradient(lotka_volterra_lanes(lanes=3), "scipy-adjoint", rtol=1e-9, atol=1e-12)
    one = ab.gradient(ab.problems.get("lotka_volterra"), "scipy-adjoint", rtol=1e-9, atol=1e-12)
    assert many.dparams["p"][:, 0] == pytest.approx(one.dparams["p"], rel=1e-6)


def test_random_images_have_the_size_of_the_real_ones():
    assert images().y0.shape == (512, 784)
    assert images().n_params == 166_418
    assert images().dtype == np.float32


def test_what_a_device_lacks_or_a_package_raises_is_a_row(monkeypatch):
    (row,) = [r for r in rows_of(replace(AGREE, device="cuda:7")) if r.device != "cpu"]
    assert row.status == "skipped"
    assert "this machine lacks it" in row.message

    def explode(*arguments, **options):
        raise MemoryError("too large")

    monkeypatch.setattr("adjointbench.suite.gpu.on_device.get_problem", explode)
    (row,) = rows_of(AGREE)
    assert (row.status, row.message, row.exception) == ("failed", "MemoryError: too large", True)


def test_another_device_is_compared_with_the_cpu():
    host, device = rows_of(replace(AGREE, method="jax-forward", device="cpu:1"))
    assert (host.device, device.device) == ("cpu", "cpu:1")
    assert host.error is None
    assert device.error < 1e-12
    assert device.message == ""
    assert device.launches > 0


def test_lanes_are_checked_against_one_system_on_the_cpu():
    task = Lanes(
        problem="lotka_volterra(lanes=3)", method="jax-discrete", lanes=3, study="gpu lanes",
        budget_s=0.01, device="cpu:1",
    )  # fmt: skip
    (row,) = rows_of(task)
    assert (row.status, row.message) == ("ok", "")
    assert row.error < 1e-10
    (row,) = rows_of(replace(task, max_steps=8))
    assert row.status == "max_steps"
    assert row.message == "3 of 3 lanes broke down"
    assert row.seconds is None


def test_both_ways_of_sweeping_give_the_same_gradient():
    problem = ab.problems.get("lotka_volterra")
    settings = ab.prepare(problem, "jax-discrete", engine="xla").settings
    programs = [JaxProgram(problem, settings, chunked_states=n) for n in WAYS.values()]
    chunks, steps = (program.gradient(problem.params, problem.y0) for program in programs)
    assert programs[0].config != programs[1].config
    assert chunks.dparams["p"] == pytest.approx(steps.dparams["p"], rel=1e-10)
    task = Sweep(problem="linear", method=join_name("jax-discrete", {"sweep": "steps"}))
    (row,) = rows_of(replace(task, budget_s=0.01))
    assert row.status == "ok"
    assert row.seconds > 0


def test_arrays_on_another_device_are_found():
    prepared = ab.prepare(ab.problems.get("linear"), "jax-discrete", device="cpu:1")
    assert placement.strays(prepared) == ""

    class Elsewhere:
        problem, settings = prepared.problem, prepared.settings

        @staticmethod
        def compiled(params, y0):
            return jax.device_put((y0, params, y0), jax.devices("cpu")[0])

    assert "results lie on" in placement.strays(Elsewhere())


def test_tensors_computed_on_another_device_are_found(monkeypatch):
    prepared = ab.prepare(ab.problems.get("linear"), "torch-discrete")
    assert placement.strays(prepared) == ""

    class Elsewhere:
        problem, settings = prepared.problem, prepared.settings

        @staticmethod
        def compiled(params, y0):
            found = (y0 + 1.0).to("meta")
            return found, dict.fromkeys(params, found), found

    there = torch.device("meta")
    monkeypatch.setattr("adjointbench.adjoints.torch.device.find_device", lambda name: there)
    assert "aten.add" in placement.strays(Elsewhere())


def test_operations_and_waits_of_the_host_are_counted():
    problem, engine = ab.problems.get("linear"), "torch"
    prepared = ab.prepare(problem, "torch-discrete", rtol=1e-3, atol=1e-6, engine=engine)

    class Waits:
        problem, settings = prepared.problem, prepared.settings

        @staticmethod
        def compiled(params, y0):
            for _ in range(5):
                float(y0.sum())
            return prepared.compiled(params, y0)

    one, more = launches.counts_of(prepared), launches.counts_of(Waits())
    assert more["waits"] - one["waits"] == 5
    assert more["launches"] > one["launches"] > 100


def only(monkeypatch, *tasks):
    monkeypatch.setattr(run, "parts", lambda device: tasks)


def test_without_time_parts_are_left_for_the_next_run(tmp_path, monkeypatch):
    only(monkeypatch, replace(AGREE, timeout_s=60.0))
    start = time.monotonic()
    file, left = run.measure("cpu", tmp_path / "rows.jsonl", 1.0, lambda line: None)
    assert left == ["linear jax-discrete"]
    assert not file.rows
    assert time.monotonic() - start < 10.0


def test_a_part_that_hangs_is_a_row_and_the_next_run_measures_only_what_is_missing(
    tmp_path, monkeypatch
):
    path, said = tmp_path / "rows.jsonl", []
    hangs = replace(AGREE, method="torch-discrete", timeout_s=0.2)
    goes_on = replace(AGREE, method="torch-tape", timeout_s=60.0)
    only(monkeypatch, hangs, goes_on)
    file, left = run.measure("cpu", path, 120.0, said.append)
    assert {row.method: row.status for row in file.rows} == {
        "torch-discrete": "timeout",
        "torch-tape": "ok",
    }
    assert file.complete
    assert not left
    assert len(said) == 2
    monkeypatch.setattr(run, "_measure", lambda tasks, *rest: list(tasks))
    assert run.measure("cpu", path, 60.0, said.append)[1] == []
    assert "2 of 2 parts are measured already" in said[-1]


def test_nothing_measured_says_why(capsys, tmp_path, monkeypatch):
    only(monkeypatch, replace(AGREE, method="torch-tape", device="cuda:7", timeout_s=60.0))
    arguments = ["run", "--device", "cuda:7", "--budget", "60s", "--out", str(tmp_path / "r.jsonl")]
    monkeypatch.setattr("sys.argv", arguments)
    assert "this machine lacks it" in run.main()
    assert "Methods on the device" in capsys.readouterr().out


def test_inputs_of_a_call_lie_on_the_device():
    prepared = ab.prepare(ab.problems.get("linear"), "jax-discrete", device="cpu:1")
    (first,), (second,) = ({x.devices().pop() for x in jax.tree.leaves(inputs_of(prepared, n))}
                           for n in (0, 1))  # fmt: skip
    assert first == second == jax.devices("cpu")[1]
