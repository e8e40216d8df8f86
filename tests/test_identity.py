"""Whose a row is: rows of deleted trials, studies that are renamed or copied, with bare Optuna and with optbench."""

import sqlite3
from contextlib import closing

import optuna
import pytest
from sqlalchemy import event, select, update

from optbench.errors import StudyError
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.storage import (
    Writer,
    count_evaluations,
    curve,
    curves,
    curves_of,
    find_study,
    open_storage,
    open_study,
    rename_study,
    studies,
    trials,
    trials_of,
)
from optbench.storage.doctor import examine
from optbench.storage.schema import epochs, workers
from tests.test_storage import HELD, claim, complete, epoch


def make(storage, name, count, metric="validation accuracy", **more):
    """A study with so many complete trials, all of its total."""
    study_id, _ = open_study(storage, name, metric, HELD | {"trials": count} | more)
    writer = Writer(storage, study_id, name)
    for _ in range(count):
        complete(writer)
    writer.leave()
    return find_study(storage, name)


def test_rows_of_deleted_trials_do_not_attach_to_copied_ones_that_get_their_ids(tmp_path):
    """Bare Optuna deletes a study without its epochs, and copies another one to the same ids."""
    here, there = (f"sqlite:///{tmp_path}/{name}.db" for name in "yb")
    with closing(open_storage(here, create=True)) as storage:
        make(storage, "s", 3)
    with closing(open_storage(there, create=True)) as other:
        make(other, "other", 3)
    optuna.delete_study(study_name="s", storage=here)
    optuna.copy_study(from_study_name="other", from_storage=there, to_storage=here)
    with closing(open_storage(here)) as storage:
        record = find_study(storage, "other")
        records = trials(storage, record.study_id)
        assert [trial.trial_id for trial in records] == [1, 2, 3], "the ids of the deleted trials"
        assert len(storage.read(lambda session: session.execute(select(epochs)).all())) == 6
        assert record.epochs == 0
        assert [trial.epochs for trial in records] == [0, 0, 0]
        assert curves(storage, record.study_id) == {}
        assert curve(storage, 1) == []
        found = {finding.what for finding in examine(storage)}
        assert "6 epochs belong to no trial: another program deleted their trials" in found
        assert "trial 0 (COMPLETE) trained 2 epochs; its curve has 0 of them" in found


def test_a_copied_study_is_carried_on_under_an_identity_of_its_own(tmp_path):
    url = f"sqlite:///{tmp_path}/y.db"
    with closing(open_storage(url, create=True)) as storage:
        original = make(storage, "s", 2)
    optuna.copy_study(from_study_name="s", from_storage=url, to_storage=url, to_study_name="copy")
    with closing(open_storage(url)) as storage:
        writer = Writer(storage, open_study(storage, "copy", "validation accuracy", HELD)[0], "copy")
        own = complete(writer)
        writer.leave()
        assert find_study(storage, "copy").token != find_study(storage, "s").token == original.token
        assert list(curves(storage, writer.study_id)) == [own.trial_id]
        assert len(curves(storage, original.study_id)) == 2


def test_a_renamed_study_keeps_everything(storage):
    search = make(storage, "search", 2)
    make(storage, "search/confirm", 1, "test accuracy", origin="search")
    writer = Writer(storage, search.study_id, "search")
    with pytest.raises(StudyError, match="study 'search' has 1 live worker; stop the sweep first"):
        rename_study(storage, search.study_id, "found")
    writer.leave()
    for name, message in [
        ("search/confirm", "there is a study 'search/confirm' already"),
        (" ", "cannot be a study's name"),
    ]:
        with pytest.raises(StudyError, match=message):
            rename_study(storage, search.study_id, name)
    rename_study(storage, search.study_id, "found")
    renamed = find_study(storage, "found")
    assert (renamed.metric, renamed.epochs, renamed.best) == (search.metric, 4, 0.7)
    confirmation = find_study(storage, "search/confirm")
    assert (confirmation.origin, confirmation.confirms(renamed)) == ("found", True)
    assert not confirmation.confirms(make(storage, "search", 1)), "a later study of the old name"
    assert find_study(storage, "search/confirm").origin == "found"


def test_a_confirmation_follows_a_study_that_is_renamed_by_hand(tmp_path):
    url = f"sqlite:///{tmp_path}/y.db"
    with closing(open_storage(url, create=True)) as storage:
        make(storage, "search", 1)
        make(storage, "search/confirm", 1, "test accuracy", origin="search")
        own = claim(writer := Writer(storage, find_study(storage, "search/confirm").study_id, "search/confirm"))
        ending = Ending(Decision.COMPLETE, 0.7, 1, tested=True)
        writer.record({own.trial_id: epoch(1, 0.7)}, {own.trial_id: ending}, {})
        writer.leave()
        assert count_evaluations(storage) == {"search/confirm": 1}
        with closing(sqlite3.connect(tmp_path / "y.db")) as other, other:
            other.execute("UPDATE studies SET study_name = 'a' WHERE study_name = 'search'")
            other.execute("UPDATE studies SET study_name = 'b' WHERE study_name = 'search/confirm'")
        assert find_study(storage, "b").confirms(find_study(storage, "a"))
        assert count_evaluations(storage) == {"b": 1}


READS = (
    lambda storage, ids: studies(storage),
    lambda storage, ids: find_study(storage, "s1"),
    lambda storage, ids: trials_of(storage, ids),
    lambda storage, ids: curves_of(storage, ids),
    lambda storage, ids: count_evaluations(storage) is not None,
)


def test_the_number_of_queries_does_not_grow_with_the_studies(tmp_path):
    counts = {3: [], 30: []}
    for size, found in counts.items():
        with closing(open_storage(f"sqlite:///{tmp_path}/{size}.db", create=True)) as storage:
            ids, sent = [make(storage, f"s{n}", 1).study_id for n in range(size)], []
            event.listen(storage.engine, "before_cursor_execute", lambda *event, sent=sent: sent.append(event[2]))
            for read in READS:
                before = len(sent)
                assert read(storage, ids)
                found.append(len(sent) - before)
    assert counts[3] == counts[30]
    assert max(counts[30]) <= 10


def test_a_trial_says_how_it_ended_and_how_often_its_slot_was_tried(storage):
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    writer = Writer(storage, study_id, "s")
    for reason in (STOPPED, "worker w died", "ValueError: lost"):
        own = claim(writer)
        writer.record({}, {own.trial_id: Ending(Decision.INTERRUPTED, None, 0, reason)}, {})
    claim(writer)
    writer.leave()
    assert [(t.slot, t.state, t.retries, t.worker == writer.worker.name) for t in trials(storage, study_id)] == [
        (0, "interrupted", 0, True),
        (0, "interrupted", 0, True),
        (0, "failed", 1, True),
        (0, "interrupted", 2, True),
    ]
    assert find_study(storage, "s").counts == {
        "complete": 0, "pruned": 0, "diverged": 0, "running": 0, "interrupted": 3, "failed": 1,
    }  # fmt: skip


def test_a_dead_worker_is_reaped_although_its_heartbeat_lies_in_the_future(storage):
    """As after the clock of the database was set back by an hour."""
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    dead, writer = Writer(storage, study_id, "s"), Writer(storage, study_id, "s")
    own = claim(dead)

    def work(session):
        mine = workers.c.worker == dead.worker.name
        then = session.execute(select(workers.c.heartbeat).where(mine)).scalar_one()
        session.execute(update(workers).where(mine).values(heartbeat=then.replace(year=then.year + 1)))

    storage.write(work)
    assert find_study(storage, "s").state == "running", "a worker of the study still lives"
    assert trials(storage, study_id)[own.number].state == "interrupted"
    watch(writer, 0)
    assert storage.optuna.get_trial(own.trial_id).state.name == "RUNNING", "it has only just been seen"
    watch(writer, 40)
    assert storage.optuna.get_trial(own.trial_id).user_attrs["reason"] == f"worker {dead.worker.name} died"


def test_a_heartbeat_that_does_not_change_for_the_timeout_is_dead_whatever_it_says(storage):
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    dead, writer = Writer(storage, study_id, "s"), Writer(storage, study_id, "s")
    own = claim(dead)
    watch(writer, 0)
    watch(writer, 40)
    assert storage.optuna.get_trial(own.trial_id).state.name == "RUNNING", "its heartbeat is recent"
    watch(writer, 61)
    assert storage.optuna.get_trial(own.trial_id).state.name == "FAIL"


def watch(writer, seconds):
    """A heartbeat of the writer that has seen the others' heartbeats unchanged for so long."""
    watched = writer.worker.watched
    writer.worker.watched = {name: (heartbeat, since - seconds) for name, (heartbeat, since) in watched.items()}
    writer.heartbeat()
