"""The queue and the pool: places, wishes, the order of studies, who takes what, and the log."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from optbench.errors import StudyError
from optbench.scheduler.states import Need, Wish
from optbench.storage import find_study
from optbench.storage.candidates import QueueState, candidates
from optbench.storage.event_log import KEPT, EventKind, newest_event, note, recent_events
from optbench.storage.pool import PoolState, PoolWorker, drain, pool_workers
from optbench.storage.queue import (
    Submission,
    find_place,
    places,
    remove_finished,
    set_priority,
    set_problem,
    set_wish,
)
from optbench.storage.schema import pool
from optbench.storage.upkeep import delete_study
from optbench.storage.workers import clock
from optbench.worker.submission import submit
from tests.conftest import sweep_of


def submitted(storage, name, **asked):
    return submit(storage, sweep_of(), name, Submission(owner="ada", **asked)).study


def worker(storage, **changes):
    made = PoolWorker(storage, **{"label": None, "gpu": False, "cores": 2} | changes)
    made.heartbeat()
    return made


def taken(one):
    found = one.take()
    return None if found is None else found.place.study


def kinds(storage, study=None):
    return [str(one.kind) for one in recent_events(storage, study)]


def states(storage):
    return {one.place.study: str(one.state) for one in storage.read(candidates)}


def test_workers_take_the_highest_priority_then_the_fewest_workers_then_the_oldest(storage):
    for name, priority in (("old", 0), ("new", 0), ("urgent", 5)):
        submitted(storage, name, priority=priority)
    names = [taken(worker(storage)) for _ in range(2)]
    set_priority(storage, find_study(storage, "urgent").study_id, -1, "ada")
    names += [taken(worker(storage)) for _ in range(4)]
    assert names == ["urgent", "urgent", "old", "new", "old", "new"]
    assert {one.place.study: one.workers for one in storage.read(candidates)} == {"urgent": 2, "old": 2, "new": 2}


def test_a_study_gets_no_more_workers_than_it_may_have(storage):
    submitted(storage, "small", max_workers=2, priority=1)
    submitted(storage, "other")
    found = [worker(storage) for _ in range(3)]
    assert [taken(one) for one in found] == ["small", "small", "other"]
    found[0].release()
    assert taken(worker(storage)) == "small"


def test_labels_and_needs_say_which_workers_fit(storage):
    submitted(storage, "labelled", label="lab")
    submitted(storage, "heavy", needs=Need.GPU, priority=1)
    assert taken(worker(storage)) is None
    assert taken(worker(storage, gpu=True)) == "heavy"
    assert taken(worker(storage, gpu=True, label="lab")) == "labelled"


def test_a_higher_priority_calls_a_worker_away_and_an_equal_one_does_not(storage):
    submitted(storage, "mine", priority=1)
    one = worker(storage)
    assert taken(one) == "mine"
    submitted(storage, "equal", priority=1)
    assert not one.should_leave()
    submitted(storage, "other label", priority=9, label="lab")
    submitted(storage, "paused", priority=9)
    set_wish(storage, find_study(storage, "paused").study_id, Wish.PAUSE, "ada")
    assert not one.should_leave()
    submitted(storage, "urgent", priority=2)
    assert one.should_leave()


def test_nobody_takes_a_study_that_is_paused_stopped_or_failed_until_it_is_resumed(storage):
    ids = {name: submitted(storage, name).study_id for name in ("paused", "stopped", "failed")}
    set_wish(storage, ids["paused"], Wish.PAUSE, "ada")
    set_wish(storage, ids["stopped"], Wish.STOP, "ada")
    set_problem(storage, ids["failed"], "no such column", "w")
    set_problem(storage, ids["failed"], "no such column", "other")
    assert states(storage) == {"paused": "paused", "stopped": "stopped", "failed": "failed"}
    assert taken(worker(storage)) is None
    for study_id in ids.values():
        set_wish(storage, study_id, Wish.RUN, "bob")
    assert set(states(storage).values()) == {QueueState.WAITING}
    assert find_place(storage, ids["failed"]).problem is None
    assert kinds(storage, "failed") == ["submitted", "failed", "resumed"]
    assert kinds(storage, "paused") == ["submitted", "paused", "resumed"]


def test_a_worker_leaves_a_study_that_it_declined_to_others_until_it_is_asked_for_again(storage, monkeypatch):
    submitted(storage, "elsewhere")
    one = worker(storage)
    found = one.take()
    one.decline(found.place, "there is no file x.csv")
    one.release()
    assert taken(one) is None
    assert taken(worker(storage)) == "elsewhere"
    (event,) = [e for e in recent_events(storage) if e.kind is EventKind.DECLINED]
    assert (event.study, event.worker, event.text) == ("elsewhere", one.name, "there is no file x.csv")
    later = storage.read(clock) + timedelta(seconds=5)
    monkeypatch.setattr("optbench.storage.queue.clock", lambda session: later)
    set_wish(storage, find_study(storage, "elsewhere").study_id, Wish.RUN, "ada")
    assert taken(one) == "elsewhere"


def test_to_submit_again_keeps_the_place_and_changes_what_was_asked(storage):
    first = submit(storage, sweep_of(), "x", Submission(owner="ada"))
    again = submit(storage, sweep_of(trials=9), "x", Submission(owner="bob", priority=3, max_workers=1))
    assert (first.made, first.queued, again.made, again.queued) == (True, True, False, False)
    (place,) = places(storage)
    assert (place.submission, find_study(storage, "x").total) == (
        Submission(owner="bob", priority=3, max_workers=1),
        9,
    )
    assert kinds(storage) == ["submitted"]


def test_another_definition_under_the_same_name_is_refused_with_the_keys_that_differ(storage):
    submitted(storage, "x")
    with pytest.raises(StudyError, match="epochs is 2 there, 3 here; choose another name with --study"):
        submit(storage, sweep_of(epochs=3), "x", Submission(owner="ada"))


def test_a_finished_study_leaves_the_queue_once(storage):
    study = submitted(storage, "x")
    for _ in range(2):
        remove_finished(storage, study.study_id, "6 trials")
    assert (places(storage), kinds(storage)) == ([], ["submitted", "done"])
    with pytest.raises(StudyError, match="study 'x' is not in the queue: it is finished, or runs by hand"):
        set_wish(storage, study.study_id, Wish.PAUSE, "ada")
    with pytest.raises(StudyError, match="`optbench queue` lists the queue"):
        set_priority(storage, study.study_id, 1, "ada")


def test_a_place_of_a_deleted_study_is_nobody_elses(storage):
    delete_study(storage, submitted(storage, "x").study_id, "x")
    assert places(storage) == []
    assert submitted(storage, "y").name == "y"
    assert [place.study for place in places(storage)] == ["y"]


def test_a_worker_whose_heartbeats_stop_is_lost_and_its_place_free(storage):
    submitted(storage, "x", max_workers=1)
    dead, other = worker(storage), worker(storage)
    assert (taken(dead), taken(other)) == ("x", None)
    earlier = storage.read(clock) - timedelta(seconds=61)
    gone = pool.c.worker == dead.name
    storage.write(lambda session: session.execute(update(pool).where(gone).values(heartbeat=earlier)))
    assert [one.state for one in pool_workers(storage) if one.name == dead.name] == [PoolState.LOST]
    assert taken(other) == "x"
    other.heartbeat()
    assert [one.name for one in pool_workers(storage)] == [other.name]
    assert [e.worker for e in recent_events(storage) if e.kind is EventKind.WORKER_LOST] == [dead.name]
    dead.heartbeat()
    assert {one.state for one in pool_workers(storage)} == {PoolState.TRAINING}


def test_a_worker_is_drained_by_name(storage):
    one = worker(storage)
    drain(storage, one.name, "ada")
    assert one.draining()
    assert one.should_leave()
    assert [found.state for found in pool_workers(storage)] == [PoolState.DRAINING]
    one.leave()
    assert pool_workers(storage) == []
    with pytest.raises(StudyError, match=f"no worker '{one.name}' in the pool; there is none"):
        drain(storage, one.name, "ada")
    assert kinds(storage) == ["worker started", "draining", "worker ended"]


def test_the_log_keeps_the_newest_events(storage):
    for number in range(205):
        storage.write(lambda session, number=number: note(session, EventKind.DONE, str(number), study="x"))
    newest = recent_events(storage, count=3)
    assert [one.text for one in newest] == ["202", "203", "204"]
    assert newest_event(storage) == newest[-1].id
    assert recent_events(storage, after=newest[0].id) == newest[1:]
    assert recent_events(storage, "y") == []
    assert KEPT == 10_000


def test_the_log_drops_the_oldest_events(storage, monkeypatch):
    monkeypatch.setattr("optbench.storage.event_log.KEPT", 50)
    for number in range(200):
        storage.write(lambda session, number=number: note(session, EventKind.DONE, str(number)))
    assert 50 <= len(recent_events(storage, count=1000)) < 150
