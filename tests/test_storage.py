"""The storage on SQLite, PostgreSQL and MariaDB: slots, heartbeats, reaping, outages, other programs, the doctor."""

import threading
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from sqlalchemy import create_engine, delete, insert, inspect, select, text, update
from sqlalchemy.orm import Session

from optbench.errors import StorageError, StudyError
from optbench.scheduler.states import Decision, Ending
from optbench.storage import (
    NewTotal,
    Writer,
    check,
    curve,
    engine,
    find_study,
    follow,
    open_storage,
    open_study,
    set_total,
    studies,
    trials,
)
from optbench.storage.doctor import examine
from optbench.storage.optuna_private import models
from optbench.storage.schema import epochs, workers
from optbench.storage.upkeep import delete_study
from optbench.training.contract import Epoch
from tests.conftest import sweep_of

RATE = {"learning_rate": FloatDistribution(0.1, 1.0)}
HELD = {"trials": 3, "fingerprint": sweep_of().fingerprint({}), "definition": sweep_of().definition()}


@pytest.fixture
def writer(storage):
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    return Writer(storage, study_id, "s")


def claim(writer, total=10_000):
    """Claim the first slot that no trial holds; None if there is none."""

    def choose(updates):
        found = writer.storage.optuna.get_all_trials(writer.study_id)
        taken = {t.user_attrs.get("slot") for t in found if t.state != TrialState.FAIL}
        return next((slot for slot in range(total) if slot not in taken), None)

    return writer.claim(choose)


def epoch(n, accuracy, loss=0.5):
    return Epoch(n, loss, accuracy, loss, accuracy, 0.1, 0.1)


def complete(writer, length=2):
    """Claim a slot and train its trial to the end."""
    own = claim(writer)
    writer.begin(own.trial_id, {"learning_rate": 0.3}, RATE, {"seed": 5})
    for n in range(1, length):
        writer.record({own.trial_id: epoch(n, 0.6)}, {}, {})
    writer.record({own.trial_id: epoch(length, 0.7)}, {own.trial_id: Ending(Decision.COMPLETE, 0.7, length)}, {})
    return own


def states(writer):
    return {t.number: t.state for t in writer.storage.optuna.get_all_trials(writer.study_id)}


def age_heartbeat(storage, worker, minutes=10):
    """Make the worker's last heartbeat so many minutes older."""

    def work(session):
        mine = workers.c.worker == worker.name
        old = session.execute(select(workers.c.heartbeat).where(mine)).scalar_one() - timedelta(minutes=minutes)
        session.execute(update(workers).where(mine).values(heartbeat=old))

    storage.write(work)


def watch(writer, dead=None, seconds=600):
    """Pretend that the writer saw the heartbeat of `dead`, or of all others, unchanged for so long, and let it reap."""
    for name, (heartbeat, since) in writer.worker.watch.unchanged.items():
        if dead is None or name == dead.worker.name:
            writer.worker.watch.unchanged[name] = heartbeat, since - seconds
    writer.heartbeat()


def test_plain_optuna_reads_what_the_writer_wrote(storage, writer, url):
    own = claim(writer)
    writer.begin(own.trial_id, {"learning_rate": 0.3}, RATE, {"seed": 5})
    writer.record({own.trial_id: epoch(1, 0.6)}, {}, {})
    plain = optuna.storages.RDBStorage(url)
    running = optuna.load_study(study_name="s", storage=plain).trials[0]
    assert running.state == TrialState.RUNNING
    assert running.intermediate_values == {1: 0.6}
    end = Ending(Decision.COMPLETE, 0.7, 2)
    assert writer.record({own.trial_id: epoch(2, 0.7)}, {own.trial_id: end}, {}) == set()
    study = optuna.load_study(study_name="s", storage=plain)
    trial = study.best_trial
    assert (trial.number, trial.value, trial.params) == (0, 0.7, {"learning_rate": 0.3})
    assert trial.intermediate_values == {1: 0.6, 2: 0.7}
    assert trial.user_attrs == {"slot": 0, "worker": writer.worker.name, "seed": 5, "epochs": 2, "diverged": False}
    assert trial.datetime_start <= trial.datetime_complete
    assert study.metric_names == ["validation accuracy"]
    plain.remove_session()
    plain.engine.dispose()


def test_a_curve_is_read_back_and_an_infinite_loss_makes_its_epoch_not_finite(storage, writer):
    own = claim(writer)
    writer.record({own.trial_id: epoch(1, 0.1, loss=float("inf"))}, {}, {})
    row = curve(storage, own.trial_id)[0]
    assert not row.finite
    assert row.train_accuracy == 0.1


def test_many_threads_claim_every_slot_exactly_once(url, storage, writer):
    total, claims = 20, []

    def work():
        own = open_storage(url)
        own_writer = Writer(own, writer.study_id, "s")
        while (claimed := claim(own_writer, total)) is not None:
            claims.append((claimed.slot, claimed.number))
        own.close()

    together(work, 4)
    assert sorted(slot for slot, _ in claims) == list(range(total))
    assert sorted(number for _, number in claims) == list(range(total))


def test_many_threads_may_create_the_same_database_and_study_at_once(url):
    opened, ids = [], set()

    def work():
        opened.append(open_storage(url, create=True))
        ids.add(open_study(opened[-1], "s", "validation accuracy", HELD)[0])

    together(work, 4)
    assert len(ids) == 1
    assert [s.name for s in studies(opened[0])] == ["s"]
    for storage in opened:
        storage.close()


def together(work, count):
    """Run the work in several threads at once. Raises the first exception of any of them."""
    problems = []

    def run():
        try:
            work()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def test_a_missing_table_is_reported_at_once(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    outages = []
    storage.outage = lambda problem: bool(outages.append(problem))
    with pytest.raises(StorageError, match="no such table: nowhere"):
        storage.read(lambda session: session.execute(text("SELECT 1 FROM nowhere")))
    assert outages == []
    storage.close()


def test_a_server_ends_the_transaction_of_a_frozen_worker_so_that_others_can_write(url, monkeypatch):
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no server that could end the transaction of a frozen process")
    for kind, options in engine.SERVERS.items():
        shorter = {k: v.replace("60", "5") if isinstance(v, str) else v for k, v in options.items()}
        monkeypatch.setitem(engine.SERVERS, kind, shorter)
    storage = open_storage(url, create=True)
    writer = Writer(storage, open_study(storage, "s", "validation accuracy", HELD)[0], "s")
    frozen = Session(storage.engine)
    frozen.get(models.StudyModel, writer.study_id, with_for_update=True)
    storage.outage = lambda problem: True
    assert claim(writer).slot == 0
    with pytest.raises(StorageError) as caught, engine.one_line(storage.url):
        frozen.scalars(select(epochs.c.epoch)).all()
    assert caught.value.passing
    frozen.close()
    storage.close()


def test_a_new_study_with_the_id_of_a_deleted_one_gets_none_of_its_epochs(storage, writer):
    own = claim(writer)
    optuna.delete_study(study_name="s", storage=storage.optuna)
    other = Writer(storage, open_study(storage, "s", "validation accuracy", HELD)[0], "s")
    theirs = claim(other)
    assert writer.record({own.trial_id: epoch(1, 0.6)}, {}, {}) == {own.trial_id}
    assert curve(storage, theirs.trial_id) == []
    with pytest.raises(StudyError, match="was deleted or renamed"):
        claim(writer)


def test_the_total_does_not_shrink_while_workers_run(storage, writer):
    for total, expected in [(2, 3), (5, 5), (4, 5)]:
        assert set_total(storage, writer.study_id, NewTotal(total)) == (total == expected)
        assert find_study(storage, "s").total == expected
    writer.leave()
    set_total(storage, writer.study_id, NewTotal(2))
    assert find_study(storage, "s").total == 2


def test_trials_of_a_dead_worker_are_reaped_and_dropped_if_it_comes_back(storage, writer):
    dead, own = Writer(storage, writer.study_id, "s"), claim(writer)
    reaped = claim(dead)
    age_heartbeat(storage, dead.worker)
    writer.heartbeat()
    assert set(states(writer).values()) == {TrialState.RUNNING}, "a new worker watches first"
    watch(writer)
    assert states(writer) == {own.number: TrialState.RUNNING, reaped.number: TrialState.FAIL}
    reason = storage.optuna.get_trial(reaped.trial_id).user_attrs["reason"]
    assert reason == f"worker {dead.worker.name} died"
    assert claim(writer).slot == reaped.slot
    assert dead.record({reaped.trial_id: epoch(1, 0.5)}, {}, {}) == {reaped.trial_id}
    assert curve(storage, reaped.trial_id) == []
    again = claim(dead)
    writer.heartbeat()
    assert states(writer)[again.number] == TrialState.RUNNING


def test_one_live_worker_reaps_and_the_next_one_if_it_is_dead(storage, writer):
    """The one whose name comes first. Every worker watches, so that the next one knows at once who is dead."""
    dead, *live = sorted((Writer(storage, writer.study_id, "s") for _ in range(3)), key=lambda one: one.worker.name)
    writer.leave()
    own = claim(dead)
    age_heartbeat(storage, dead.worker)
    for one in live:
        one.heartbeat()
    watch(live[1], dead)
    assert states(writer)[own.number] == TrialState.RUNNING, "the first of the living reaps"
    watch(live[0], dead)
    assert states(writer)[own.number] == TrialState.FAIL
    own = claim(live[0])
    age_heartbeat(storage, live[0].worker)
    live[1].heartbeat()
    watch(live[1], live[0])
    assert states(writer)[own.number] == TrialState.FAIL


def test_the_worker_with_the_shortest_timeout_reaps(storage, writer):
    """A first name with a timeout of a day would write a heartbeat every four hours."""
    writer.leave()
    slow = [Writer(storage, writer.study_id, "s", heartbeat_timeout=86_400) for _ in range(3)]
    dead, quick = Writer(storage, writer.study_id, "s"), Writer(storage, writer.study_id, "s")
    own = claim(dead)
    age_heartbeat(storage, dead.worker)
    for one in slow:
        one.heartbeat()
        watch(one, dead)
    assert states(writer)[own.number] == TrialState.RUNNING
    quick.heartbeat()
    watch(quick, dead)
    assert states(writer)[own.number] == TrialState.FAIL


def test_a_worker_that_was_frozen_between_its_heartbeat_and_the_clock_goes_on(storage, writer, monkeypatch):
    own = claim(writer)
    late = iter([datetime(2026, 1, 1), datetime(2026, 1, 1, 1)])
    monkeypatch.setattr("optbench.storage.workers.clock", lambda _: next(late))
    writer.heartbeat()
    assert states(writer) == {own.number: TrialState.RUNNING}


def test_a_worker_that_was_taken_for_dead_joins_again_with_its_next_claim(storage, writer):
    other = Writer(storage, writer.study_id, "s")
    other.leave()
    own = claim(other)
    writer.heartbeat()
    assert states(writer) == {own.number: TrialState.RUNNING}
    age_heartbeat(storage, other.worker)
    writer.heartbeat()
    claim(other)
    watch(writer)
    assert set(states(writer).values()) == {TrialState.RUNNING}


def test_a_trial_that_ends_while_a_claim_reads_it_is_read_again_with_its_value(storage, writer, monkeypatch):
    other = Writer(storage, writer.study_id, "s")
    own = claim(other)
    other.begin(own.trial_id, {"learning_rate": 0.3}, RATE, {"seed": 5})
    read_trials = follow.read_trials

    def late(*arguments, narrow=False):
        if narrow:
            other.record({own.trial_id: epoch(1, 0.7)}, {own.trial_id: Ending(Decision.COMPLETE, 0.7, 1)}, {})
        return read_trials(*arguments, narrow=narrow)

    monkeypatch.setattr(follow, "read_trials", late)
    assert [trial.state for trial in storage.read(writer.follower.added)] == [TrialState.RUNNING]
    assert [(trial.state, trial.value) for trial in writer.updates()] == [(TrialState.COMPLETE, 0.7)]


def test_many_running_trials_are_read_whole_only_now_and_then(storage, writer, monkeypatch):
    monkeypatch.setattr("optbench.storage.follow.FEW_RUNNING", 0)
    other = Writer(storage, writer.study_id, "s")
    own, another = claim(writer), claim(writer)
    for one in (own, another):
        writer.begin(one.trial_id, {"learning_rate": 0.3}, RATE, {"seed": 5})
    assert {trial.number for trial in other.updates()} == {0, 1}
    other.follower.due = float("inf")
    writer.record({own.trial_id: epoch(1, 0.6)}, {}, {})
    assert other.updates() == []
    writer.record({}, {another.trial_id: Ending(Decision.PRUNED, 0.5, 1)}, {})
    assert [(trial.number, trial.state) for trial in other.updates()] == [(1, TrialState.PRUNED)]
    third = claim(writer)
    assert [trial.params for trial in other.updates()] == [{}]
    writer.begin(third.trial_id, {"learning_rate": 0.4}, RATE, {"seed": 5})
    assert [trial.params for trial in other.updates()] == [{"learning_rate": 0.4}]
    assert other.updates() == []
    other.follower.due = 0.0
    assert [trial.intermediate_values for trial in other.updates() if trial.number == 0] == [{1: 0.6}]


def test_a_process_keeps_one_connection_to_a_server(storage):
    if storage.path:
        return
    with storage.engine.connect(), storage.engine.connect(), storage.engine.connect():
        assert storage.engine.pool.checkedout() == 3
    assert storage.engine.pool.checkedin() == 1


def test_a_worker_within_its_heartbeat_timeout_keeps_its_trials(storage, writer):
    patient = Writer(storage, writer.study_id, "s", heartbeat_timeout=3600)
    own = claim(patient)
    age_heartbeat(storage, patient.worker)
    writer.heartbeat()
    watch(writer)
    assert states(writer) == {own.number: TrialState.RUNNING}
    assert patient.record({own.trial_id: epoch(1, 0.5)}, {}, {}) == set()


def test_a_worker_whose_own_heartbeat_is_old_reaps_nobody_at_first(storage, writer):
    other = Writer(storage, writer.study_id, "s")
    own = claim(other)
    writer.heartbeat()
    age_heartbeat(storage, other.worker)
    writer.heartbeat()
    age_heartbeat(storage, writer.worker)
    watch(writer)
    assert states(writer) == {own.number: TrialState.RUNNING}
    watch(writer)
    assert states(writer) == {own.number: TrialState.FAIL}


def test_a_running_trial_of_another_program_keeps_running(storage, writer):
    optuna.load_study(study_name="s", storage=storage.optuna).ask()
    writer.heartbeat()
    writer.leave()
    assert states(writer) == {0: TrialState.RUNNING}
    assert "no worker of optbench runs it" in examine(storage)[0].what


def test_a_transaction_that_was_committed_before_the_connection_broke_is_not_repeated(storage, writer, monkeypatch):
    """The connection breaks after every first commit, so that the writer tries each transaction again."""
    writing, lost = storage._writing, []

    def broken(work):
        result = writing(work)
        if not lost or lost[-1] is not work:
            lost.append(work)
            raise StorageError("the connection broke", passing=True)
        return result

    outages = []
    storage.outage = lambda problem: outages.append(problem) is None
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(storage, "_writing", broken)
    done = [complete(writer) for _ in range(3)]
    assert [own.slot for own in done] == [own.number for own in done] == [0, 1, 2]
    assert set(states(writer).values()) == {TrialState.COMPLETE}
    assert len(lost) == len(outages) / 2 == 12
    assert [row.epoch for own in done for row in curve(storage, own.trial_id)] == [1, 2] * 3
    monkeypatch.undo()
    writer.leave()
    assert examine(storage) == []


def test_the_record_of_a_study_counts_trials_by_state(storage, writer):
    ends = [
        Ending(Decision.COMPLETE, 0.9, 1),
        Ending(Decision.DIVERGED, 0.1, 1),
        Ending(Decision.PRUNED, 0.95, 1),
        Ending(Decision.INTERRUPTED, None, 1, "interrupted"),
    ]
    for ending in ends:
        own = claim(writer)
        writer.record({own.trial_id: epoch(1, 0.4)}, {own.trial_id: ending}, {})
    record = find_study(storage, "s")
    assert dict(record.counts) == {
        "complete": 1,
        "pruned": 1,
        "diverged": 1,
        "running": 0,
        "interrupted": 1,
        "failed": 0,
    }
    assert (record.best, record.epochs, record.state, record.finished, record.workers) == (0.9, 4, "done", 3, 1)
    assert [(t.state, t.value) for t in trials(storage, record.study_id)] == [
        ("complete", 0.9),
        ("diverged", 0.1),
        ("pruned", None),
        ("interrupted", None),
    ]
    assert [s.name for s in studies(storage)] == ["s"]


def test_a_study_in_which_another_program_runs_a_trial_is_running(storage):
    optuna.create_study(study_name="theirs", storage=storage.optuna).ask()
    record = find_study(storage, "theirs")
    assert (record.state, record.counts["running"], record.counts["interrupted"]) == ("running", 1, 0)
    assert [trial.state for trial in trials(storage, record.study_id)] == ["running"]


def test_a_claimed_trial_that_never_began_ends_when_its_worker_leaves(storage, writer):
    claim(writer)
    assert find_study(storage, "s").state == "running"
    writer.leave()
    record = find_study(storage, "s")
    assert (record.state, record.counts["interrupted"], record.workers) == ("interrupted", 1, 0)


def test_a_study_whose_only_worker_is_dead_is_interrupted(storage, writer):
    claim(writer)
    age_heartbeat(storage, writer.worker)
    assert find_study(storage, "s").state == "interrupted"


def test_a_diverged_trial_is_never_the_best(storage, writer):
    own = claim(writer)
    writer.record({}, {own.trial_id: Ending(Decision.DIVERGED, 0.1, 1)}, {})
    assert find_study(storage, "s").best is None


def test_a_trial_ended_by_another_program_is_dropped_and_keeps_that_programs_value(storage, writer):
    own, other = claim(writer), claim(writer)
    study = optuna.load_study(study_name="s", storage=storage.optuna)
    study.tell(own.number, 0.5)
    lost = writer.record({own.trial_id: epoch(1, 0.6), other.trial_id: epoch(1, 0.6)}, {}, {})
    assert lost == {own.trial_id}
    assert claim(writer).slot == 2
    assert study.trials[own.number].value == 0.5
    writer.leave()
    assert ["ended by another program" in finding.what for finding in examine(storage)] == [True]


def test_a_worker_says_that_its_study_was_deleted(storage, writer):
    own = claim(writer)
    optuna.delete_study(study_name="s", storage=storage.optuna)
    assert writer.record({own.trial_id: epoch(1, 0.6)}, {}, {}) == {own.trial_id}
    assert curve(storage, own.trial_id) == []
    with pytest.raises(StudyError, match="study 's' was deleted or renamed by another program"):
        claim(writer)


def test_deleting_a_study_deletes_its_curves_and_is_refused_while_a_worker_runs(storage, writer):
    own = complete(writer)
    with pytest.raises(StudyError, match="has 1 live worker; stop the sweep first"):
        delete_study(storage, writer.study_id, "s")
    assert len(curve(storage, own.trial_id)) == 2
    writer.leave()
    delete_study(storage, writer.study_id, "s")
    assert studies(storage) == []
    assert curve(storage, own.trial_id) == []
    assert examine(storage) == []


def test_studies_of_other_programs_are_listed_and_not_checked(storage):
    several = optuna.create_study(storage=storage.optuna, study_name="several", directions=["minimize", "maximize"])
    several.set_user_attr("definition", "not a sweep")
    several.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    record = find_study(storage, "several")
    assert (record.sweep, record.best, record.total, record.counts["complete"]) == (None, None, None, 1)
    assert [trial.value for trial in trials(storage, record.study_id)] == [1.0]
    assert examine(storage) == []


def test_an_unknown_study_is_refused(storage, writer):
    with pytest.raises(StudyError, match="no study 'S'"):
        find_study(storage, "S")


def test_a_study_may_have_any_printable_name(storage):
    for name in ('it\'s "quoted"', "a b/c\\d", "x" * 300, "Größe 🚀", "%s {} ; DROP TABLE trials"):
        study_id, _ = open_study(storage, name, "validation accuracy", HELD)
        complete(Writer(storage, study_id, name))
        assert find_study(storage, name).counts["complete"] == 1
        assert optuna.load_study(study_name=name, storage=storage.optuna).best_value == 0.7


def test_names_that_differ_in_case_are_two_studies_or_are_refused(storage, writer):
    if storage.engine.dialect.name == "mysql":
        with pytest.raises(StudyError, match="this database cannot tell study 'S' from 's'"):
            open_study(storage, "S", "validation accuracy", HELD)
    else:
        assert open_study(storage, "S", "validation accuracy", HELD)[0] != writer.study_id


def test_the_database_of_another_application_is_refused_and_left_alone(url):
    if url.startswith("sqlite"):
        open_storage(url, create=True).close()
        url = url.replace(".db", "-other.db")
    other = create_engine(url)
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    for create in (True, False):
        with pytest.raises(StorageError, match="belongs to another application"):
            open_storage(url, create)
    with other.connect() as connection:
        assert inspect(connection).get_table_names() == ["customers"]
    other.dispose()


def test_reading_an_empty_database_is_refused(url):
    with pytest.raises(StorageError, match=r"is empty|no database at"):
        open_storage(url)


def test_only_a_sweep_adds_our_tables_to_a_database_of_plain_optuna(url, storage):
    with storage.engine.begin() as connection:
        for table in ("optbench_epochs", "optbench_workers", "optbench_schema"):
            connection.execute(text(f"DROP TABLE {table}"))
    with pytest.raises(StorageError, match="no tables of optbench; the first sweep adds them"):
        open_storage(url)
    open_storage(url, create=True).close()
    open_storage(url).close()


def test_a_newer_database_is_refused(url, storage):
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE optbench_schema SET version = 99"))
    for create in (True, False):
        with pytest.raises(StorageError, match="made by a newer optbench"):
            open_storage(url, create)
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v9.9'"))
    with pytest.raises(StorageError, match="made by a newer Optuna"):
        open_storage(url)


DAMAGE = {
    "its curve": lambda s, own: s.execute(delete(epochs).where(epochs.c.epoch == 1)),
    "points on Optuna's curve": lambda s, own: s.execute(delete(models.TrialIntermediateValueModel)),
    "has no value": lambda s, own: s.execute(delete(models.TrialValueModel)),
    "RUNNING, but its worker": lambda s, own: s.execute(update(models.TrialModel).values(state=TrialState.RUNNING)),
    "slot 0 was finished 2 times": lambda s, own: s.execute(
        update(models.TrialUserAttributeModel)
        .where(models.TrialUserAttributeModel.key == "slot")
        .values(value_json="0")
    ),
    "its total is 1": lambda s, own: s.execute(
        update(models.StudyUserAttributeModel)
        .where(models.StudyUserAttributeModel.key == "trials")
        .values(value_json="1")
    ),
    "epochs is 7 in its fingerprint": lambda s, own: s.execute(
        update(models.StudyUserAttributeModel)
        .where(models.StudyUserAttributeModel.key == "fingerprint")
        .values(value_json='{"epochs": 7}')
    ),
    "2 of its trials have the number 1": lambda s, own: s.add(
        models.TrialModel(study_id=1, number=1, state=TrialState.WAITING)
    ),
}


def test_the_doctor_finds_nothing_in_a_sound_database(storage, writer):
    complete(writer)
    writer.leave()
    assert examine(storage) == []


@pytest.mark.parametrize("message", DAMAGE)
def test_the_doctor_finds_damage(new_url, message):
    storage = open_storage(new_url("sqlite"), create=True)
    writer = Writer(storage, open_study(storage, "s", "validation accuracy", HELD)[0], "s")
    complete(writer)
    own = complete(writer)
    writer.leave()
    storage.write(lambda session: DAMAGE[message](session, own))
    found = examine(storage)
    assert any(message in finding.what for finding in found)
    assert {finding.study for finding in found} == {"s"}
    storage.close()


def test_the_doctor_finds_epochs_that_belong_to_no_trial(new_url):
    storage = open_storage(new_url("sqlite"), create=True)
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.execute(insert(epochs).values(trial_id=77, epoch=1, train_accuracy=0.5, seconds=0.1))
        connection.commit()
    assert {finding.study for finding in examine(storage)} == {None}
    assert any("1 epochs belong to no trial" in finding.what for finding in examine(storage))
    storage.close()


def test_a_wrong_password_is_refused_and_not_shown(url):
    if url.startswith("sqlite"):
        pytest.skip("a file has no password")
    with pytest.raises(StorageError) as caught:
        open_storage(url.replace("s3cret", "hunter22"), create=True)
    assert "hunter22" not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "nosuch://me:s3cret@host/db",
        "nosuch://host/db?password=s3cret",
        "postgresql:/me:s3cret@host/db",
        "postgresql://host/db?password=s3cret",
        "postgresql://me:x@s3cret@host/db",
        "mysql://me:s3cret@127.0.0.1:1/db",
        f"mysql://me:s3cret@{'long' * 100}/db",
    ],
)
def test_error_messages_show_no_password(given):
    with pytest.raises(StorageError) as caught:
        open_storage(given)
    assert "s3cret" not in str(caught.value)


def test_the_usual_schemes_of_urls_mean_the_drivers_that_the_extras_install():
    assert check("mysql://me@host/db").drivername == check("mariadb://me@host/db").drivername == "mysql+pymysql"
    assert check("postgresql://me@host/db").get_dialect().driver == "psycopg"
