"""The queue and the pool: places, wishes, the order of studies, who takes what, and the log."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from optbench.errors import StudyError, TotalError
from optbench.scheduler.states import Need, Wish
from optbench.storage import NewTotal, Writer, find_study, open_storage
from optbench.storage.candidates import QueueState, candidates, read_queue
from optbench.storage.event_log import EventKind, newest_event, note, recent_events
from optbench.storage.identity import rename_study
from optbench.storage.liveness import clock
from optbench.storage.pool import LostWorkers, PoolState, PoolWorker, drain, pool_workers
from optbench.storage.queue import Submission, enqueue, find_place, places, wish_of
from optbench.storage.schema import pool, queue
from optbench.storage.steering import conclude, set_problem, steer
from optbench.storage.taking import Taker
from optbench.storage.upkeep import delete_study
from optbench.worker.submission import submit
from tests.conftest import statements, sweep_of
from tests.filled import fill


def submitted(storage, name, **asked):
    return submit(storage, sweep_of(), name, Submission(owner="ada", **asked)).study


def worker(storage, **changes):
    made = PoolWorker(storage, **{"label": None, "gpu": False, "cores": 2} | changes)
    made.heartbeat()
    return Taker(made)


def taken(one):
    found = one.take()
    return None if found is None else found.place.study


def finish(storage, name):
    fill(storage, find_study(storage, name), lambda job: 0.5)


def age(storage, worker, seconds):
    """Make the last heartbeat of a worker older."""

    def work(session):
        mine = pool.c.worker == worker.name
        before = session.scalar(select(pool.c.heartbeat).where(mine))
        session.execute(update(pool).where(mine).values(heartbeat=before - timedelta(seconds=seconds)))

    storage.write(work)


def kinds(storage, study=None):
    return [str(one.kind) for one in recent_events(storage, study)]


def states(storage):
    return {one.place.study: str(one.state) for one in storage.read(read_queue)}


def test_workers_take_the_highest_priority_then_the_fewest_workers_then_the_oldest(storage):
    for name, priority in (("old", 0), ("new", 0), ("urgent", 5)):
        submitted(storage, name, priority=priority)
    names = [taken(worker(storage)) for _ in range(2)]
    steer(storage, find_study(storage, "urgent").study_id, by="ada", priority=-1)
    names += [taken(worker(storage)) for _ in range(4)]
    assert names == ["urgent", "urgent", "old", "new", "old", "new"]
    assert {one.place.study: one.workers for one in storage.read(read_queue)} == {"urgent": 2, "old": 2, "new": 2}


def test_a_study_gets_no_more_workers_than_it_may_have(storage):
    submitted(storage, "small", max_workers=2, priority=1)
    submitted(storage, "other")
    found = [worker(storage) for _ in range(3)]
    assert [taken(one) for one in found] == ["small", "small", "other"]
    found[0].release()
    assert taken(worker(storage)) == "small"


def test_no_worker_is_idle_as_long_as_another_one_trains_a_study_that_it_could_take_over(storage):
    study = submitted(storage, "small", max_workers=1)
    submitted(storage, "elsewhere", label="lab")
    first, second = worker(storage), worker(storage)
    assert taken(first) == "small"
    assert taken(second) is None
    assert not second.idle()
    steer(storage, study.study_id, by="ada", wish=Wish.PAUSE)
    assert second.idle()


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
    steer(storage, find_study(storage, "paused").study_id, by="ada", wish=Wish.PAUSE)
    assert not one.should_leave()
    submitted(storage, "urgent", priority=2)
    assert one.should_leave()


def test_nobody_takes_a_study_that_is_paused_stopped_or_failed_until_it_is_resumed(storage):
    ids = {name: submitted(storage, name).study_id for name in ("paused", "stopped", "failed")}
    steer(storage, ids["paused"], by="ada", wish=Wish.PAUSE)
    steer(storage, ids["stopped"], by="ada", wish=Wish.STOP)
    for name in ("w", "other"):
        set_problem(storage, find_place(storage, ids["failed"]), "no such column", name)
    assert states(storage) == {"paused": "paused", "stopped": "stopped", "failed": "failed"}
    assert taken(worker(storage)) is None
    for study_id in ids.values():
        steer(storage, study_id, by="bob", wish=Wish.RUN)
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
    assert (event.study, event.worker, event.text) == ("elsewhere", one.worker.name, "there is no file x.csv")
    later = storage.read(clock) + timedelta(seconds=5)
    monkeypatch.setattr("optbench.storage.steering.clock", lambda session: later)
    steer(storage, find_study(storage, "elsewhere").study_id, by="ada", wish=Wish.RUN)
    assert taken(one) == "elsewhere"


def test_workers_that_a_study_crashed_are_counted_apart_from_those_that_lack_its_data(storage):
    place = submit(storage, sweep_of(), "x", Submission(owner="ada")).place
    lacking, *crashed = (worker(storage) for _ in range(4))
    lacking.decline(place, "there is no file x.csv")
    assert [one.leave_crashing(place, "ValueError") for one in crashed] == [1, 2, 3]
    assert storage.read(read_queue)[0].declined.workers == 4
    assert taken(crashed[0]) is None


def test_what_a_worker_said_of_a_study_is_not_said_again_by_those_that_are_started_after_it(storage, monkeypatch):
    place = submit(storage, sweep_of(), "x", Submission(owner="ada")).place
    why = "there is no file 10%_x.csv " + 1000 * "!"
    made = {}
    for process, series in ((1, "00aaaaaa"), (2, "00aaaaaa"), (3, "0_aaaaaa"), (4, "aaaaaa")):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        made[process] = worker(storage, series=series)

    def said():
        found = [one for one in recent_events(storage) if one.kind is EventKind.DECLINED]
        return [(one.worker.split("-")[-2], one.text) for one in found]

    made[1].decline(place, why)
    assert said() == [("1", why[:1000])]
    made[2].decline(place, why)
    assert said() == [("2", why[:1000])]
    assert storage.read(read_queue)[0].declined.workers == 1
    made[3].decline(place, why)
    made[4].decline(place, why)
    made[2].decline(place, "no memory")
    assert said() == [*((number, why[:1000]) for number in "234"), ("2", "no memory")]
    assert storage.read(read_queue)[0].declined.workers == 3
    assert [made[process].leave_crashing(place, "ValueError") for process in (1, 2, 3)] == [1, 1, 2]


def test_to_submit_again_changes_what_was_said_and_nothing_else(storage):
    first = submit(storage, sweep_of(), "x", Submission(owner="ada", priority=3, label="lab", needs=Need.GPU))
    steer(storage, first.study.study_id, by="ada", wish=Wish.PAUSE)
    set_problem(storage, first.place, "no such column", "w")
    again = submit(storage, sweep_of(trials=9), "x", Submission(owner="bob", max_workers=1))
    assert (first.made, first.queued, again.made, again.queued) == (True, True, False, False)
    (place,) = places(storage)
    said = place.owner, place.priority, place.max_workers, place.label, place.needs
    assert said == ("ada", 3, 1, "lab", Need.GPU)
    assert (place.wish, place.problem, find_study(storage, "x").total) == (Wish.PAUSE, None, 9)
    assert [one.text for one in recent_events(storage)][-1] == "again by bob"


def test_another_definition_under_the_same_name_is_refused_with_the_keys_that_differ(storage):
    submitted(storage, "x")
    with pytest.raises(StudyError, match="epochs is 2 there, 3 here; choose another name with --study"):
        submit(storage, sweep_of(epochs=3), "x", Submission(owner="ada"))


def test_a_total_that_the_study_cannot_have_is_refused_and_nothing_changes(storage):
    def again(trials):
        submit(storage, sweep_of(trials=trials), "x", Submission(owner="ada", priority=3, trials=trials))
        return find_study(storage, "x").total, places(storage)[0].priority

    study = submitted(storage, "x")
    finish(storage, "x")
    submit(storage, sweep_of(trials=50), "x", Submission(owner="ada"))
    submit(storage, sweep_of(), "x", Submission(owner="ada"))  # the sweep's own 6 take nothing back
    with pytest.raises(TotalError, match="trials = 5, but study 'x' has 6 finished trials of 50; expected 6 or more"):
        again(5)
    writer = Writer(storage, study.study_id, "x")
    with pytest.raises(TotalError, match="study 'x' has workers that train towards more than 40 trials; pause it"):
        again(40)
    assert (find_study(storage, "x").total, places(storage)[0].priority) == (50, 0)
    writer.leave()
    assert again(40) == (40, 3)


def test_a_finished_study_leaves_the_queue_once(storage):
    study = submitted(storage, "x")
    finish(storage, "x")
    assert [conclude(storage, study.study_id, "6 trials") for _ in range(2)] == [True, False]
    assert (places(storage), kinds(storage)) == ([], ["submitted", "done"])
    with pytest.raises(StudyError, match="study 'x' is not in the queue: it is finished, or runs by hand"):
        steer(storage, study.study_id, by="ada", wish=Wish.PAUSE)
    with pytest.raises(StudyError, match="`optbench queue` lists the queue"):
        steer(storage, study.study_id, by="ada", priority=1)


def test_a_finished_study_is_concluded_even_if_it_is_paused(storage):
    study = submitted(storage, "x")
    finish(storage, "x")
    steer(storage, study.study_id, by="ada", wish=Wish.PAUSE)
    assert taken(worker(storage)) == "x"


def test_a_study_whose_total_is_raised_before_it_is_concluded_stays_in_the_queue(storage):
    study = submitted(storage, "x")
    finish(storage, "x")
    submit(storage, sweep_of(trials=9), "x", Submission(owner="ada"))
    assert not conclude(storage, study.study_id, "6 trials")
    assert taken(worker(storage)) == "x"
    delete_study(storage, study.study_id, "x")
    assert not conclude(storage, study.study_id, "6 trials")


def test_finals_get_the_place_of_their_search_as_it_is_then_and_keep_one_that_they_have(storage):
    search, finals = submitted(storage, "x", label="lab", max_workers=2), submitted(storage, "y")
    storage.write(lambda session: session.execute(queue.delete().where(queue.c.study_id == finals.study_id)))
    finish(storage, "x")
    steer(storage, search.study_id, by="bob", wish=Wish.PAUSE, priority=9)
    before = find_place(storage, search.study_id)
    assert conclude(storage, search.study_id, "6 trials", finals.study_id)
    (place,) = places(storage)
    assert place == replace(before, study_id=finals.study_id, study="y", asked=place.asked)
    assert (place.wish, place.priority, place.label, place.max_workers) == (Wish.PAUSE, 9, "lab", 2)
    enqueue(storage, search.study_id, Submission(owner="ada"))
    steer(storage, finals.study_id, by="bob", wish=Wish.STOP)
    assert conclude(storage, search.study_id, "6 trials", finals.study_id)
    assert find_place(storage, finals.study_id).wish is Wish.STOP


def test_a_wish_a_priority_and_a_total_are_stored_together_or_not_at_all(storage):
    study = submitted(storage, "x")
    steer(storage, study.study_id, by="ada", wish=Wish.PAUSE, priority=3, total=NewTotal(4))
    writer = Writer(storage, study.study_id, "x")
    steer(storage, study.study_id, by="ada", total=NewTotal(9))
    with pytest.raises(StudyError, match="study 'x' has workers that train towards more than 5 trials; pause it"):
        steer(storage, study.study_id, by="ada", wish=Wish.RUN, priority=1, total=NewTotal(5))
    place = find_place(storage, study.study_id)
    assert (place.wish, place.priority, find_study(storage, "x").total) == (Wish.PAUSE, 3, 9)
    writer.leave()
    steer(storage, study.study_id, by="ada", total=NewTotal(5))
    assert find_study(storage, "x").total == 5


def test_under_a_studys_lock_no_other_place_is_read(storage):
    study = submitted(storage, "x")
    finish(storage, "x")
    with statements(storage) as sent:
        steer(storage, study.study_id, by="ada", priority=1)
        assert conclude(storage, study.study_id, "6 trials")
    places_read = [one for one in sent if "optbench_queue.priority" in one and one.startswith("SELECT")]
    assert len(places_read) == 2
    assert all("WHERE optbench_queue.study_id = " in one for one in places_read)


def test_what_a_deleted_study_leaves_belongs_to_no_other(storage):
    study = submitted(storage, "x")
    steer(storage, study.study_id, by="ada", wish=Wish.STOP)
    delete_study(storage, study.study_id, "x")
    assert places(storage) == []
    other = submitted(storage, "y")
    storage.write(lambda session: session.execute(update(queue).values(study_token="of-another", wish="stop")))
    assert places(storage) == []  # as if Optuna had deleted the study, without foreign keys, and its id were used again
    assert storage.read(lambda session: wish_of(session, other.study_id)) is Wish.RUN
    assert enqueue(storage, other.study_id, Submission(owner="ada"))
    assert [place.study for place in places(storage)] == ["y"]


def test_a_problem_of_a_study_that_was_submitted_again_meanwhile_is_not_stored(storage):
    study = submitted(storage, "x")
    before = find_place(storage, study.study_id)
    later = before.asked + timedelta(seconds=5)
    storage.write(lambda session: session.execute(update(queue).values(asked=later)))
    set_problem(storage, before, "no such column", "w")
    assert find_place(storage, study.study_id).problem is None


def test_a_worker_whose_heartbeats_stop_is_lost_and_its_place_free(storage):
    submitted(storage, "x", max_workers=1)
    dead, other = worker(storage), worker(storage)
    assert (taken(dead), taken(other)) == ("x", None)
    age(storage, dead.worker, 61)
    assert [one.state for one in pool_workers(storage) if one.name == dead.worker.name] == [PoolState.LOST]
    assert taken(other) == "x"
    seen_for(other, 31)
    other.worker.heartbeat()
    assert [one.name for one in pool_workers(storage)] == [other.worker.name]
    lost = [e for e in recent_events(storage, "x") if e.kind is EventKind.WORKER_LOST]
    assert [e.worker for e in lost] == [dead.worker.name]
    dead.worker.heartbeat()
    assert {one.state for one in pool_workers(storage)} == {PoolState.TRAINING}


def seen_for(taker, seconds):
    """Let a worker see the heartbeats of the others, and pretend that it saw them unchanged for so long."""
    taker.worker.heartbeat()
    unchanged = taker.worker.watch.unchanged
    unchanged |= {name: (heartbeat, since - seconds) for name, (heartbeat, since) in unchanged.items()}


def test_the_loss_of_the_last_worker_is_noticed_by_a_process_that_is_none(storage):
    submitted(storage, "x")
    dead, living, lost = worker(storage), worker(storage), LostWorkers(storage)
    assert taken(dead) == "x"
    age(storage, dead.worker, 61)
    lost.look()
    assert len(pool_workers(storage)) == 2, "its heartbeat must also be seen unchanged for a while"
    lost.watch.unchanged = {name: (at, since - 31) for name, (at, since) in lost.watch.unchanged.items()}
    lost.look()
    assert [one.name for one in pool_workers(storage)] == [living.worker.name]
    lost.look()
    found = [(e.study, e.worker) for e in recent_events(storage) if e.kind is EventKind.WORKER_LOST]
    assert found == [("x", dead.worker.name)]


def test_a_process_that_was_frozen_itself_takes_no_worker_for_lost(storage):
    one, lost = worker(storage), LostWorkers(storage)
    lost.look()
    age(storage, one.worker, 61)
    lost.watch.unchanged = {name: (at, since - 31) for name, (at, since) in lost.watch.unchanged.items()}
    lost.watch.beaten -= 31
    lost.look()
    assert len(pool_workers(storage)) == 1


def test_after_an_outage_no_live_worker_is_taken_for_lost(storage):
    first, second = worker(storage), worker(storage)
    seen_for(first, 31)
    for one in (first, second):
        age(storage, one.worker, 300)  # nobody could write for five minutes
    first.worker.heartbeat()
    second.worker.heartbeat()
    assert [one.alive for one in pool_workers(storage)] == [True, True]
    assert EventKind.WORKER_LOST.value not in kinds(storage)


def test_a_worker_that_was_taken_for_lost_remembers_that_it_drains(storage):
    one = worker(storage)
    drain(storage, one.worker.name, "ada")
    assert one.worker.draining()
    storage.write(lambda session: session.execute(pool.delete()))
    one.worker.heartbeat()
    assert [found.state for found in pool_workers(storage)] == [PoolState.DRAINING]


def test_a_study_that_is_deleted_while_it_is_read_is_left_out(storage, monkeypatch):
    study = submitted(storage, "x")
    submitted(storage, "y")
    found = places(storage)
    delete_study(storage, study.study_id, "x")
    seen = storage.read(lambda session: candidates(session, found))
    assert [one.place.study for one in seen] == ["y"]


def test_a_study_calls_away_as_many_workers_as_it_wants_from_the_lowest_priority(storage):
    submitted(storage, "low", priority=-1, max_workers=1)
    submitted(storage, "mine")
    found = [worker(storage) for _ in range(3)]
    assert [taken(one) for one in found] == ["mine", "mine", "mine"]
    lowest = worker(storage)
    assert taken(lowest) == "mine"
    steer(storage, find_study(storage, "mine").study_id, by="ada", wish=Wish.PAUSE)
    lowest.release()
    assert taken(lowest) == "low"
    steer(storage, find_study(storage, "mine").study_id, by="ada", wish=Wish.RUN)
    submitted(storage, "urgent", priority=5, max_workers=2)
    called = [one.should_leave() for one in (*found, lowest)]
    assert (called[3], called.count(True)) == (True, 2)
    idle = worker(storage)
    assert [one.should_leave() for one in (*found, lowest)] == [False, False, False, True]
    idle.decline(find_place(storage, find_study(storage, "urgent").study_id), "no file x.csv")
    assert [one.should_leave() for one in (*found, lowest)] == called


def test_the_events_of_a_study_follow_its_name(storage):
    rename_study(storage, submitted(storage, "x").study_id, "renamed")
    assert (kinds(storage, "x"), kinds(storage, "renamed")) == ([], ["submitted"])


def test_a_worker_is_drained_by_name(storage):
    one = worker(storage)
    drain(storage, one.worker.name, "ada")
    assert one.should_leave()
    assert [found.state for found in pool_workers(storage)] == [PoolState.DRAINING]
    one.worker.leave()
    assert pool_workers(storage) == []
    with pytest.raises(StudyError, match=f"no worker '{one.worker.name}' in the pool; there is none"):
        drain(storage, one.worker.name, "ada")
    assert kinds(storage) == ["worker started", "draining", "worker ended"]


def test_the_log_keeps_the_newest_events(storage):
    for number in range(205):
        storage.write(lambda session, number=number: note(session, EventKind.DONE, str(number), study="x"))
    newest = recent_events(storage, count=3)
    assert [one.text for one in newest] == ["202", "203", "204"]
    assert newest_event(storage) == newest[-1].id
    assert recent_events(storage, after=newest[0].id) == newest[1:]
    assert [one.text for one in recent_events(storage, count=2, after=0)] == ["0", "1"]
    assert recent_events(storage, "y") == []


def test_the_log_drops_the_oldest_events(storage, monkeypatch):
    monkeypatch.setattr("optbench.storage.event_log.KEPT", 50)
    for number in range(200):
        storage.write(lambda session, number=number: note(session, EventKind.DONE, str(number)))
    assert 50 <= len(recent_events(storage, count=1000)) < 150


def test_whoever_reads_the_log_up_to_an_event_misses_none_before_it(storage, url):
    """Ids are given when a row is inserted and seen when it is committed, which may be in another order."""
    before = newest_event(storage)
    seen = []

    def write(number):
        def work(session):
            note(session, EventKind.DONE, str(number))
            time.sleep(0.01 * (number % 3))  # before the transaction is committed

        other = open_storage(url)
        for _ in range(10):
            other.write(work)
        other.close()

    with ThreadPoolExecutor(8) as threads:
        writing = [threads.submit(write, number) for number in range(8)]
        while not all(one.done() for one in writing):
            seen += recent_events(storage, count=1000, after=seen[-1].id if seen else before)
    [one.result() for one in writing]
    seen += recent_events(storage, count=1000, after=seen[-1].id if seen else before)
    assert len(seen) == 80


def test_of_workers_that_want_the_last_place_one_gets_it(storage, url):
    submitted(storage, "x", max_workers=1)

    def one_more(_):
        other = open_storage(url)
        found = taken(worker(other))
        other.close()
        return found

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(one_more, range(6)), key=str) == [None] * 5 + ["x"]


def test_of_those_that_enqueue_a_study_at_once_one_makes_its_place(storage, url):
    study = submitted(storage, "x")
    storage.write(lambda session: session.execute(queue.delete()))

    def put(_):
        other = open_storage(url)
        new = enqueue(other, study.study_id, Submission(owner="ada"))
        other.close()
        return new

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(put, range(6))) == [False] * 5 + [True]
