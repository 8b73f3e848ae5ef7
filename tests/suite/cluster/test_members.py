import pytest
from pretended import Pretended, about, job, joined

from adjointbench.suite.cluster import ClusterLostError, members
from adjointbench.suite.measuring.machine import machine, versions

OTHER_JAX = versions() | {"jax": "0.1.0"}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (about("beta", code="other"), "its code of adjointbench is another one than here"),
        (about("beta", versions=OTHER_JAX), "jax 0.1.0 and not"),
        (
            about("beta", machine=machine() | {"machine": "beta", "python": "3.9.1"}),
            "it has Python 3.9.1",
        ),
        (about("beta", sees=False), "file system which it shares"),
        ("ModuleNotFoundError: No module named 'adjointbench'", "No module named 'adjointbench'"),
    ],
)
def test_a_worker_of_another_kind_is_refused_in_a_sentence(told, reason):
    made, said = joined(Pretended(a=about("alpha"), b=told))
    assert made.machines == ["alpha"]
    (refused,) = [line for line in said if "refused" in line]
    assert reason in refused
    with pytest.raises(ClusterLostError, match="no worker of tcp://pretended can measure"):
        joined(Pretended(b=told))


def test_two_machines_of_one_name_are_not_taken_for_one():
    other = machine() | {"machine": "alpha", "cpu": "another"}
    made, said = joined(Pretended(a=about("alpha"), b=about(machine=other)))
    assert len(made) == 1
    assert any("another machine is called alpha as well" in line for line in said)


def test_one_worker_of_a_machine_measures_and_another_takes_its_place():
    cluster = Pretended(a=about("alpha"), b=about("alpha"))
    made, said = joined(cluster)
    assert len(made) == 1
    del cluster.present["a"]
    for _ in range(3):
        list(made._look_after())
    assert made.machines == ["alpha"]
    assert [line for line in said if "measures" in line] == [
        "alpha measures one task at a time (a)",
        "alpha measures one task at a time (b)",
    ]


def test_a_worker_that_comes_later_measures_too():
    cluster = Pretended(a=about("alpha"))
    made, _ = joined(cluster)
    cluster.present["b"] = about("beta", places=3)
    for _ in range(3):
        list(made._look_after())
    assert len(made) == 4


def test_on_an_accelerator_one_task_at_a_time():
    made, said = joined(Pretended(a=about(places=3)), one_at_a_time=True)
    assert len(made) == 1
    assert said == ["alpha measures one task at a time (a)"]


def test_nobody_is_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(members, "PATIENCE_S", 0.05)
    with pytest.raises(ClusterLostError, match="had no worker"):
        joined(Pretended())


def test_alone_means_one_machine_and_never_another(monkeypatch):
    monkeypatch.setattr(members, "RETURN_S", 0.05)
    cluster = Pretended(a=about("alpha"), b=about("beta", places=2))
    made, said = joined(cluster, alone=True)
    assert made.machines == ["beta"]
    assert said == ["beta measures 2 tasks at a time (b)"]
    made, _ = joined(cluster, alone=True, owners={"linear": "alpha"})
    assert made.machines == ["alpha"]
    del cluster.present["a"]
    with pytest.raises(ClusterLostError, match="alpha is lost"):
        list(made.events([job()]))
