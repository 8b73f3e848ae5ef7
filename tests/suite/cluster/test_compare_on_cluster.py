"""A comparison on one machine of a cluster, and never on two."""

import pytest
from pretended import Pretended, about

import adjointbench as ab
from adjointbench.suite.cluster import ClusterLostError, members, pool
from adjointbench.suite.measuring.rows import read_rows
from adjointbench.suite.own_problem.comparison import Comparison
from adjointbench.suite.own_problem.run import compare


class Watch:
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)

    def began(self, name):
        self.say(f"{name} began")

    def ended(self, name, line):
        self.say(f"{name}: {line}")


def comparison(tmp_path, *methods, name="lotka_volterra", **settings):
    problem = ab.problems.get(name, **settings)
    return Comparison(problem, "", methods, tmp_path, rtols=(1e-3, 1e-6), budget_s=60.0)


@pytest.fixture
def clusters(monkeypatch):
    """The cluster that is joined; what a worker has to see is kept in `seen`."""
    found = {}

    def connect(place):
        return found[place]

    monkeypatch.setattr(pool, "Connection", connect)
    return found


def test_one_machine_measures_all_and_the_same_command_goes_on_there(tmp_path, clusters):
    clusters["tcp://one"] = Pretended(a=about("alpha"), b=about("beta", places=2))
    watch = Watch()
    outcome = compare(comparison(tmp_path, "scipy-adjoint"), watch, cluster="tcp://one")
    assert {row.machine for row in outcome.rows} == {"beta"}
    clusters["tcp://one"] = Pretended(a=about("alpha", places=4), b=about("beta"))
    both = comparison(tmp_path, "scipy-adjoint", "scipy-forward")
    outcome = compare(both, watch, cluster="tcp://one")
    assert "1 of 2 methods are measured already" in watch.lines
    assert {row.machine for row in outcome.rows} == {"beta"}
    assert len(outcome.rows) == 4


def test_on_another_machine_all_is_measured_anew(tmp_path, clusters):
    clusters["tcp://one"] = Pretended(b=about("beta"))
    compare(comparison(tmp_path, "scipy-adjoint"), Watch(), cluster="tcp://one")
    clusters["tcp://one"] = Pretended(a=about("alpha"))
    outcome = compare(comparison(tmp_path, "scipy-adjoint"), Watch(), cluster="tcp://one")
    assert {row.machine for row in outcome.rows} == {"alpha"}
    machines = {row.machine for row in read_rows(tmp_path / "rows.jsonl").rows}
    assert machines == {"alpha", "beta"}


def test_a_machine_that_is_lost_ends_it_with_what_was_measured(tmp_path, clusters, monkeypatch):
    monkeypatch.setattr(members, "RETURN_S", 0.05)
    cluster = clusters["tcp://one"] = Pretended(a=about("alpha"), b=about("beta"))

    def on_submit(future):
        cluster.measure(future)
        cluster.present.pop(future.address, None)

    cluster.on_submit = on_submit
    methods = ("scipy-adjoint", "scipy-forward")
    with pytest.raises(ClusterLostError, match="has to be measured on one machine"):
        compare(comparison(tmp_path, *methods), Watch(), cluster="tcp://one")
    assert len(read_rows(tmp_path / "rows.jsonl").done) == 1


def test_a_problem_without_a_reference_needs_a_file_system_that_is_shared(tmp_path, clusters):
    seen = []
    cluster = clusters["tcp://one"] = Pretended(a=about("alpha", sees=False))
    ask = cluster.ask
    cluster.ask = lambda address, path: [seen.append(path), ask(address, path)]
    with pytest.raises(ClusterLostError, match=f"does not see {tmp_path}"):
        compare(
            comparison(tmp_path, "scipy-adjoint", name="van_der_pol", mu=11.0),
            Watch(),
            cluster="tcp://one",
        )
    assert seen == [str(tmp_path)]
