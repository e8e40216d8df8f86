"""Searches that start from another study: its best settings run again, or the sampler knows its trials."""

import re
from dataclasses import replace

import pytest

from optbench.comparison.confirmation import confirmation
from optbench.definition import parse
from optbench.definition.sweep import Finals
from optbench.errors import DefinitionError, StudyError
from optbench.scheduler.scheduler import Scheduler
from optbench.scheduler.states import Role
from optbench.storage import Writer, find_study, open_storage, past_trials, trials
from optbench.storage.copy import copy_study
from optbench.storage.upkeep import delete_study
from optbench.worker.creation import Relations, create_study
from optbench.worker.finals import open_finals
from tests.conftest import opened_copy, sweep_of
from tests.filled import fill
from tests.test_study import TRAINER, finish

SPACE = {"learning_rate": {"low": 1e-2, "high": 10.0, "log": True}, "one_minus_rho": {"low": 1e-3, "high": 0.5}}
DIGESTS = {"data.sha256": "a", "split.sha256": "b"}


def search(**changes):
    return sweep_of(**({"name": "x", "space": SPACE, "trials": 6} | changes))


def create(storage, sweep, name=None):
    return create_study(storage, sweep, name or sweep.name, DIGESTS)


def scheduler_of(storage, record):
    past = past_trials(storage, record.study_id)
    return Scheduler(record.sweep, Writer(storage, record.study_id, record.name), past=past)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The file of a database with a finished search `x`, whose later trials are better."""
    path = tmp_path_factory.mktemp("searched") / "x.db"
    opened = open_storage(f"sqlite:///{path}", create=True)
    study = scheduler_of(opened, create(opened, search(pruner={"name": "none"})))
    for index in range(6):
        finish(study, study.ask("adadelta", TRAINER), value=0.5 + index / 100)
    study.writer.leave()
    opened.close()
    return path


@pytest.fixture
def storage(searched, tmp_path):
    with opened_copy(searched, tmp_path) as opened:
        yield opened


@pytest.fixture
def source(storage):
    return find_study(storage, "x")


def again(**changes):
    return search(name="again", start={"study": "x", "top": 2}, **changes)


def test_the_best_settings_run_again_first_on_fresh_seeds(storage, source):
    record = create(storage, again())
    best = sorted(trials(storage, source.study_id), key=lambda trial: trial.value)[:-3:-1]
    study = scheduler_of(storage, record)
    jobs = [study.ask("adadelta", TRAINER) for _ in range(3)]
    assert [job.hparams for job in jobs[:2]] == [pytest.approx(trial.hyperparameters) for trial in best]
    assert not {job.seed for job in jobs[:2]} & {trial.seed for trial in trials(storage, source.study_id)}
    assert [trial.label for trial in trials(storage, record.study_id)] == ["x trial 5", "x trial 4", None]
    assert parse(record.sweep.definition(), "again") == record.sweep


def test_a_study_that_started_from_another_resumes_after_that_one_is_deleted(storage, source):
    first = create(storage, again())
    delete_study(storage, source.study_id, "x")
    assert create(storage, replace(again(), trials=9)).sweep.fixed == first.sweep.fixed
    with pytest.raises(StudyError, match=r"start\.top is 2 there, 3 here"):
        create(storage, search(name="again", start={"study": "x", "top": 3}))
    with pytest.raises(StudyError, match="no study 'x'"):
        create(storage, again(), "another")


def test_the_sampler_knows_the_past_trials_and_they_take_no_slot(storage, source):
    record = create(storage, search(name="informed", start={"study": "x"}))
    assert [trial.value for trial in past_trials(storage, record.study_id)] == [0.5 + index / 100 for index in range(6)]
    delete_study(storage, source.study_id, "x")
    one, two = (
        scheduler_of(storage, record),
        scheduler_of(storage, create(storage, search(name="informed", start={"study": "x"}))),
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
    record = create(storage, search(name="informed", start={"study": "x"}))
    copy_study(storage, record, storage, "copied")
    assert past_trials(storage, find_study(storage, "copied").study_id) == past_trials(storage, record.study_id)


def test_past_trials_do_not_affect_pruning(storage, source):
    halving = {"name": "successive_halving", "min_resource": 1}
    study = scheduler_of(storage, create(storage, search(name="informed", start={"study": "x"}, pruner=halving)))
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
def test_an_impossible_start_is_refused_in_one_line_and_creates_no_study(storage, source, sweep, message):
    with pytest.raises(StudyError, match=message) as caught:
        create(storage, sweep)
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match="no study 'y'"):
        find_study(storage, "y")


def test_settings_of_a_study_on_other_data_may_run_again(storage, source):
    record = create(storage, search(name="y", epochs=3, batch=32, start={"study": "x", "top": 1}))
    assert len(record.sweep.fixed) == 1


WRONG = {
    "a sampler that learns nothing": (
        {"start": {"study": "x"}, "sampler": {"name": "qmc"}},
        "sampler 'qmc' learns nothing from the trials of 'x'; expected sampler 'tpe', or top = 5",
    ),
    "no study": ({"start": {"top": 2}}, "[start]: 'study' is missing; expected a study's name in quotes"),
    "none of the best": ({"start": {"study": "x", "top": 0}}, "[start]: top = 0; expected 1 or more"),
    "an unknown key": ({"start": {"study": "x", "best": 2}}, "[start]: unknown key 'best'"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_refused(changes, message):
    with pytest.raises(DefinitionError, match=re.escape(message)):
        search(**changes)


def test_a_search_that_started_from_another_is_confirmed_and_gets_finals(storage, source):
    study = create(storage, again())
    fill(storage, study, lambda job: 0.5 + job.number / 100)
    study = find_study(storage, study.name)
    confirmed = confirmation(study, trials(storage, study.study_id), 1, 2, None)
    delete_study(storage, source.study_id, "x")
    made = create_study(
        storage, confirmed, confirmed.name, DIGESTS, Relations(role=Role.CONFIRMATION, origin=study.name)
    )
    assert (made.total, made.origin) == (2, study.name)
    assert open_finals(storage, study, Finals(budget=1.0), DIGESTS).origin == study.name
