"""The ledger and the records on a real SQLite file, read back through Optuna itself."""

import sqlite3
import threading
from datetime import timedelta

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from sqlalchemy import select, update

from optbench.errors import StorageError, StudyError
from optbench.job import Ending, Epoch, Verdict
from optbench.storage import Ledger, curve, find_study, open_storage, open_study, studies, trials
from optbench.storage.schema import workers

RATE = {"learning_rate": FloatDistribution(0.1, 1.0)}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/study.db"


@pytest.fixture
def storage(url):
    opened = open_storage(url, create=True)
    yield opened
    opened.close()
    opened.close()


@pytest.fixture
def ledger(storage):
    study_id, _ = open_study(storage, "s", "validation accuracy", {"trials": 3})
    return Ledger(storage, study_id)


def first_free(total):
    def choose(found):
        taken = {t.user_attrs["slot"] for t in found if t.state != TrialState.FAIL}
        return next((slot for slot in range(total) if slot not in taken), None)

    return choose


def epoch(n, accuracy, loss=0.5):
    return Epoch(n, loss, accuracy, loss, accuracy, 0.1)


def test_optuna_reads_what_the_ledger_wrote(storage, ledger, url):
    claim = ledger.claim(first_free(1))
    ledger.begin(claim.trial_id, {"learning_rate": 0.3}, RATE, {"seed": 5})
    ledger.record({claim.trial_id: epoch(1, 0.6)}, {}, {})
    running = optuna.load_study(study_name="s", storage=url).trials[0]
    assert running.state == TrialState.RUNNING
    assert running.intermediate_values == {1: 0.6}
    end = Ending(Verdict.COMPLETE, 0.7, 2)
    assert ledger.record({claim.trial_id: epoch(2, 0.7)}, {claim.trial_id: end}, {}) == set()
    study = optuna.load_study(study_name="s", storage=url)
    trial = study.best_trial
    assert (trial.number, trial.value, trial.params) == (0, 0.7, {"learning_rate": 0.3})
    assert trial.intermediate_values == {1: 0.6, 2: 0.7}
    assert trial.user_attrs == {"slot": 0, "worker": ledger.worker, "seed": 5, "epochs": 2, "diverged": False}
    assert trial.datetime_start <= trial.datetime_complete
    assert study.metric_names == ["validation accuracy"]


def test_curves_come_back_and_a_loss_that_is_no_number_reads_as_nan(storage, ledger):
    claim = ledger.claim(first_free(1))
    ledger.record({claim.trial_id: epoch(1, 0.1, loss=float("inf"))}, {}, {})
    row = curve(storage, claim.trial_id)[0]
    assert not row.finite
    assert row.train_accuracy == 0.1


def test_every_slot_is_claimed_once_by_many_threads(url, storage, ledger):
    total, claims = 20, []

    def work():
        own = open_storage(url)
        its = Ledger(own, ledger.study_id)
        while (claim := its.claim(first_free(total))) is not None:
            claims.append((claim.slot, claim.number))
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slot for slot, _ in claims) == list(range(total))
    assert sorted(number for _, number in claims) == list(range(total))


def test_trials_of_a_silent_worker_are_ended_and_their_slot_is_free(storage, ledger):
    gone, claim = Ledger(storage, ledger.study_id), ledger.claim(first_free(1))
    silent = gone.claim(first_free(2))
    with storage.writing() as session:
        row = session.execute(select(workers).where(workers.c.worker == gone.worker)).one()
        old = row.beat - timedelta(minutes=10)
        session.execute(update(workers).where(workers.c.worker == gone.worker).values(beat=old))
    ledger.beat()
    states = {t.number: t.state for t in ledger.trials()}
    assert states == {claim.number: TrialState.RUNNING, silent.number: TrialState.FAIL}
    assert ledger.claim(first_free(2)).slot == silent.slot
    assert gone.record({silent.trial_id: epoch(1, 0.5)}, {}, {}) == {silent.trial_id}
    assert curve(storage, silent.trial_id) == []


def test_records_count_by_state(storage, ledger):
    ends = [
        Ending(Verdict.COMPLETE, 0.9, 1),
        Ending(Verdict.DIVERGED, 0.1, 1),
        Ending(Verdict.PRUNED, 0.95, 1),
        Ending(Verdict.INTERRUPTED, None, 1, "interrupted"),
    ]
    for end in ends:
        claim = ledger.claim(first_free(9))
        ledger.record({claim.trial_id: epoch(1, 0.4)}, {claim.trial_id: end}, {})
    record = find_study(storage, "s")
    assert dict(record.counts) == {"complete": 1, "pruned": 1, "diverged": 1, "running": 0, "failed": 1}
    assert (record.best, record.epochs, record.state) == (0.9, 4, "done")
    assert [(t.state, t.value) for t in trials(storage, record)] == [
        ("complete", 0.9),
        ("diverged", 0.1),
        ("pruned", None),
        ("failed", None),
    ]
    assert [s.name for s in studies(storage)] == ["s"]


def test_a_row_that_was_claimed_and_never_begun_ends_with_its_worker(storage, ledger):
    ledger.claim(first_free(1))
    assert find_study(storage, "s").state == "running"
    ledger.leave()
    record = find_study(storage, "s")
    assert (record.state, record.counts["failed"]) == ("interrupted", 1)


def test_a_study_whose_worker_is_gone_does_not_look_as_if_it_ran(storage, ledger):
    ledger.claim(first_free(1))
    with storage.writing() as session:
        old = session.execute(select(workers.c.beat)).scalar_one() - timedelta(minutes=10)
        session.execute(update(workers).values(beat=old))
    assert find_study(storage, "s").state == "interrupted"


def test_the_best_value_is_no_diverged_trials(storage, ledger):
    claim = ledger.claim(first_free(1))
    ledger.record({}, {claim.trial_id: Ending(Verdict.DIVERGED, 0.1, 1)}, {})
    assert find_study(storage, "s").best is None


def test_the_file_is_set_up_for_several_processes(storage, url):
    with storage.reading() as session:
        pragmas = [
            session.connection().exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "foreign_keys")
        ]
    assert pragmas == ["wal", 1]


def test_deleting_a_study_deletes_its_curves(storage, ledger):
    claim = ledger.claim(first_free(1))
    ledger.record({claim.trial_id: epoch(1, 0.4)}, {}, {})
    storage.optuna.delete_study(ledger.study_id)
    assert curve(storage, claim.trial_id) == []


def test_an_unknown_study_names_the_nearest(storage, ledger):
    with pytest.raises(StudyError, match="no study 'S'"):
        find_study(storage, "S")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("storage/x.db", "is not a URL"),
        ("nosql://x", "is not a URL of a known kind"),
        ("sqlite://", "kept in memory"),
        ("sqlite:////proc/nowhere/x.db", "cannot be made|not a folder that can be written"),
    ],
)
def test_urls_that_cannot_be_opened(text, message):
    with pytest.raises(StorageError, match=message):
        open_storage(text, create=True)


def test_files_that_are_not_ours_are_left_alone(tmp_path):
    text, other = tmp_path / "text.db", tmp_path / "other.db"
    text.write_text("not a database, but long enough")
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    with pytest.raises(StorageError, match="is not an SQLite database"):
        open_storage(f"sqlite:///{text}", create=True)
    with pytest.raises(StorageError, match="belongs to another application"):
        open_storage(f"sqlite:///{other}", create=True)
    assert other.read_bytes() == before


def test_reading_a_missing_database_makes_nothing(tmp_path):
    with pytest.raises(StorageError, match="no database at"):
        open_storage(f"sqlite:///{tmp_path}/none/x.db")
    assert not (tmp_path / "none").exists()


def test_no_password_is_shown():
    with pytest.raises(StorageError) as caught:
        open_storage("nosuch://me:secret@host/db")
    assert "secret" not in str(caught.value)
