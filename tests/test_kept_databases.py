"""Studies of earlier versions, in copies of the databases that those versions made, are read, resumed and reported."""

import shutil
import tomllib
from contextlib import closing
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from optbench.comparison.collect import collect
from optbench.comparison.rows import rows
from optbench.comparison.verdict import pairs
from optbench.definition import load, parse
from optbench.definition.stored import as_begun
from optbench.errors import StudyError
from optbench.optimizers import NUMERICS
from optbench.report.page import report
from optbench.scheduler.plan import params_of
from optbench.storage import curve, find_study, open_storage, studies, trials
from optbench.storage.doctor import examine
from optbench.storage.upgrade import upgrade
from optbench.worker.creation import create_study
from optbench.worker.data import load_data
from optbench.worker.replay import TOLERANCE, repeats_exactly, replay
from tests.commands import in_process
from tests.conftest import KEPT, write_toml

NAMES = [
    "search", "rival", "fixed", "repeated/1", "repeated/2", "search/confirm", "rival/confirm", "unfinished", "partial",
]  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    """The storage of an upgraded copy of the database of schema 3."""
    shutil.copy(KEPT / "optbench.db", tmp_path / "kept.db")
    upgrade(f"sqlite:///{tmp_path}/kept.db")
    opened = open_storage(f"sqlite:///{tmp_path}/kept.db")
    yield opened
    opened.close()


def test_every_kept_study_can_be_read_and_its_sweep_written_back(kept):
    found = {study.name: study for study in studies(kept)}
    assert sorted(found) == sorted(NAMES)
    for name in NAMES:
        assert found[name].sweep == parse(found[name].sweep.definition(), name)


FILES = {
    "search": "search", "rival": "rival", "fixed": "fixed", "repeated/1": "repeated", "repeated/2": "repeated",
    "unfinished": "halving", "partial": "rival",
}  # fmt: skip


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_every_kept_study_opens_with_its_file_in_any_order_of_keys(kept, tmp_path, name, swapped):
    before = find_study(kept, name)
    table = tomllib.loads((KEPT / f"{FILES[name]}.toml").read_text())
    if swapped:
        table = {
            key: dict(reversed(value.items())) if isinstance(value, dict) else value
            for key, value in reversed(table.items())
        }
    changes = {"seed": 1} if name == "repeated/2" else {"trials": 8} if name == "partial" else {}
    sweep = load(str(write_toml(tmp_path / "x.toml", table)), changes)
    after = create_study(kept, sweep, name, load_data(sweep, "lanes", None).digests)
    assert after.total - after.finished == (12 if name == "unfinished" else 0)
    assert list(after.sweep.space) == list(before.sweep.space)
    assert find_study(kept, name).fingerprint == before.fingerprint


@pytest.mark.parametrize("name", ["unfinished", "repeated/1", "repeated/2"])
def test_a_random_or_quasi_random_design_resumes_at_its_next_slot(kept, name):
    sweep = parse(find_study(kept, name).sweep.definition(), name)
    resumed = as_begun(sweep, find_study(kept, name).sweep)
    records = trials(kept, find_study(kept, name).study_id)
    assert records
    assert [params_of(resumed, slot) for slot in range(len(records))] == [record.params for record in records]


def test_a_changed_file_is_refused_and_the_changed_key_is_named(kept):
    sweep = load(str(KEPT / "search.toml"), {"epochs": 5})
    with pytest.raises(StudyError, match="has another definition: epochs is 4 there, 5 here; choose another name"):
        create_study(kept, sweep, "search", load_data(sweep, "lanes", None).digests)


def test_relations_between_studies_are_derived_where_they_are_not_stored(kept):
    found = {study.name: study for study in studies(kept)}
    repeats = {name: study.repeat_of for name, study in found.items() if study.repeat_of}
    assert repeats == {"repeated/1": "repeated", "repeated/2": "repeated"}
    assert {name: study.origin for name, study in found.items() if study.origin} == {
        "search/confirm": "search",
        "rival/confirm": "rival",
    }


def test_kept_searches_are_compared_and_reported_with_their_confirmations(kept):
    collected = collect(kept, ["search", "rival"])
    assert [(arm.name, len(arm.confirmed)) for arm in collected.arms] == [("search", 2), ("rival", 2)]
    found, compared = rows(collected), pairs(collected.arms, 0.1)
    assert compared[0].sentence.startswith("search 80.47 ± ")
    page = report(collected, found, compared)
    assert "search" in page
    assert "Zeiler 2012" in page


@pytest.mark.parametrize("name", ["search", "rival", "fixed", "repeated/1"])
def test_kept_trials_are_replayed_within_the_tolerance(kept, name):
    """Their decay rates are subtracted in single precision, as then, but today's lanes add in another order."""
    study = find_study(kept, name)
    trial = trials(kept, study.study_id)[0]
    assert trial.numerics == 1
    result = replay(study, trial, curve(kept, trial.trial_id), None, None, lambda: None)
    assert len(result.after) == trial.epochs
    assert result.same
    assert result.tolerance == TOLERANCE


def test_a_kept_study_is_resumed_without_its_file_and_gets_finals(kept):
    """Real trainings: the definition comes from the database, and the known settings of today are not added to it."""
    kept.close()
    url = kept.url.render_as_string()
    with closing(open_storage(url)) as storage:
        before = trials(storage, find_study(storage, "partial").study_id)
    resumed = in_process("resume", "partial", "--trials", "10", "--storage", url)
    assert "[10/10]" in resumed
    assert "finals" not in resumed
    in_process("finals", "partial", "--budget", "0.5", "--storage", url)
    with closing(open_storage(url)) as storage:
        study = find_study(storage, "partial")
        assert (study.finished, study.total, study.sweep.known) == (10, 10, False)
        assert trials(storage, study.study_id)[:8] == before
        assert (study.finals.study, study.finals.done, study.finals.total) == ("partial/finals", True, 5)
        assert examine(storage) == []


@pytest.mark.parametrize(("device", "exactly"), [("CPU X", True), ("GPU X", False)])
def test_only_a_cpu_repeats_every_bit(device, exactly):
    study = SimpleNamespace(versions={"tensorflow": version("tensorflow")})
    trial = SimpleNamespace(
        numerics=NUMERICS, trainer="lanes", device=device, threads=None
    )  # before there were threads
    assert repeats_exactly(study, trial, SimpleNamespace(device=device, threads=1)) is exactly
    assert not repeats_exactly(study, trial, SimpleNamespace(device=device, threads=2))
    assert not repeats_exactly(study, trial, SimpleNamespace(device="CPU Y", threads=1))


def test_a_database_of_schema_4_says_what_to_type_and_then_resumes_submits_and_reports(tmp_path):
    kept = KEPT.with_name("schema4")
    (tmp_path / "storage").mkdir()
    shutil.copy(kept / "optbench.db", tmp_path / "storage")
    shutil.copy(kept / "search.toml", tmp_path)
    assert "`optbench upgrade" in in_process("studies", cwd=tmp_path, code=2)
    assert "now has schema 5" in in_process("upgrade", "--yes", cwd=tmp_path)
    assert "no problems" in in_process("doctor", cwd=tmp_path)
    assert "is in the queue" in in_process("submit", "search.toml", cwd=tmp_path)
    assert "4/4 trials, done" in in_process("sweep", "search.toml", cwd=tmp_path)
    assert in_process("queue", "--json", cwd=tmp_path) == "[]\n"
    assert "same" in in_process("replay", "search", 0, cwd=tmp_path)
    assert "search" in in_process("compare", "search", cwd=tmp_path)
    assert "has all of its trials already" in in_process("submit", "search.toml", cwd=tmp_path)
