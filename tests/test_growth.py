"""A list of fixed trials can grow: definition, fingerprint and total change together, and existing slots stay."""

from dataclasses import replace

import pytest

from optbench.definition.sweep import FixedTrial, NoPruner
from optbench.errors import StorageError, StudyError
from optbench.scheduler.states import Role
from optbench.storage import NewTotal, append_fixed, engine, find_study, open_storage, set_total, trials
from optbench.storage.doctor import examine
from optbench.worker.creation import Relations, check_fingerprint, create_study
from tests.conftest import sweep_of
from tests.filled import fill
from tests.test_storage import together

LIST = {"space": None, "trials": None, "optimizer": None, "name": "list"}
RATES = [{"optimizer": "adam", "learning_rate": rate, "seeds": [0, 1], "label": f"{rate}"} for rate in (0.1, 0.01)]


def make(storage, name="list", **relations):
    return create_study(storage, sweep_of(**LIST, trial=RATES), name, {}, Relations(**relations))


def more(seed):
    """The same settings on another seed."""
    fixed = sweep_of(**LIST, trial=RATES).fixed[::2]
    return [replace(trial, seed=seed) for trial in fixed]


def test_a_list_grows_in_definition_fingerprint_and_total(storage):
    before = make(storage)
    append_fixed(storage, before.study_id, 4, more(2))
    after = find_study(storage, "list")
    assert (before.total, after.total, after.finished) == (4, 6, 0)
    assert after.sweep.fixed == (*before.sweep.fixed, *more(2))
    check_fingerprint(after, {})
    assert examine(storage) == []


def test_existing_trials_keep_their_slots_and_only_new_ones_are_trained(storage):
    study = make(storage)
    fill(storage, study, lambda job: 0.5)
    append_fixed(storage, study.study_id, 4, more(2))
    fill(storage, find_study(storage, "list"), lambda job: 0.6)
    found = trials(storage, study.study_id)
    assert [(t.slot, t.seed, t.value) for t in sorted(found, key=lambda trial: trial.slot)] == [
        (0, 0, 0.5), (1, 1, 0.5), (2, 0, 0.5), (3, 1, 0.5), (4, 2, 0.6), (5, 2, 0.6),
    ]  # fmt: skip
    assert examine(storage) == []


def test_several_workers_append_the_same_trials_once(url, storage):
    study = make(storage)

    def work():
        own = open_storage(url)
        append_fixed(own, study.study_id, 4, more(2))
        own.close()

    together(work, 4)
    assert len(find_study(storage, "list").sweep.fixed) == 6


def test_an_append_is_not_repeated_when_the_connection_breaks_after_its_commit(storage, monkeypatch):
    study, writing, lost = make(storage), storage._writing, []

    def broken(work):
        writing(work)
        if not lost:
            lost.append(work)
            raise StorageError("the connection broke", passing=True)

    storage.outage = lambda problem: True
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(storage, "_writing", broken)
    append_fixed(storage, study.study_id, 4, more(2))
    assert lost
    assert len(find_study(storage, "list").sweep.fixed) == 6


def test_a_worker_with_the_shorter_list_does_not_undo_an_append(storage):
    study = make(storage)
    append_fixed(storage, study.study_id, 4, more(2))
    set_total(storage, study.study_id, NewTotal(4, {"definition": study.sweep.definition()}))
    after = find_study(storage, "list")
    assert (after.total, len(after.sweep.fixed)) == (6, 6)


def test_a_planned_total_stays_until_the_list_is_longer(storage):
    study = make(storage)
    set_total(storage, study.study_id, NewTotal(7))
    append_fixed(storage, study.study_id, 4, more(2))
    assert find_study(storage, "list").total == 7
    append_fixed(storage, study.study_id, 6, more(3))
    assert find_study(storage, "list").total == 8


def test_appending_to_a_search_is_refused(storage):
    study = create_study(storage, sweep_of(), "tiny", {})
    with pytest.raises(StudyError, match="study 'tiny' is a search; only a list of fixed trials can be extended"):
        append_fixed(storage, study.study_id, 0, [FixedTrial("adam", {})])


def test_a_study_has_a_role(storage):
    search = create_study(storage, sweep_of(), "tiny", {})
    found = [search, make(storage)]
    found += [make(storage, f"tiny/{role}", role=role, origin="tiny") for role in (Role.CONFIRMATION, Role.FINALS)]
    assert [study.role for study in found] == [Role.SEARCH, Role.FIXED, Role.CONFIRMATION, Role.FINALS]
    assert [study.confirms(search) for study in found] == [False, False, True, False]
    assert [study.derives_from(search) for study in found] == [False, False, True, True]


def test_a_fixed_trial_of_a_list_is_never_pruned(storage):
    assert isinstance(make(storage).sweep.pruner, NoPruner)
