"""Searches that start from another study: from its best settings, or with its trials known to the sampler."""

import shutil
from dataclasses import replace

import pytest

from optbench.definition import parse
from optbench.errors import StudyError
from optbench.scheduler.scheduler import Scheduler
from optbench.storage import Writer, find_study, open_storage, past_trials, trials
from optbench.storage.copy import copy_study
from optbench.storage.upkeep import delete_study
from optbench.worker.creation import create_study
from tests.conftest import sweep_of
from tests.test_study import TRAINER, finish

SPACE = {"learning_rate": {"low": 1e-2, "high": 10.0, "log": True}, "one_minus_rho": {"low": 1e-3, "high": 0.5}}
DIGESTS = {"data.sha256": "a", "split.sha256": "b"}


def search(**changes):
    return sweep_of(**({"name": "x", "space": SPACE, "trials": 6} | changes))


def made(storage, sweep, name=None):
    return create_study(storage, sweep, name or sweep.name, DIGESTS)


def scheduled(storage, record):
    past = past_trials(storage, record.study_id)
    return Scheduler(record.sweep, Writer(storage, record.study_id, record.name), past=past)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A database with a finished search `x`, whose later trials are better."""
    path = tmp_path_factory.mktemp("filled") / "x.db"
    opened = open_storage(f"sqlite:///{path}", create=True)
    study = scheduled(opened, made(opened, search(pruner={"name": "none"})))
    for index in range(6):
        finish(study, study.ask("adadelta", TRAINER), value=0.5 + index / 100)
    study.writer.leave()
    opened.close()
    return path


@pytest.fixture
def storage(filled, tmp_path):
    shutil.copy(filled, tmp_path / "x.db")
    opened = open_storage(f"sqlite:///{tmp_path}/x.db")
    yield opened
    opened.close()


@pytest.fixture
def source(storage):
    return find_study(storage, "x")


def again(**changes):
    return search(name="again", start={"study": "x", "top": 2}, **changes)


def test_the_best_settings_run_again_first_on_fresh_seeds(storage, source):
    record = made(storage, again())
    best = sorted(trials(storage, source.study_id), key=lambda trial: trial.value)[:-3:-1]
    study = scheduled(storage, record)
    jobs = [study.ask("adadelta", TRAINER) for _ in range(3)]
    assert [job.hparams for job in jobs[:2]] == [pytest.approx(trial.hyperparameters) for trial in best]
    assert not {job.seed for job in jobs[:2]} & {trial.seed for trial in trials(storage, source.study_id)}
    assert [trial.label for trial in trials(storage, record.study_id)] == ["x trial 5", "x trial 4", None]
    assert parse(record.sweep.definition(), "again") == record.sweep


def test_a_study_that_started_from_another_is_carried_on_when_that_one_is_gone(storage, source):
    first = made(storage, again())
    delete_study(storage, source.study_id, "x")
    assert made(storage, replace(again(), trials=9)).sweep.fixed == first.sweep.fixed
    with pytest.raises(StudyError, match=r"start\.top is 2 there, 3 here"):
        made(storage, search(name="again", start={"study": "x", "top": 3}))
    with pytest.raises(StudyError, match="no study 'x'"):
        made(storage, again(), "another")


def test_the_sampler_knows_the_trials_of_the_study_and_no_slot_is_taken(storage, source):
    record = made(storage, search(name="informed", start={"study": "x"}))
    assert [trial.value for trial in past_trials(storage, record.study_id)] == [0.5 + index / 100 for index in range(6)]
    delete_study(storage, source.study_id, "x")
    one, two = (
        scheduled(storage, record),
        scheduled(storage, made(storage, search(name="informed", start={"study": "x"}))),
    )
    for study in (one, two):
        known = study.in_memory.study.trials
        assert [trial.value for trial in known] == [0.5 + index / 100 for index in range(6)]
        assert set(known[0].params) == set(SPACE)
    for study in (one, two, one, two, one, two):
        finish(study, study.ask("adadelta", TRAINER), value=0.7)
    assert one.ask("adadelta", TRAINER) is None
    assert len(trials(storage, record.study_id)) == 6
    assert [trial.value for trial in one.in_memory.study.trials[6:]][:1] == [0.7]
    assert record.finished == 0


def test_a_copy_keeps_what_its_sampler_knows(storage, source):
    record = made(storage, search(name="informed", start={"study": "x"}))
    copy_study(storage, record, storage, "copied")
    assert past_trials(storage, find_study(storage, "copied").study_id) == past_trials(storage, record.study_id)


def test_past_trials_prune_nothing(storage, source):
    halving = {"name": "successive_halving", "min_resource": 1}
    study = scheduled(storage, made(storage, search(name="informed", start={"study": "x"}, pruner=halving)))
    job = study.ask("adadelta", TRAINER)
    finish(study, job, value=0.2)
    assert trials(storage, find_study(storage, "informed").study_id)[0].state == "complete"


REFUSED = {
    "no such study": (search(name="y", start={"study": "xx"}), "no study 'xx'"),
    "too many": (
        search(name="y", trials=9, start={"study": "x", "top": 7}),
        "top = 7: it has 6 different complete settings; expected that or less",
    ),
    "other epochs and data": (
        search(name="y", epochs=3, data={"name": "digits", "validation": 200}, start={"study": "x"}),
        "does not agree: data.validation is 300 there, 200 here; epochs is 2 there, 3 here; top = 5 needs no agreement",
    ),
    "another optimizer": (
        search(name="y", optimizer="adam", space={"learning_rate": [0.1, 1.0]}, start={"study": "x", "top": 2}),
        "does not agree: optimizer is 'adadelta' there, 'adam' here",
    ),
    "outside the space": (
        search(name="y", space=SPACE | {"one_minus_rho": {"low": 0.6, "high": 0.7}}, start={"study": "x"}),
        "6 of 6 trials lie outside the \\[space\\]",
    ),
    "not searched": (
        search(name="y", space={"learning_rate": SPACE["learning_rate"]}, start={"study": "x", "top": 2}),
        "2 of 2 trials lie outside",
    ),
    "more than the total": (
        search(name="y", trials=2, start={"study": "x", "top": 3}),
        "more than trials = 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sweep", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_started_from_is_refused_in_one_line_and_makes_no_study(storage, source, sweep, message):
    with pytest.raises(StudyError, match=message) as refusal:
        made(storage, sweep)
    assert "\n" not in str(refusal.value)
    with pytest.raises(StudyError, match="no study 'y'"):
        find_study(storage, "y")


def test_settings_of_a_study_on_other_data_may_run_again(storage, source):
    record = made(storage, search(name="y", epochs=3, batch=32, start={"study": "x", "top": 1}))
    assert len(record.sweep.fixed) == 1
