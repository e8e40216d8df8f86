"""Rows belong to the right study and trial, even after optbench or plain Optuna deletes, renames or copies a study."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import optuna
import optuna_dashboard
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import event, select, update

from optbench.errors import DefinitionError, StorageError, StudyError
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.service.artifacts import CURVES, Store, _registered, keep, remove_all
from optbench.storage import (
    Writer,
    count_evaluations,
    curve,
    curves,
    curves_of,
    find_study,
    log_replay,
    open_storage,
    open_study,
    rename_study,
    studies,
    trials,
    trials_of,
)
from optbench.storage.copy import copy_study
from optbench.storage.doctor import examine
from optbench.storage.schema import epochs, workers
from optbench.storage.upgrade import OLD_LOG, upgrade
from optbench.storage.upkeep import backup, delete_study
from tests.conftest import statements
from tests.test_storage import HELD, claim, complete, epoch, watch


def make(storage, name, count, metric="validation accuracy", **more):
    """The record of a new study whose trials are all complete."""
    study_id, _ = open_study(storage, name, metric, HELD | {"trials": count} | more)
    writer = Writer(storage, study_id, name)
    for _ in range(count):
        complete(writer)
    writer.leave()
    return find_study(storage, name)


def test_epochs_of_deleted_trials_do_not_attach_to_copied_trials_with_the_same_ids(tmp_path):
    """Plain Optuna deletes a study but not its epochs, and gives the same ids to the trials of a copy."""
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


def test_a_copied_study_gets_its_own_token_when_it_is_resumed(tmp_path):
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


def test_a_renamed_study_keeps_its_epochs_and_its_confirmation(storage):
    search = make(storage, "search", 2)
    make(storage, "search/confirm", 1, "test accuracy", origin="search")
    writer = Writer(storage, search.study_id, "search")
    with pytest.raises(StudyError, match="study 'search' has 1 live worker; stop the sweep first"):
        rename_study(storage, search.study_id, "found")
    writer.leave()
    with pytest.raises(StudyError, match="there is a study 'search/confirm' already"):
        rename_study(storage, search.study_id, "search/confirm")
    for name in (" ", "", "-x", "a\nb", "x" * 301):
        with pytest.raises(DefinitionError, match="cannot be a study's name; expected 1 to 300 printable characters"):
            rename_study(storage, search.study_id, name)
    rename_study(storage, search.study_id, "found")
    renamed = find_study(storage, "found")
    assert (renamed.metric, renamed.epochs, renamed.best) == (search.metric, 4, 0.7)
    confirmation = find_study(storage, "search/confirm")
    assert (confirmation.origin, confirmation.confirms(renamed)) == ("found", True)
    assert not confirmation.confirms(make(storage, "search", 1)), "this is a later study with the old name"
    assert find_study(storage, "search/confirm").origin == "found"


def test_a_confirmation_stays_with_its_search_when_both_are_renamed_by_hand(tmp_path):
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


READERS = (
    lambda storage, ids: studies(storage),
    lambda storage, ids: find_study(storage, "s1"),
    lambda storage, ids: trials_of(storage, ids),
    lambda storage, ids: curves_of(storage, ids),
    lambda storage, ids: count_evaluations(storage) is not None,
)


def test_the_number_of_queries_does_not_grow_with_the_number_of_studies(tmp_path):
    counts = {3: [], 30: []}
    for size, found in counts.items():
        with closing(open_storage(f"sqlite:///{tmp_path}/{size}.db", create=True)) as storage:
            ids = [make(storage, f"s{n}", 1).study_id for n in range(size)]
            for read in READERS:
                with statements(storage) as sent:
                    assert read(storage, ids)
                found.append(len(sent))
    assert counts[3] == counts[30]
    assert max(counts[30]) <= 10


def test_trials_have_a_state_and_the_number_of_retries_of_their_slot(storage):
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
    """This happens when the clock of the database is set back."""
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    dead, writer = Writer(storage, study_id, "s"), Writer(storage, study_id, "s")
    own = claim(dead)

    def work(session):
        mine = workers.c.worker == dead.worker.name
        then = session.execute(select(workers.c.heartbeat).where(mine)).scalar_one()
        session.execute(update(workers).where(mine).values(heartbeat=then.replace(year=then.year + 1)))

    storage.write(work)
    assert find_study(storage, "s").state == "running", "the study still has a live worker"
    assert trials(storage, study_id)[own.number].state == "interrupted"
    watch(writer, seconds=0)
    assert storage.optuna.get_trial(own.trial_id).state.name == "RUNNING", "the other worker has only just seen it"
    watch(writer, seconds=40)
    assert storage.optuna.get_trial(own.trial_id).user_attrs["reason"] == f"worker {dead.worker.name} died"


def test_a_worker_whose_heartbeat_stays_the_same_for_its_timeout_is_dead(storage):
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    dead, writer = Writer(storage, study_id, "s"), Writer(storage, study_id, "s")
    own = claim(dead)
    watch(writer, seconds=0)
    watch(writer, seconds=40)
    assert storage.optuna.get_trial(own.trial_id).state.name == "RUNNING", "its heartbeat is recent"
    watch(writer, seconds=61)
    assert storage.optuna.get_trial(own.trial_id).state.name == "FAIL"


def test_a_copied_study_keeps_its_confirmation_curves_notes_and_evaluations(url, tmp_path):
    """The copy goes from SQLite to every kind of database, and back under another name."""
    with (
        closing(open_storage(f"sqlite:///{tmp_path}/source.db", create=True)) as source,
        closing(open_storage(url, create=True)) as target,
    ):
        make(target, "other", 2)
        search = make(source, "search", 3)
        make(source, "search/confirm", 1, "test accuracy", origin="search")
        log_replay(source, find_study(source, "search/confirm").study_id, 0)
        optuna_dashboard.save_note(optuna.load_study(study_name="search", storage=source.optuna), "by hand")
        assert copy_study(source, search, target, "search") == ["search", "search/confirm"]
        copy = find_study(target, "search")
        assert (copy.best, copy.epochs, copy.metric, copy.state, copy.total) == (0.7, 6, search.metric, "done", 3)
        assert copy.token != search.token
        assert find_study(target, "search/confirm").confirms(copy)
        assert count_evaluations(target) == {"search/confirm": 1}
        here, there = trials(source, search.study_id), trials(target, copy.study_id)
        assert [(t.number, t.value, t.params, t.slot) for t in there] == [
            (t.number, t.value, t.params, t.slot) for t in here
        ]
        shifts = [abs((a.started - b.started).total_seconds()) for a, b in zip(here, there, strict=True)]
        assert max(shifts) < 1, "MariaDB rounds to whole seconds"
        assert list(curves(target, copy.study_id).values()) == list(curves(source, search.study_id).values())
        assert optuna_dashboard.get_note(optuna.load_study(study_name="search", storage=target.optuna)) == "by hand"
        assert examine(target) == []
        with pytest.raises(StudyError, match="there is a study 'search' already; choose another name"):
            copy_study(source, search, target, "search")
        assert len(studies(target)) == 3
        assert copy_study(target, copy, source, "back") == ["back", "back/confirm"]
        assert examine(source) == []


def test_a_trial_that_ends_while_its_study_is_copied_is_left_out(tmp_path):
    with closing(open_storage(f"sqlite:///{tmp_path}/s.db", create=True)) as storage:
        search = make(storage, "search", 1)
        writer = Writer(storage, search.study_id, "search")
        own = claim(writer)

        def end_trial(connection, cursor, statement, *_):
            if "FROM trial_user_attributes" in statement and own.number not in ended:
                ended.add(own.number)
                writer.record({own.trial_id: epoch(1, 0.5)}, {own.trial_id: Ending(Decision.PRUNED, 0.5, 1)}, {})

        ended = set()
        event.listen(storage.engine, "before_cursor_execute", end_trial)
        copy_study(storage, find_study(storage, "search"), storage, "copy")
        event.remove(storage.engine, "before_cursor_execute", end_trial)
        numbers = [trial.number for trial in trials(storage, find_study(storage, "copy").study_id)]
        assert (ended, numbers) == ({own.number}, [0])


def first_bytes(storage, artifact):
    with Store(storage).open_reader(artifact) as file:
        return file.read(5)


def test_deleting_a_copy_keeps_the_artifacts_of_the_original(tmp_path):
    """The copy is a backup in the same folder, or a study that plain Optuna copied."""
    url = f"sqlite:///{tmp_path}/y.db"
    with closing(open_storage(url, create=True)) as storage:
        record = make(storage, "s", 1)
        keep(storage, replace(record, best=None), trials(storage, record.study_id))
        (artifact,) = [i for i, name in _registered(storage, record).items() if name == CURVES]
    backup(url, tmp_path / "monday.db")
    optuna.copy_study(from_study_name="s", from_storage=url, to_storage=url, to_study_name="copy")
    for place, name in ((f"sqlite:///{tmp_path}/monday.db", "s"), (url, "copy")):
        with closing(open_storage(place)) as storage:
            assert first_bytes(storage, artifact) == b"trial"
            remove_all(storage, find_study(storage, name))
            delete_study(storage, find_study(storage, name).study_id, name)
    with closing(open_storage(url)) as storage:
        assert first_bytes(storage, artifact) == b"trial"
        remove_all(storage, find_study(storage, "s"))
        with pytest.raises(ArtifactNotFound):
            Store(storage).open_reader(artifact)


def test_the_doctor_reports_what_a_rename_in_plain_optuna_dashboard_lost(tmp_path):
    """Its rename copies the trials and the user attributes, and deletes the original."""
    url = f"sqlite:///{tmp_path}/y.db"
    with closing(open_storage(url, create=True)) as storage:
        make(storage, "s", 2)
        make(storage, "s/confirm", 1, "test accuracy", origin="s")
    old = optuna.load_study(study_name="s", storage=url)
    new = optuna.create_study(study_name="renamed", storage=url, direction="maximize")
    new.add_trials(old.trials)
    for key, value in old.user_attrs.items():
        new.set_user_attr(key, value)
    optuna.delete_study(study_name="s", storage=url)
    with closing(open_storage(url)) as storage:
        assert find_study(storage, "renamed").epochs == 0
        found = {(finding.study, finding.what.partition(":")[0]) for finding in examine(storage)}
        assert ("renamed", "another program copied or renamed it") in found
        assert ("s/confirm", "it confirms the study 's', which another program renamed or deleted") in found


def test_the_doctor_finds_epochs_in_which_the_two_curves_differ(storage):
    record = make(storage, "s", 2)
    wrong = update(epochs).where(epochs.c.epoch == 2).values(validation_accuracy=0.1)
    storage.write(lambda session: session.execute(wrong))
    message = "differs between Optuna's curve and ours in 1 epochs, first in epoch 2"
    found = [finding.what for finding in examine(storage)]
    assert found == [f"trial {n} (COMPLETE) {message}" for n in range(record.total)]


SCHEMA_3 = (
    "ALTER TABLE optbench_epochs RENAME COLUMN effective_lr TO rate",
    "ALTER TABLE optbench_epochs RENAME COLUMN weight_distance TO moved",
    "ALTER TABLE optbench_epochs DROP COLUMN study_token",
    "ALTER TABLE optbench_epochs DROP COLUMN trial_number",
    "ALTER TABLE optbench_workers RENAME COLUMN heartbeat TO beat",
    "DROP TABLE optbench_test_evaluations",
    "UPDATE optbench_schema SET version = 3",
    "DELETE FROM study_user_attributes WHERE study_user_attributes.key = 'origin_token'",
)


def test_every_kind_of_database_is_upgraded_from_schema_3(url):
    with closing(open_storage(url, create=True)) as storage:
        make(storage, "search", 2)
        make(storage, "search/confirm", 1, "test accuracy", origin="search")
        with storage.engine.begin() as connection:
            for statement in SCHEMA_3:
                connection.exec_driver_sql(statement)
            OLD_LOG.create(connection)
            row = {"study": "search/confirm", "trial": 0, "by": "sweep", "opened": datetime.now()}
            connection.execute(OLD_LOG.insert().values(**row))
    with pytest.raises(StorageError, match="has the schema 3 of an older optbench; `optbench upgrade"):
        open_storage(url)
    assert upgrade(url)[0] == "now has schema 5"
    with closing(open_storage(url)) as storage:
        search = find_study(storage, "search")
        assert (search.epochs, len(curves(storage, search.study_id))) == (4, 2)
        assert find_study(storage, "search/confirm").confirms(search)
        assert count_evaluations(storage) == {"search/confirm": 1}
        assert examine(storage) == []
