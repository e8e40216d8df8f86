"""The scheduler on a real writer: budget, resuming, pruning, divergence, retries."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from optbench.scheduler.sampler import make_sampler
from optbench.scheduler.scheduler import Scheduler
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.storage import Writer, find_study, open_storage, open_study, trials
from optbench.training.contract import Epoch
from tests.conftest import TINY, sweep_of, train

CHANCE = 0.25  # of four classes
TRAINER = SimpleNamespace(name="fake", device="CPU", lanes=1, threads=None, xla=None)


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


def study_of(storage, **changes):
    sweep = sweep_of(**changes)
    study_id, _ = open_study(storage, sweep.name, "validation accuracy", {"trials": sweep.trials})
    return Scheduler(sweep, Writer(storage, study_id, sweep.name))


def epoch(n, accuracy, loss=0.5):
    return Epoch(n, loss, accuracy, loss, accuracy, 0.1, CHANCE)


def finish(study, job, value=0.5, decision=Decision.COMPLETE, epochs=2):
    for n in range(1, epochs + 1):
        study.decide(job, epoch(n, value))
        study.record({job.number: epoch(n, value)}, {})
    study.record({}, {job.number: Ending(decision, value, epochs)})


def rows(storage):
    return trials(storage, find_study(storage, "tiny").study_id)


def test_the_total_is_exact_after_restarts(storage):
    first = study_of(storage, trials=5)
    for _ in range(3):
        finish(first, first.ask("adadelta", TRAINER))
    second = study_of(storage, trials=5)
    for _ in range(2):
        finish(second, second.ask("adadelta", TRAINER))
    assert second.ask("adadelta", TRAINER) is None
    assert study_of(storage, trials=5).ask("adadelta", TRAINER) is None
    assert [row.state for row in rows(storage)] == ["complete"] * 5


def test_a_restart_draws_new_parameters(storage):
    drawn = []
    for _ in range(4):
        study = study_of(storage)
        job = study.ask("adadelta", TRAINER)
        drawn.append(job.hparams["learning_rate"])
        finish(study, job)
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("name", ["random", "qmc", "grid"])
def test_a_restart_resumes_a_design(storage, name):
    sampler = {"name": name}
    one = study_of(storage, sampler=sampler)
    finish(one, one.ask("adadelta", TRAINER))
    two = study_of(storage, sampler=sampler)
    finish(two, two.ask("adadelta", TRAINER))
    whole = study_of(storage, sampler=sampler, name="whole", trials=2)
    jobs = [whole.ask("adadelta", TRAINER) for _ in range(2)]
    assert [row.hyperparameters for row in rows(storage)] == [job.hparams for job in jobs]


def test_an_interrupted_trial_is_retried_with_the_same_parameters_and_seed(storage):
    study = study_of(storage)
    job = study.ask("adadelta", TRAINER)
    study.record({}, {job.number: Ending(Decision.INTERRUPTED, None, 0, STOPPED)})
    again = study_of(storage).ask("adadelta", TRAINER)
    assert again.number == 1
    assert (again.hparams, again.seed) == (job.hparams, job.seed)


@pytest.mark.parametrize(("reason", "tries"), [("MemoryError", 3), (STOPPED, 5)])
def test_parameters_are_given_up_after_three_crashes_and_stopping_is_no_crash(storage, reason, tries):
    study, tried = study_of(storage), []
    for _ in range(5):
        job = study.ask("adadelta", TRAINER)
        tried.append(job.hparams)
        study.record({}, {job.number: Ending(Decision.INTERRUPTED, None, 0, reason)})
    assert [hparams == tried[0] for hparams in tried] == [True] * tries + [False] * (5 - tries)


def test_a_design_continues_without_parameters_that_keep_crashing(storage):
    study = study_of(storage, trials=3, sampler={"name": "random"})
    for _ in range(3):
        study.record({}, {study.ask("adadelta", TRAINER).number: Ending(Decision.INTERRUPTED, None, 0, "MemoryError")})
    for again in (study, study_of(storage, trials=3, sampler={"name": "random"})):
        finish(again, again.ask("adadelta", TRAINER))
        assert again.slots.given_up == {0}
    assert again.ask("adadelta", TRAINER) is None


@pytest.mark.parametrize(
    "pruner",
    [
        {"name": "median"},
        {"name": "successive_halving"},
        {"name": "successive_halving", "min_resource": 1, "reduction_factor": 4, "window": 0},
        {"name": "hyperband"},
    ],
)
def test_weak_trials_are_pruned_before_and_after_a_restart(storage, pruner):
    sizes = {"epochs": 9, "trials": 40, "pruner": pruner}
    first = study_of(storage, **sizes)
    for _ in range(20):
        finish(first, first.ask("adadelta", TRAINER), value=0.9, epochs=9)
    for study in (first, study_of(storage, **sizes)):
        pruned = 0
        for _ in range(8):
            job = study.ask("adadelta", TRAINER)
            decisions = [study.decide(job, epoch(n, 0.1 - job.number / 1000)) for n in range(1, 9)]
            pruned += Decision.PRUNED in decisions
            study.record({}, {job.number: Ending(Decision.PRUNED, 0.1, 8)})
        assert pruned >= 5


def test_a_trial_enqueued_by_hand_is_ignored(storage):
    study = study_of(storage)
    finish(study, study.ask("adadelta", TRAINER))
    optuna.load_study(study_name="tiny", storage=storage.optuna).enqueue_trial({"learning_rate": 99.0})
    again = study_of(storage)
    job = again.ask("adadelta", TRAINER)
    assert job.number == 2
    assert job.hparams["learning_rate"] <= 10
    finish(again, job)
    assert [row.state for row in rows(storage)] == ["complete", "waiting", "complete"]


@pytest.mark.parametrize(
    "pruner",
    [
        {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2},
        {"name": "median", "n_startup_trials": 3, "n_min_trials": 1, "n_warmup_steps": 0},
        {"name": "hyperband", "min_resource": 1, "reduction_factor": 3},
    ],
    ids=lambda pruner: pruner["name"],
)
def test_fixed_trials_run_first_and_are_never_pruned(storage, pruner):
    mine = {"learning_rate": 0.5, "label": "mine"}
    study = study_of(storage, trials=8, epochs=3, trial=[mine], pruner=pruner)
    job = study.ask("adadelta", TRAINER)
    assert job.hparams["learning_rate"] == 0.5
    for _ in range(3):
        finish(study, study.ask("adadelta", TRAINER), value=0.9, epochs=3)
    drawn = [study.ask("adadelta", TRAINER) for _ in range(4)]
    assert Decision.PRUNED in [study.decide(weak, epoch(1, 0.1)) for weak in drawn]
    assert study.decide(job, epoch(1, 0.0)) is Decision.CONTINUE
    assert rows(storage)[0].label == "mine"


def test_weak_trials_are_pruned_after_the_warm_up_and_strong_ones_are_not(storage):
    pruner = {"name": "median", "n_startup_trials": 3, "n_min_trials": 3, "n_warmup_steps": 2}
    study = study_of(storage, epochs=5, trials=9, pruner=pruner)
    for _ in range(3):
        finish(study, study.ask("adadelta", TRAINER), value=0.8, epochs=5)
    weak, strong = study.ask("adadelta", TRAINER), study.ask("adadelta", TRAINER)
    assert [study.decide(weak, epoch(n, 0.2)) for n in (1, 2, 3)] == [Decision.CONTINUE] * 2 + [Decision.PRUNED]
    assert [study.decide(strong, epoch(n, 0.9)) for n in (1, 2, 3)] == [Decision.CONTINUE] * 3


def test_an_audited_trial_continues_and_records_when_it_would_have_been_pruned(storage):
    pruner = {"name": "median", "n_startup_trials": 3, "n_min_trials": 3, "n_warmup_steps": 2, "audit": 0.5}
    study, lengths = study_of(storage, epochs=5, trials=30, pruner=pruner), []
    for _ in range(3):
        finish(study, study.ask("adadelta", TRAINER), value=0.8, epochs=5)
    for _ in range(20):
        job = study.ask("adadelta", TRAINER)
        decisions = []
        while not decisions or decisions[-1] is Decision.CONTINUE:
            weak = epoch(len(decisions) + 1, 0.2 - job.number / 1000)
            decisions.append(study.decide(job, weak))
            study.record({job.number: weak}, {})
        study.record({}, {job.number: Ending(decisions[-1], 0.2, len(decisions))})
        lengths.append(len(decisions))
    assert set(lengths) == {3, 5}
    assert [row.audit for row in rows(storage)][3:] == [3 if epochs == 5 else None for epochs in lengths]


def test_a_diverged_trial_scores_the_accuracy_of_chance(storage):
    study = study_of(storage)
    job = study.ask("adadelta", TRAINER)
    row = epoch(1, 0.1, loss=float("nan"))
    assert study.decide(job, row) is Decision.DIVERGED
    study.record({job.number: row}, {job.number: Ending(Decision.DIVERGED, CHANCE, 1)})
    assert [(row.state, row.value) for row in rows(storage)] == [("diverged", CHANCE)]
    assert study.in_memory.study.trials[0].value == CHANCE


def test_two_workers_share_the_budget_and_see_each_others_trials(storage):
    one, two = study_of(storage, trials=4), study_of(storage, trials=4)
    jobs = [one.ask("adadelta", TRAINER), two.ask("adadelta", TRAINER), one.ask("adadelta", TRAINER)]
    finish(two, jobs[1], value=0.9)
    last = one.ask("adadelta", TRAINER)
    assert [job.number for job in [*jobs, last]] == [0, 1, 2, 3]
    assert two.ask("adadelta", TRAINER) is None
    assert one.in_memory.study.trials[1].value == 0.9
    assert not one.others_run()
    assert two.others_run()


def test_a_lost_trial_is_not_waited_for_if_its_end_was_seen_before_the_loss(storage):
    """A worker that was frozen between two rounds sees the end of its trial when it fills its free lane."""
    study = study_of(storage, trials=4)
    first, second = (study.ask("adadelta", TRAINER) for _ in range(2))
    storage.optuna.set_trial_state_values(rows(storage)[first.number].trial_id, TrialState.FAIL)
    again = study.ask("adadelta", TRAINER)
    assert again.hparams == first.hparams
    assert study.record({job.number: epoch(1, 0.5) for job in (first, second, again)}, {}) == {first.number}
    assert not study.others_run()
    assert study.in_memory.study.trials[first.number].state == TrialState.FAIL


def test_workers_draw_different_parameters(storage):
    workers = [study_of(storage, trials=40) for _ in range(3)]
    drawn = [worker.ask("adadelta", TRAINER).hparams["learning_rate"] for _ in range(10) for worker in workers]
    assert len(set(drawn)) == 30


def test_each_optimizer_of_a_list_gets_its_own_trials(storage):
    listed = [{"optimizer": "adam", "seeds": [0, 1]}, {"optimizer": "adadelta"}]
    study = study_of(storage, space=None, trials=None, optimizer=None, trial=listed)
    assert study.ask("adadelta", TRAINER).optimizer == "adadelta"
    assert [study.ask("adam", TRAINER).seed for _ in range(2)] == [0, 1]
    assert study.ask("adam", TRAINER) is None


def test_the_sampler_seed_depends_on_the_workers_first_trial():
    sweep = sweep_of()
    draws = [make_sampler(sweep, first)._random_sampler._rng.rng.random() for first in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def delete_rows(path, number):
    """Delete every row of a trial, like a person with sqlite3."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        (trial_id,) = connection.execute("SELECT trial_id FROM trials WHERE number = ?", (number,)).fetchone()
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if any(row[1] == "trial_id" for row in connection.execute(f"PRAGMA table_info({table})").fetchall()):
                connection.execute(f"DELETE FROM {table} WHERE trial_id = ?", (trial_id,))


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_the_slot_of_a_trial_whose_rows_were_deleted_is_trained_again(storage, tmp_path, pruner):
    sizes = {"trials": 8, "pruner": {"name": pruner}, "sampler": {"name": "random"}}
    first = study_of(storage, **sizes)
    for _ in range(8):
        finish(first, first.ask("adadelta", TRAINER))
    lost = rows(storage)[5].params
    delete_rows(tmp_path / "x.db", 5)
    second = study_of(storage, **sizes)
    job = second.ask("adadelta", TRAINER)
    finish(second, job)
    assert job.number == 8
    assert second.ask("adadelta", TRAINER) is None
    assert [row.number for row in rows(storage)] == [0, 1, 2, 3, 4, 6, 7, 8]
    assert rows(storage)[-1].params == lost


def test_a_sweep_resumes_after_a_trial_was_deleted_by_hand(tmp_path):
    for number in (None, 3, 0):
        if number is not None:
            delete_rows(tmp_path / "x.db", number)
        train(TINY, f"sqlite:///{tmp_path}/x.db")
    opened = open_storage(f"sqlite:///{tmp_path}/x.db")
    found = trials(opened, find_study(opened, "tiny").study_id)
    opened.close()
    assert [trial.number for trial in found] == [1, 2, 4, 5, 6, 7]
    assert sorted(trial.slot for trial in found) == [0, 1, 2, 3, 4, 5]
    assert all(trial.state in ("complete", "pruned", "diverged") for trial in found)
