"""On real workers of dask, processes on this machine."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from adjointbench.suite.cluster import ClusterError, ClusterLostError, members, pool
from adjointbench.suite.collect import collect
from adjointbench.suite.measuring.rows import read_rows
from adjointbench.suite.selection import Selection
from adjointbench.suite.trainings import train_grid_on
from adjointbench.training import train_grid

distributed = pytest.importorskip("distributed")

#: What a clock or the process measures, and where it was.
OF_THE_MACHINE = {"machine", "ratio", "error_bar_cost", "calls"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """As users wait, in place of what the folder's other tests do."""
    monkeypatch.setattr(members, "LOOK_S", 0.5)
    monkeypatch.setattr(pool, "_TICK_S", 0.1)


@pytest.fixture(scope="module")
def two_workers():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster


def selected(*methods, problems=("linear",)):
    return Selection(quick=True, problems=problems, methods=methods, devices=("cpu",))


def numbers(file):
    """All of each row that is no time, by what it is of."""

    def kept(row):
        fields = dataclasses.asdict(row)
        return {n: v for n, v in fields.items() if "second" not in n and not n.endswith("_s")}

    rows = {(row.key, row.rtol): kept(row) for row in file.rows}
    return {key: {n: row[n] for n in row.keys() - OF_THE_MACHINE} for key, row in rows.items()}


@pytest.mark.slow
def test_a_cluster_measures_what_this_machine_does(two_workers, tmp_path):
    chosen = selected("finite-difference")
    said = []
    address = two_workers.scheduler_address
    file = collect(chosen, tmp_path / "there.jsonl", cluster=address, say=said.append)
    assert file.complete
    assert numbers(file) == numbers(collect(chosen, tmp_path / "here.jsonl", say=said.append))
    assert sum(", on " in line for line in said) == 1
    collect(chosen, tmp_path / "there.jsonl", cluster=address, say=said.append)
    assert "1 of 1 are measured already" in said[-1]


@pytest.mark.slow
def test_no_scheduler_and_no_package_are_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("adjointbench.suite.cluster.connection._CONNECT_S", 0.5)
    with pytest.raises(ClusterError, match=r"cluster='tcp://127.0.0.1:1': no scheduler answers"):
        collect(selected("scipy-adjoint"), tmp_path / "a.jsonl", cluster="tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install .*\[cluster\]"):
        collect(selected("scipy-adjoint"), tmp_path / "a.jsonl", cluster="tcp://127.0.0.1:1")


@pytest.mark.long
def test_a_worker_killed_in_the_middle(two_workers, tmp_path):
    with distributed.Client(two_workers, set_as_default=False) as client:
        pids = client.run(os.getpid)
    said, path = [], tmp_path / "rows.jsonl"

    def say(line):
        said.append(line)
        if "[  1/2]" in line:  # the other begins when this has been said, and compiles for seconds
            (told,) = [line for line in said if "measures" in line]
            pid = pids[told.rpartition("(")[2].rstrip(")")]
            threading.Timer(1.0, os.kill, (pid, signal.SIGKILL)).start()

    chosen = selected("finite-difference", "jax-discrete")
    file = collect(chosen, path, cluster=two_workers.scheduler_address, say=say)
    assert len([line for line in said if "begins again elsewhere" in line]) == 1
    assert {row.status for row in file.rows} == {"ok"}
    assert numbers(file) == numbers(collect(chosen, tmp_path / "here.jsonl", say=print))


@pytest.mark.long
def test_two_clients_at_once(two_workers, tmp_path):
    found = {}

    def measure(name, *methods):
        path = tmp_path / f"{name}.jsonl"
        address = two_workers.scheduler_address
        found[name] = collect(selected(*methods), path, cluster=address, say=print)

    clients = [
        threading.Thread(target=measure, args=arguments)
        for arguments in (("a", "finite-difference"), ("b", "scipy-adjoint", "scipy-forward"))
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [len(found[name].rows) for name in "ab"] == [3, 6]
    assert all(row.status == "ok" for file in found.values() for row in file.rows)


@contextlib.contextmanager
def processes(tmp_path, names=("alpha", "beta")):
    """A scheduler, and a worker for each name, as commands start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"

    def start(module, *arguments, **environment):
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        with (tmp_path / "log").open("a") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | environment, cwd=tmp_path
            )

    started = [
        start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    ]
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
    started += [
        start("dask_worker", address, *options, ADJOINTBENCH_MACHINE=name) for name in names
    ]
    try:
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.long
def test_the_scheduler_gone_and_a_run_that_goes_on(tmp_path):
    path = tmp_path / "rows.jsonl"
    chosen = selected("finite-difference", "scipy-adjoint", problems=("linear", "pendulum"))
    said = []
    with processes(tmp_path) as (address, (scheduler, *_)):

        def say(line):
            said.append(line)
            if "[  1/4]" in line:
                scheduler.kill()

        with pytest.raises(ClusterLostError, match=f"the scheduler at {address} is gone"):
            collect(chosen, path, cluster=address, say=say)
    kept = read_rows(path)
    assert 1 <= len(kept.done) < 4
    assert not kept.complete
    with processes(tmp_path) as (address, _):
        file = collect(chosen, path, cluster=address, say=said.append)
    assert file.complete
    measured = [json.loads(line) for line in path.read_text().splitlines()]
    assert len([line for line in measured if line["kind"] == "done"]) == 4
    assert {row.machine for row in file.rows} <= {"alpha", "beta"}
    by_problem = {(row.problem, row.machine) for row in file.rows}
    assert len(by_problem) == 2


@pytest.mark.long
def test_a_grid_of_trainings_learns_the_same(two_workers, tmp_path):
    options = {"regularizers": ["none", "error"], "adjoints": ["discrete"], "seeds": [0]}
    options |= {"epochs": 2, "backend": "jax"}
    (there, here) = (tmp_path / name for name in ("there", "here"))
    address, rows = two_workers.scheduler_address, []
    folders = train_grid_on(
        address,
        "two_spirals",
        out=there,
        say=lambda name, row: rows.append((name, row["epoch"], row["loss"])),
        tell=lambda name, sentence: None,
        tell_all=print,
        **options,
    )
    assert [folder.relative_to(there) for folder in folders] == [
        folder.relative_to(here) for folder in train_grid("two_spirals", out=here, **options)
    ]
    assert [epoch for _, epoch, _ in rows] == [0, 1, 2] * 2
    for folder in folders:
        columns = ("epoch", "status", "train_loss", "nfe", "steps")
        assert table(folder, columns) == table(here / folder.relative_to(there), columns)


def table(folder, columns):
    header, *lines = (folder / "epochs.csv").read_text().splitlines()
    places = [header.split(",").index(name) for name in columns]
    return [[line.split(",")[place] for place in places] for line in lines]
