import pytest
from pretended import Pretended, about, job, joined

from adjointbench.suite.cluster import ClusterLostError, attempt
from adjointbench.suite.cluster.connection import Ended, Told
from adjointbench.suite.measuring.campaign import Campaign
from adjointbench.suite.measuring.rows import RowFile, read_rows


def two(**changes):
    return Pretended(a=about("alpha", **changes), b=about("beta", **changes))


def ended(events):
    """The machine on which each task was measured to its end."""
    return [
        (e.task.problem, e.task.method, e.machine["machine"]) for e in events if e.kind == "done"
    ]


def test_all_of_a_problem_is_measured_on_one_machine():
    cluster = two()
    made, _ = joined(cluster)
    tasks = [
        job(p, f"finite-difference(n={n})")
        for p in ("linear", "pendulum", "lorenz")
        for n in range(4)
    ]
    where = ended(made.events(tasks))
    assert len(where) == len(tasks)
    assert all(len({name for p, _, name in where if p == problem}) == 1 for problem, *_ in where)
    assert {name for *_, name in where} == {"alpha", "beta"}


def test_a_study_is_one_group_and_goes_on_where_it_was_begun():
    made, _ = joined(two(), owners={"scaling": "beta"})
    tasks = [job(f"brusselator({n})", study="scaling") for n in range(6)]
    assert {name for *_, name in ended(made.events(tasks))} == {"beta"}


def test_rows_come_as_they_are_told_and_none_twice():
    made, _ = joined(Pretended(a=about()))
    events = list(made.events([job()]))
    assert [event.kind for event in events] == ["began", "row", "row", "done"]
    assert [event.row.rtol for event in events if event.kind == "row"] == [1e-3, 1e-5]


def test_what_has_been_told_is_not_fetched():
    def on_submit(future):
        cluster.begin(future)
        for number, row in enumerate(cluster.rows(future)):
            cluster.heard.put(Told(future.key, number, row))
        cluster.heard.put(Told(future.key, ended=2))
        cluster.heard.put(Ended(future.key, pytest.fail))

    cluster = Pretended(a=about())
    cluster.on_submit = on_submit
    made, _ = joined(cluster)
    assert [event.kind for event in made.events([job()])] == ["began", "row", "row", "done"]


def test_no_more_at_a_time_than_a_worker_has_places():
    cluster = Pretended(a=about(places=2))
    cluster.on_submit = cluster.begin
    made, _ = joined(cluster)
    assert len(made) == 2
    events = made.events([job(method=f"finite-difference(n={n})") for n in range(5)])
    assert [next(events).kind, next(events).kind] == ["began", "began"]
    assert len(cluster.begun) == 2


def test_more_is_asked_for_after_all_has_been_told():
    def tasks():
        yield job(method="scipy-adjoint")
        while "done" not in heard:
            yield None
        yield job(method="scipy-forward")

    heard = []
    made, _ = joined(Pretended(a=about()))
    for event in made.events(tasks()):
        heard.append(event.kind)
    assert heard == ["began", "row", "row", "done"] * 2


def lose_after_a_row(cluster, how_often):
    """Have workers disappear in the middle of a task."""
    lost = []

    def on_submit(future):
        if len(lost) >= how_often:
            cluster.measure(future)
            return
        lost.append(future.address)
        cluster.begin(future)
        cluster.heard.put(Told(future.key, 0, cluster.rows(future)[0]))
        del cluster.present[future.address]

    cluster.on_submit = on_submit
    return lost


def test_a_lost_task_begins_elsewhere_once_and_that_is_told(tmp_path):
    cluster = Pretended(a=about("alpha"), b=about("beta"))
    (lost,) = [lose_after_a_row(cluster, 1)]
    made, said = joined(cluster)
    path = tmp_path / "rows.jsonl"
    with Campaign(RowFile(path), 1, quick=True, place=made) as campaign:
        kinds = [progress.kind for progress in campaign.measure([job()])]
    assert kinds == ["began", "began", "measured"]
    other = {"a": "beta", "b": "alpha"}[lost[0]]
    file = read_rows(path)
    assert [(row.machine, row.rtol) for row in file.rows] == [(other, 1e-3), (other, 1e-5)]
    assert file.done
    assert any("is gone; linear finite-difference begins again elsewhere" in line for line in said)


def test_what_loses_a_second_worker_is_a_failure(tmp_path):
    cluster = Pretended(a=about("alpha"), b=about("beta"), c=about("gamma"))
    lose_after_a_row(cluster, 2)
    made, said = joined(cluster)
    path = tmp_path / "rows.jsonl"
    with Campaign(RowFile(path), 1, quick=True, place=made) as campaign:
        (measured,) = [p for p in campaign.measure([job()]) if p.kind == "measured"]
    assert [row.status for row in measured.rows] == ["ok", "failed"]
    assert "as one before it" in read_rows(path).rows[-1].message
    assert "is not begun a third time" in said[-1]
    assert len(cluster.begun) == 2


def test_what_only_waited_on_a_lost_worker_has_not_been_tried():
    cluster = two()
    tries = []

    def on_submit(future):
        tries.append(future.address)
        if len(tries) < 4:  # gone before it began
            told = cluster.present.pop(future.address)
            cluster.present[f"{future.address}'"] = told
        else:
            cluster.measure(future)

    cluster.on_submit = on_submit
    made, _ = joined(cluster)
    events = list(made.events([job()]))
    assert [event.kind for event in events] == ["began", "row", "row", "done"]


def test_a_worker_that_was_started_anew_has_lost_its_task():
    cluster = Pretended(a=about())
    cluster.on_submit = lambda future: [cluster.begin(future), cluster.begin(future)]
    made, said = joined(cluster)
    events = made.events([job()])
    assert [next(events).kind, next(events).kind] == ["began", "lost"]
    cluster.on_submit = cluster.measure
    assert [event.kind for event in events] == ["began", "row", "row", "done"]
    assert "was started anew" in said[-1]


def test_a_task_that_is_late_goes_elsewhere_and_its_worker_gets_no_other(monkeypatch):
    monkeypatch.setattr(attempt, "GRACE_S", 0.0)
    cluster = two()
    cluster.on_submit = cluster.begin
    made, said = joined(cluster)
    events = made.events([job(timeout_s=0.05)])
    first = next(events)
    cluster.on_submit = cluster.measure
    rest = list(events)
    assert rest[-1].machine["machine"] != first.machine["machine"]
    assert "has not answered in time" in said[-1] or "has not answered in time" in said[-2]
    assert cluster.begun[0].released


def test_an_error_of_a_worker_is_a_failure_in_the_end():
    def fail():
        raise KeyError("x")

    cluster = Pretended(a=about())
    cluster.on_submit = lambda future: cluster.heard.put(Ended(future.key, fail))
    made, said = joined(cluster)
    events = list(made.events([job()]))
    assert [e.row.status for e in events if e.kind == "row"] == ["failed", "failed"]
    assert "KeyError: 'x'" in said[-1]


def test_the_scheduler_gone_is_told_and_what_was_measured_is_kept(tmp_path):
    cluster = Pretended(a=about())
    made, _ = joined(cluster)
    path = tmp_path / "rows.jsonl"
    with Campaign(RowFile(path), 1, quick=True, place=made) as campaign:
        measuring = campaign.measure([job(), job("pendulum")])
        assert [next(measuring).kind, next(measuring).kind] == ["began", "measured"]
        cluster.gone = True
        with pytest.raises(ClusterLostError, match="scheduler at tcp://pretended is gone"):
            list(measuring)
    file = read_rows(path)
    assert len(file.rows) == 2
    assert not file.complete


def test_a_task_begun_on_one_machine_is_measured_anew_on_another(tmp_path):
    path = tmp_path / "rows.jsonl"
    cluster = Pretended(a=about("alpha"))
    cluster.on_submit = lambda future: [
        cluster.begin(future),
        cluster.heard.put(Told(future.key, 0, cluster.rows(future)[0])),
    ]
    made, _ = joined(cluster)
    with Campaign(RowFile(path), 1, quick=True, place=made) as campaign:
        next(campaign.measure([job()]))
        for _ in range(3):
            list(made._look_after())
    with path.open("a") as stream:  # as it stands where the client was ended in the middle
        row = '{"kind": "row", "problem": "linear", "method": "finite-difference", "rtol": 0.001'
        stream.write(f'{row}, "status": "ok", "machine": "alpha"}}\n')
    made, _ = joined(Pretended(b=about("beta")))
    with Campaign(read_rows(path), 1, quick=True, place=made) as campaign:
        list(campaign.measure([job()]))
    assert {row.machine for row in read_rows(path).rows} == {"beta"}
