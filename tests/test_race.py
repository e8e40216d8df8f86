"""Finals as studies: they are created once, grow by rounds with any number of workers, and decide a search's best."""

import gc
import math
import re
import shutil
import signal
import weakref
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from optbench.comparison.collect import collect
from optbench.data import Split
from optbench.data.dataset import facts_of_earlier
from optbench.definition.sweep import Finals
from optbench.errors import StorageError, StudyError
from optbench.launchers import requests
from optbench.scheduler.states import Role, State, StudyState
from optbench.storage import best_first, find_study, open_storage, rename_study, studies, trials
from optbench.storage.copy import copy_study
from optbench.storage.doctor import examine
from optbench.worker.creation import create_study
from optbench.worker.data import StudyData
from optbench.worker.finals import advance, candidates, open_finals
from optbench.worker.session import Options, Session
from optbench.worker.stop import StopRequest
from tests.commands import in_process
from tests.conftest import TINY, statements, sweep_of, write_toml
from tests.fake import Fake
from tests.filled import fill
from tests.light import FakeTrainer, black
from tests.test_storage import together
from tests.workers import STUDY, SWEEP

WIDE = {"learning_rate": {"low": 1e-3, "high": 10.0, "log": True}, "epsilon": {"low": 1e-9, "high": 1e-3, "log": True}}
QUARTER = Finals(budget=0.25)
RACE = {"trials": 32, "epochs": 3, "space": WIDE, "known": True, "finals": {"budget": 0.25}}
RACE |= {"sampler": {"name": "random"}, "pruner": {"name": "none"}}
DATA = StudyData(Split(black(8), black(2), {}, facts_of_earlier("digits")))


def skill(job):
    """The accuracy of a job: it peaks at learning rate 1, and the seed changes it a little."""
    return 0.9 - 0.1 * abs(math.log10(job.hparams["learning_rate"])) + 0.0001 * (job.seed % 100)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The file of a database with a finished search."""
    path = tmp_path_factory.mktemp("race") / "x.db"
    with closing(open_storage(f"sqlite:///{path}", create=True)) as storage:
        fill(storage, create_study(storage, sweep_of(**RACE), "tiny", {}), skill)
    return path


@pytest.fixture
def storage(request, tmp_path):
    """A new database. It holds a finished search if the test uses the fixture `search`."""
    if "search" in request.fixturenames:
        shutil.copy(request.getfixturevalue("searched"), tmp_path / "x.db")
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


@pytest.fixture
def search(storage):
    return find_study(storage, "tiny")


def run_to_end(storage, name, score=skill):
    """Fill the finals round by round, like workers."""
    while True:
        fill(storage, find_study(storage, name), score)
        before = find_study(storage, name)
        if len(advance(storage, name).fixed) == len(before.sweep.fixed):
            return find_study(storage, name)


def test_known_settings_are_the_first_trials_and_among_the_candidates(storage, search):
    assert [trial.label for trial in search.sweep.fixed] == ["Keras' defaults", "the paper's setting"]
    race = open_finals(storage, search, QUARTER, {})
    assert {0, 1} <= {trial.source_trial for trial in race.sweep.fixed}


@pytest.mark.parametrize("resplit", [True, False])
def test_the_fresh_seeds_of_finals_draw_validation_images_of_their_own_unless_told_not_to(storage, search, resplit):
    race = open_finals(storage, search, replace(QUARTER, resplit=resplit), {})
    assert race.sweep.data == replace(search.sweep.data, resplit=resplit)
    assert race.fingerprint.get("data.resplit", False) is resplit


def test_finals_have_their_total_from_the_start_and_reach_it_exactly(storage, search):
    race = open_finals(storage, search, QUARTER, {})
    assert (race.role, race.origin, race.total, race.metric) == (Role.FINALS, "tiny", 8, search.metric)
    assert [(one.candidates, one.seeds) for one in race.plan.rounds] == [(4, 1), (2, 2)]
    assert len(race.sweep.fixed) == 4
    done = run_to_end(storage, "tiny/finals")
    assert (done.state, done.finished, len(done.sweep.fixed)) == (StudyState.DONE, 8, 8)
    assert examine(storage) == []


def test_the_winner_is_the_best_of_the_study_with_its_mean_and_its_optimism(storage, search):
    single = search.best
    open_finals(storage, search, QUARTER, {})
    assert find_study(storage, "tiny").best == single, "the finals are not done"
    run_to_end(storage, "tiny/finals", lambda job: 0.8 if job.hparams["learning_rate"] == 1 else 0.5)
    study = find_study(storage, "tiny")
    winner = study.finals.winner
    assert (winner.trial, len(winner.scores), winner.rounds) == (1, 3, 2), "the paper's setting"
    assert study.best == winner.mean == pytest.approx(0.8)
    records = trials(storage, study.study_id)
    assert best_first(study.finals, records)[0].number == 1
    assert len(best_first(study.finals, records)) == 32
    assert winner.searched == records[1].value
    assert winner.optimism == pytest.approx(records[1].value - 0.8)


def test_a_final_that_diverged_counts_with_the_accuracy_of_guessing(storage, search):
    open_finals(storage, search, QUARTER, {})
    run_to_end(storage, "tiny/finals", lambda job: float("nan") if job.hparams["learning_rate"] == 1 else 0.5)
    finals = find_study(storage, "tiny").finals
    assert finals.finalists[-1].mean == pytest.approx(0.1) or finals.finalists[-2].mean == pytest.approx(0.1)
    assert finals.winner.trial != 1


def test_diverged_trials_never_enter_the_finals(storage):
    study = create_study(storage, sweep_of(**RACE | {"known": False}), "tiny", {})
    fill(storage, study, lambda job: float("nan") if job.number == 3 else skill(job))
    records = trials(storage, study.study_id)
    assert records[3].state is State.DIVERGED
    found = candidates(study.sweep, records)
    assert [one.trial for one in sorted(found, key=lambda one: one.trial)] == [n for n in range(32) if n != 3]


def test_trials_that_were_pruned_late_enter_with_their_last_accuracy(storage):
    pruner = {"name": "median", "n_startup_trials": 4, "n_min_trials": 2, "n_warmup_steps": 1}
    study = create_study(storage, sweep_of(**RACE | {"pruner": pruner, "epochs": 9}), "tiny", {})
    fill(storage, study, skill)
    records = trials(storage, study.study_id)
    entered = {one.trial: one.value for one in candidates(study.sweep, records)}
    pruned = [trial for trial in records if trial.state is State.PRUNED]
    assert {trial.number: trial.last for trial in pruned if trial.epochs >= 3}.items() <= entered.items()
    assert not {trial.number for trial in pruned if trial.epochs < 3} & entered.keys()
    assert pruned


def test_finals_are_resumed_and_a_longer_search_gets_new_ones(storage, search):
    first = open_finals(storage, search, QUARTER, {})
    assert open_finals(storage, search, QUARTER, {}).study_id == first.study_id
    run_to_end(storage, first.name)
    longer = create_study(storage, sweep_of(**RACE | {"trials": 40}), "tiny", {})
    fill(storage, longer, skill)
    longer = find_study(storage, "tiny")
    second = open_finals(storage, longer, QUARTER, {})
    assert second.name == "tiny/finals-2"
    assert open_finals(storage, longer, QUARTER, {}).study_id == second.study_id
    assert find_study(storage, "tiny").finals.study == "tiny/finals", "these are the newest finals that are done"
    run_to_end(storage, second.name)
    assert find_study(storage, "tiny").finals.study == "tiny/finals-2"


def test_many_threads_create_the_same_finals_once(storage, search, tmp_path):
    def work():
        with closing(open_storage(f"sqlite:///{tmp_path}/x.db")) as own:
            open_finals(own, search, QUARTER, {})

    together(work, 4)
    assert [study.name for study in studies(storage)] == ["tiny", "tiny/finals"]


def test_workers_share_the_rounds_and_train_every_slot_once(storage, search, tmp_path):
    race = open_finals(storage, search, Finals(budget=1.0), {})

    def work():
        with closing(open_storage(f"sqlite:///{tmp_path}/x.db")) as own:
            Session(own, race.name, Options(), DATA, build=lambda *_: FakeTrainer()).run(lambda: None)

    together(work, 3)
    done = find_study(storage, race.name)
    found = trials(storage, race.study_id)
    assert (done.state, done.finished) == (StudyState.DONE, race.total)
    assert sorted(trial.slot for trial in found) == list(range(race.total))
    assert len({trial.worker for trial in found}) == 3
    assert examine(storage) == []


def test_stopped_finals_resume_and_train_every_slot_once(storage, search):
    race = open_finals(storage, search, QUARTER, {})
    for _ in range(50):
        stops = iter([None] * 9)
        Session(storage, race.name, Options(), DATA, build=lambda *_: FakeTrainer()).run(
            lambda stops=stops: next(stops, StopRequest.NOW)
        )
        if find_study(storage, race.name).state is StudyState.DONE:
            break
    found = [trial for trial in trials(storage, race.study_id) if trial.state is State.COMPLETE]
    assert sorted(trial.slot for trial in found) == list(range(race.total))


def test_renaming_and_copying_keep_the_finals(storage, search):
    open_finals(storage, search, QUARTER, {})
    run_to_end(storage, "tiny/finals")
    best = find_study(storage, "tiny").best
    assert copy_study(storage, find_study(storage, "tiny"), storage, "copy") == ["copy", "copy/finals"]
    assert find_study(storage, "copy").finals.study == "copy/finals"
    assert find_study(storage, "copy").best == best
    rename_study(storage, search.study_id, "found")
    assert find_study(storage, "found").best == best


def test_reading_finals_takes_the_same_number_of_queries_for_any_number_of_studies(storage, search):
    open_finals(storage, search, QUARTER, {})
    run_to_end(storage, "tiny/finals")

    def count():
        with statements(storage) as sent:
            studies(storage)
        return len(sent)

    before = count()
    for name in ("a", "b"):
        copy_study(storage, find_study(storage, "tiny"), storage, name)
    names = [study.finals.study for study in studies(storage) if study.searches]
    assert names == ["tiny/finals", "a/finals", "b/finals"]
    assert count() == before


@pytest.mark.parametrize(
    ("finals", "message"),
    [
        (
            Finals(budget=0.1),
            "0.1 of a search of 32 trials is 3 trainings, but 3 candidates need 5; expected [finals] budget = 0.16",
        ),
        (Finals(candidates=20), "is 8 trainings, but 20 candidates need 40; expected a search of at least 250 trials"),
        (Finals(candidates=2), "candidates = 2, but 2 known settings of 'tiny' always take part; expected 3 or more"),
        (Finals(candidates=33), "candidates = 33, but 'tiny' has 32 different configurations"),
    ],
)
def test_impossible_finals_are_refused_with_what_would_fit(storage, search, finals, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        open_finals(storage, search, finals, {})
    assert [study.name for study in studies(storage)] == ["tiny"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--candidates", 1), "--candidates 1"),
        (("--candidates", 33), "candidates = 33, but 'tiny' has 32 different configurations"),
        (("--budget", 0), "--budget 0"),
        (("--budget", 0.1), "is 3 trainings, but 3 candidates need 5; expected [finals] budget = 0.16 or more"),
    ],
)
def test_the_command_refuses_impossible_finals_in_one_line(storage, search, options, message):
    told = in_process("finals", "tiny", *options, "--storage", storage.url, code=2)
    assert message in told
    assert len(told.splitlines()) == 1
    assert [study.name for study in studies(storage)] == ["tiny"]


def test_finals_of_a_search_with_one_configuration_are_refused(storage):
    study = create_study(storage, sweep_of(trials=1), "one", {})
    fill(storage, study, lambda job: 0.5)
    with pytest.raises(StudyError, match="'one' has 1 configuration for finals, which need 2"):
        open_finals(storage, find_study(storage, "one"), Finals(), {})


def test_finals_survive_workers_that_are_killed(workers_on):
    workers = workers_on("sqlite", 12)
    changes = {"trials": 12, "epochs": 40, "space": WIDE, "known": True, "finals": {"budget": 1.0}}
    workers.file = write_toml(workers.folder / "race.toml", SWEEP | changes)
    first = workers.start()
    workers.wait_until(lambda: any(t.state is State.RUNNING and t.epochs for t in finals_of(workers)))
    workers.send(first, signal.SIGKILL)
    first.wait()
    before = {trial.number for trial in finals_of(workers) if trial.state is State.COMPLETE}
    for _ in range(2):
        workers.start()
    workers.finish()
    found = finals_of(workers)
    with closing(open_storage(workers.url)) as storage:
        record = find_study(storage, f"{STUDY}/finals")
        assert (record.state, record.finished) == (StudyState.DONE, record.plan.total)
        assert find_study(storage, STUDY).finals.winner is not None
        assert examine(storage) == []
    complete = [trial for trial in found if trial.state is State.COMPLETE]
    assert sorted(trial.slot for trial in complete) == list(range(record.plan.total))
    assert before <= {trial.number for trial in complete}
    assert any(trial.state is State.INTERRUPTED for trial in found)


def finals_of(workers):
    """The trials of the workers' finals; an empty list while there is no such study."""
    try:
        storage = open_storage(workers.url)
    except StorageError:
        return []
    with closing(storage), suppress(StudyError):
        return trials(storage, find_study(storage, f"{STUDY}/finals").study_id)
    return []


def test_a_total_that_was_given_up_becomes_the_number_of_finished_trials(storage, search):
    """Otherwise the study would stay unfinished, and never get its finals."""
    create_study(storage, sweep_of(**RACE | {"trials": 99}), "tiny", {})
    assert find_study(storage, "tiny").state is not StudyState.DONE
    study = create_study(storage, sweep_of(**RACE), "tiny", {})
    assert (study.total, study.finished, study.state) == (32, 32, StudyState.DONE)


def test_finals_in_the_same_process_hold_the_data_once(tmp_path, monkeypatch):
    """The parts of the search's split are dropped before the finals train on a pool of both."""
    held, alive = [], []

    class Watched(Session):
        def __init__(self, *given):
            super().__init__(*given, build=self.make)

        def make(self, trainer, sweep, optimizer, split, trials):
            gc.collect()
            alive.append([one() is not None for one in held])
            held[:] = [weakref.ref(split.train)]
            return Fake({"adadelta": 0.9})

    monkeypatch.setattr(requests, "load_tensorflow", lambda trainer, threads=None: None)
    monkeypatch.setattr(requests, "Session", Watched)
    write_toml(tmp_path / "tiny.toml", TINY | {"trials": 12, "finals": {"candidates": 2, "budget": 1.0}})
    assert "finals" in in_process("sweep", "tiny.toml", cwd=tmp_path)
    assert alive == [[], [False]]


def test_finals_that_cannot_be_read_are_left_out_and_the_doctor_reports_them(storage, search):
    race = open_finals(storage, search, QUARTER, {})
    fill(storage, race, skill)
    assert find_study(storage, "tiny").finals.study == race.name
    storage.optuna.set_study_user_attr(race.study_id, "definition", {"space": 3})
    assert find_study(storage, "tiny").finals is None
    assert "its definition cannot be read" in [one.what for one in examine(storage) if one.study == race.name]


def test_the_epochs_of_an_arm_are_those_that_its_search_and_all_of_its_finals_trained(storage, search):
    open_finals(storage, search, QUARTER, {})
    run_to_end(storage, "tiny/finals", lambda job: float("nan") if job.hparams["learning_rate"] == 1 else 0.5)
    create_study(storage, sweep_of(**RACE | {"trials": 40}), "tiny", {})
    fill(storage, find_study(storage, "tiny"), skill)
    open_finals(storage, find_study(storage, "tiny"), QUARTER, {})
    run_to_end(storage, "tiny/finals-2")
    trained = {study.name: study.epochs for study in studies(storage)}
    assert trained["tiny/finals"] < 3 * find_study(storage, "tiny/finals").finished, "a diverged trial ends early"
    (arm,) = collect(storage, ["tiny"], anyway=True).arms
    assert arm.consumed == sum(trained.values())
