"""Studies in MLflow and TensorBoard: read back with the programs' own readers, exported again, and refused."""

import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from optbench.exports.tracking import destination, experiment_of, mlflow_client
from optbench.scheduler.scheduler import Scheduler
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.storage import Writer, curves, find_study, open_storage, open_study, trials
from tests.commands import in_process, optbench, run_page
from tests.conftest import ROOT
from tests.filled import confirm, peak, race, run, search
from tests.test_study import epoch, finish, study_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow uses deprecated parts of SQLAlchemy
NAN = float("nan")
STATES = {
    "complete": "FINISHED",
    "pruned": "FINISHED",
    "diverged": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
    "running": "RUNNING",
}
LAST = 5
TRAINER = SimpleNamespace(name="fake", device="CPU", lanes=2, threads=None, xla=None)
NEEDS = {name: f"{name} is not installed: pip install 'optbench[{name}]'" for name in ("mlflow", "tensorboard")}


@pytest.fixture(scope="module")
def empty_mlflow(tmp_path_factory):
    """A database with MLflow's tables, which take a second to make."""
    pytest.importorskip("mlflow", reason=NEEDS["mlflow"])
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow_client.connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlflow(empty_mlflow, tmp_path, monkeypatch):
    """A client of MLflow, whose database is mlflow.db in the present folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_mlflow, "mlflow.db")
    return mlflow_client.connect(uri())


@pytest.fixture
def runs_of(tmp_path, monkeypatch):
    """A function that reads the folder runs/ as TensorBoard does: the scalars by run and tag, as steps and values."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))  # its readers load no TensorFlow
    found = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=NEEDS["tensorboard"])
    logging.getLogger("tensorboard").setLevel(logging.ERROR)

    def read():
        read = {}
        for path in sorted((tmp_path / "runs").rglob("events.out.tfevents.*")):
            events = found.EventAccumulator(str(path.parent)).Reload()
            tags = events.Tags()["scalars"]
            name = path.parent.relative_to(tmp_path / "runs").as_posix()
            read[name] = {tag: [(one.step, shown(one.value)) for one in events.Scalars(tag)] for tag in tags}
        return read

    return read


def shown(value):
    """A value as event files have it, in single precision; NaN equals nothing, not even itself."""
    return None if value != value else round(value, 6)


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


def uri():
    """MLflow's in the present folder. It keeps each URI open, so in one process a relative one would stay elsewhere."""
    return f"sqlite:///{Path('mlflow.db').resolve()}"


def to_mlflow(study):
    return in_process("export", study, "--storage", "x.db", "--to", "mlflow", uri())


def to_tensorboard(study):
    return in_process("export", study, "--storage", "x.db", "--to", "tensorboard", "runs")


def runs(client, experiment):
    """The runs of an experiment by the number of their trial."""
    held = client.get_experiment_by_name(experiment)
    found = client.search_runs([held.experiment_id], max_results=1000)
    by_number = {int(one.data.tags["optbench.number"]): one for one in found}
    assert len(by_number) == len(found)
    return by_number


def steps(client, one, metric="train_accuracy"):
    return [(point.step, point.value) for point in client.get_metric_history(one.info.run_id, metric)]


def every_state(storage):
    """A study of six trials, one in each state; the last one runs, after one epoch. Its scheduler and that job."""
    study = started(storage, search("adadelta", trials=9, epochs=2))
    for decision in (Decision.COMPLETE, Decision.PRUNED):
        finish(study, study.ask("adadelta", TRAINER), 0.5, decision, 1 + (decision is Decision.COMPLETE))
    job = study.ask("adadelta", TRAINER)
    study.record({job.number: epoch(1, 0.3, NAN)}, {job.number: Ending(Decision.DIVERGED, 0.25, 1)})
    for reason in (STOPPED, "ValueError: a | b"):
        job = study.ask("adadelta", TRAINER)
        study.record({job.number: epoch(1, 0.3)}, {})
        study.record({}, {job.number: Ending(Decision.INTERRUPTED, None, 1, reason)})
    job = study.ask("adadelta", TRAINER)
    study.record({job.number: epoch(1, 0.3)}, {})
    return study, job


def started(storage, sweep):
    """The scheduler of a new study as a sweep makes it."""
    held = {"definition": sweep.definition(), "fingerprint": sweep.fingerprint({}), "trials": sweep.trials}
    study_id, _ = open_study(storage, sweep.name, "validation accuracy", held)
    return Scheduler(sweep, Writer(storage, study_id, sweep.name))


def test_a_search_becomes_an_experiment_with_the_numbers_of_its_rows(storage, mlflow):
    run(storage, search("adadelta", trials=8), "adadelta", peak)
    study = find_study(storage, "adadelta")
    assert to_mlflow("adadelta") == (
        f"adadelta: 8 runs in the MLflow experiment 'adadelta' at {uri()}, 8 of them new; {study.epochs} new epochs\n"
    )
    found, held = runs(mlflow, "adadelta"), curves(storage, study.study_id)
    for record in trials(storage, study.study_id):
        one = found[record.number]
        assert one.data.params == {
            "optimizer": "adadelta",
            "seed": str(record.seed),
            **{name: str(value) for name, value in record.hyperparameters.items()},
        }
        curve = held[record.trial_id]
        assert steps(mlflow, one) == [(point.epoch, point.train_accuracy) for point in curve]
        assert steps(mlflow, one, "weight_distance") == [(point.epoch, point.weight_distance) for point in curve]
        assert one.data.metrics.get("value") == record.value
        assert "test_accuracy" not in one.data.metrics
        assert one.info.start_time == round(1000 * record.started.timestamp())
        assert one.info.end_time == round(1000 * record.ended.timestamp())
        assert one.data.tags["optbench.worker"] == record.worker
        assert one.data.tags["optbench.state"] == record.state
        assert one.data.tags["optbench.trial"] == f"{study.token}/{record.number}"
    tags = mlflow.get_experiment_by_name("adadelta").tags
    assert (tags["optbench.fingerprint.epochs"], tags["optbench.metric"]) == ("6", "validation accuracy")


def test_an_epoch_has_the_time_at_which_it_ended_by_the_shares_of_its_lanes(storage):
    _, job = every_state(storage)
    found = experiment_of(storage, find_study(storage, "adadelta")).runs
    record = trials(storage, find_study(storage, "adadelta").study_id)[job.number]
    assert found[job.number].steps[0].time == pytest.approx(record.started.timestamp() + 2 * 0.1)
    assert [step.time for step in found[0].steps] == [found[0].end] * 2  # made up: it ended before that


def test_states_are_those_of_the_trials_and_a_running_one_is_completed_later(storage, mlflow, runs_of):
    study, job = every_state(storage)
    assert "6 of them new; 7 new epochs" in to_mlflow("adadelta")
    assert "6 of them new; 7 new epochs" in to_tensorboard("adadelta")
    found = runs(mlflow, "adadelta")
    assert {one.data.tags["optbench.state"]: one.info.status for one in found.values()} == STATES
    assert found[LAST].info.end_time is None
    assert found[4].data.tags["optbench.reason"] == "ValueError: a | b"
    assert found[2].data.metrics["value"] == 0.25  # the accuracy of guessing
    assert "value" not in found[1].data.metrics
    assert "value" not in runs_of()["adadelta/trial-5"]
    study.record({job.number: epoch(2, 0.6)}, {job.number: Ending(Decision.COMPLETE, 0.6, 2)})
    retried = study.ask("adadelta", TRAINER)
    for export in (to_mlflow, to_tensorboard):
        assert "7 runs" in (said := export("adadelta"))
        assert "1 of them new; 1 new epoch" in said
        assert "0 of them new; 0 new epochs" in export("adadelta")
    found = runs(mlflow, "adadelta")
    assert steps(mlflow, found[LAST]) == [(1, 0.3), (2, 0.6)]
    assert (found[LAST].info.status, found[LAST].data.metrics["value"]) == ("FINISHED", 0.6)
    assert found[LAST].info.end_time is not None
    assert found[retried.number].info.status == "RUNNING"
    assert runs_of()["adadelta/trial-5"]["validation_accuracy"] == [(1, 0.3), (2, 0.6)]
    assert runs_of()["adadelta/trial-5"]["value"] == [(2, 0.6)]


def test_a_trial_whose_worker_is_dead_is_killed_and_may_run_again(storage, mlflow, tmp_path):
    _, job = every_state(storage)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        before = connection.execute("SELECT worker, heartbeat FROM optbench_workers").fetchall()
        connection.execute("UPDATE optbench_workers SET heartbeat = '2001-01-01 00:00:00.000000'")
        connection.commit()
        to_mlflow("adadelta")
        dead = runs(mlflow, "adadelta")[job.number]
        for worker, heartbeat in before:
            connection.execute("UPDATE optbench_workers SET heartbeat = ? WHERE worker = ?", (heartbeat, worker))
        connection.commit()
    assert (dead.info.status, dead.data.tags["optbench.reason"][-5:]) == ("KILLED", " died")
    to_mlflow("adadelta")
    assert runs(mlflow, "adadelta")[job.number].info.status == "RUNNING"


def test_finals_and_confirmations_are_experiments_and_only_these_see_the_test_set(storage, mlflow, runs_of):
    run(storage, search("adadelta", trials=30), "adadelta", peak)
    race(storage, "adadelta", peak)
    confirm(storage, "adadelta", 0.9, seeds=2)
    said = to_mlflow("adadelta")
    for name in ("adadelta/finals", "adadelta/confirm"):
        assert f"{name} is a study of its own: optbench export {name} --to mlflow {uri()}" in said
        to_mlflow(name)
        to_tensorboard(name)
    found, finals = runs(mlflow, "adadelta"), find_study(storage, "adadelta").finals
    winner = found[finals.winner.trial]
    assert (winner.data.tags["optbench.finals.rank"], float(winner.data.tags["optbench.finals.mean"])) == (
        "1",
        finals.winner.mean,
    )
    ranked = [number for number, one in found.items() if "optbench.finals.rank" in one.data.tags]
    assert sorted(ranked) == sorted(one.trial for one in finals.finalists)
    for number, one in runs(mlflow, "adadelta/finals").items():
        assert one.data.metrics["value"] == trials(storage, finals.study_id)[number].value
        assert one.data.tags["optbench.origin"] == "adadelta"
        assert int(one.data.tags["optbench.source_trial"]) in found
        assert "test_accuracy" not in one.data.metrics
    confirmed = runs(mlflow, "adadelta/confirm")
    assert all({"value", "validation_accuracy"}.isdisjoint(one.data.metrics) for one in confirmed.values())
    read = runs_of()
    assert all("test_accuracy" not in read[name] for name in read if name.startswith("adadelta/finals"))
    score = confirmed[0].data.metrics["test_accuracy"]
    assert read["adadelta/confirm/trial-0"]["test_accuracy"] == [(6, shown(score))]


def test_what_a_killed_export_left_is_completed(storage, mlflow, runs_of, tmp_path, monkeypatch):
    every_state(storage)
    client = type(mlflow)
    with monkeypatch.context() as patched:
        patched.setattr(client, "log_batch", lambda *_: pytest.fail("it was killed"))
        with pytest.raises(pytest.fail.Exception):
            to_mlflow("adadelta")
    assert "0 of them new" not in to_mlflow("adadelta")
    assert [steps(mlflow, one) for _, one in sorted(runs(mlflow, "adadelta").items())][:2] == [
        [(1, 0.5), (2, 0.5)],
        [(1, 0.5)],
    ]
    to_tensorboard("adadelta")
    before = runs_of()
    files = sorted((tmp_path / "runs").rglob("events.out.tfevents.*"))
    whole = [file.read_bytes() for file in files]
    for file, size in zip(files, (9, 30, 300, -1, -7, -40, 0), strict=True):
        file.write_bytes(file.read_bytes()[:size])
    to_tensorboard("adadelta")
    assert runs_of() == before
    assert [file.read_bytes() for file in files] == whole


def test_a_renamed_study_keeps_its_experiment(storage, mlflow):
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    to_mlflow("adadelta")
    in_process("rename", "adadelta", "new", "--storage", "x.db")
    assert f"2 runs in the MLflow experiment 'adadelta' at {uri()}, 0 of them new" in to_mlflow("new")
    assert mlflow.get_experiment_by_name("adadelta").tags["optbench.study"] == "new"
    assert {one.data.tags["optbench.study"] for one in runs(mlflow, "adadelta").values()} == {"new"}


def refused(to, where, study="adadelta"):
    return in_process("export", study, "--storage", "x.db", "--to", to, where, code=2)


def test_another_study_of_that_name_is_left_alone(storage, mlflow, runs_of):
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    to_tensorboard("adadelta")
    to_mlflow("adadelta")
    in_process("delete", "adadelta", "--yes", "--storage", "x.db")
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    assert "has an experiment 'adadelta' that is not this study's" in refused("mlflow", uri())
    assert "holds another study that had the name 'adadelta'" in refused("tensorboard", "runs")


def test_what_was_deleted_in_mlflow_stays_deleted(storage, mlflow):
    run(storage, search("adadelta", trials=3), "adadelta", peak)
    to_mlflow("adadelta")
    mlflow.delete_run(runs(mlflow, "adadelta")[1].info.run_id)
    assert "0 of them new; 0 new epochs" in to_mlflow("adadelta")
    assert sorted(runs(mlflow, "adadelta")) == [0, 2]
    mlflow.delete_experiment(mlflow.get_experiment_by_name("adadelta").experiment_id)
    assert "'adadelta' that was deleted; restore it there" in refused("mlflow", uri())


def test_a_study_of_another_program_is_refused(storage, mlflow):
    study_of(storage)
    assert "was not made by optbench" in refused("mlflow", uri(), "tiny")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("http://127.0.0.1:9", "--to mlflow http://127.0.0.1:9: Connection refused"),
        ("https://me:secret@127.0.0.1:9", "--to mlflow https://me:***@127.0.0.1:9: Connection refused"),
        ("http://[x", "--to mlflow http://[x: "),
        ("foo://x", "--to mlflow foo://x: "),
        ("mlruns", "--to mlflow mlruns: MLflow no longer writes to folders; expected, for example, sqlite:///"),
        ("", "--to mlflow '': MLflow no longer"),
        ("sqlite://", "is in memory and would be lost"),
        ("sqlite:///none/m.db", "there is no folder"),
        ("sqlite:///text.txt", "is not a database"),
        ("sqlite:///x.db", "--to mlflow sqlite:///x.db: that database holds studies; expected one of MLflow's own"),
        ("postgresql://me:secret@127.0.0.1:9/x", "--to mlflow: postgresql://me:***@127.0.0.1:9/x: connection failed"),
    ],
)
def test_a_wrong_uri_is_refused_in_one_line(where, message, storage, mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "text.txt").write_text("no database, but long enough to be read as one" * 99)
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    before = sorted(tmp_path.iterdir())
    text = refused("mlflow", where)
    assert message in text
    assert text.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_refused(storage, runs_of, tmp_path):
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    (tmp_path / "file").touch()
    for where in ("file", "file/x", "/proc/x"):
        text = refused("tensorboard", where)
        assert f"{where}/adadelta cannot be written: " in text
        assert text.count("\n") == 1
    assert "the folder has no name" in refused("tensorboard", " ")


def test_the_folder_of_a_study_lies_in_the_folder_that_was_given(storage, runs_of, tmp_path):
    run(storage, search("adadelta", trials=2), "../a b/..//", peak)
    to_tensorboard("../a b/..//")
    assert sorted(runs_of()) == ["__/a b/__", "__/a b/__/trial-0", "__/a b/__/trial-1"]
    assert not list(tmp_path.parent.glob("a b"))


def test_hyperparameters_and_texts_are_what_tensorboard_shows(storage, runs_of, tmp_path):
    hparams = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    every_state(storage)
    to_tensorboard("adadelta")
    for number, status in ((0, "STATUS_SUCCESS"), (3, "STATUS_FAILURE")):
        read = accumulator.EventAccumulator(str(tmp_path / f"runs/adadelta/trial-{number}")).Reload()
        content = {tag: read.SummaryMetadata(tag).plugin_data.content for tag in read.Tags()["tensors"]}
        start = hparams.parse_session_start_info_plugin_data(content[hparams.SESSION_START_INFO_TAG])
        record = trials(storage, find_study(storage, "adadelta").study_id)[number]
        given = {name: start.hparams[name].number_value for name in record.hyperparameters}
        assert given == record.hyperparameters
        assert start.hparams["optimizer"].string_value == "adadelta"
        end = hparams.parse_session_end_info_plugin_data(content[hparams.SESSION_END_INFO_TAG])
        assert f"status: {status}" in str(end)
        assert f"| state | {record.state} |" in read.Tensors("outcome")[0].tensor_proto.string_val[0].decode()
        assert f"| seed | {record.seed} |" in read.Tensors("trial")[0].tensor_proto.string_val[0].decode()


@pytest.mark.parametrize("program", ["mlflow", "tensorboard"])
def test_without_the_extra_a_line_says_what_to_type(program, storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(destination, "find_spec", lambda name: None)
    text = refused(program, "sqlite:///mlflow.db")
    assert text == f"optbench: --to {program}: {program} is not installed; type `pip install 'optbench[{program}]'`\n"
    assert sorted(tmp_path.iterdir()) == before


def test_other_options_other_programs_and_other_names_are_refused(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    assert "no such program; did you mean 'tensorboard'?" in refused("tensorbord", "runs")
    for option in (["--top", "2"], ["--trials", "t.csv"], ["--allow-code"], ["-o", "x.json"]):
        command = ["export", "adadelta", "--storage", "x.db", "--to", "tensorboard", "runs", *option]
        assert "reads the whole study from its database; expected --storage and no" in in_process(*command, code=2)
    command = "export", "adadelta", "--server", "http://127.0.0.1:1", "--to", "tensorboard", "runs"
    assert "from its database; expected --storage and no other option" in in_process(*command, code=2)
    assert "requires 2 arguments" in in_process("export", "adadelta", "--to", "tensorboard", code=2)
    monkeypatch.setattr(destination, "find_spec", lambda name: name)
    assert "no study 'adadelt' in sqlite:///x.db; did you mean 'adadelta'?" in refused("tensorboard", "runs", "adadelt")
    assert not (tmp_path / "runs").exists()


def test_the_commands_of_the_manual_work(mlflow, runs_of, tmp_path):
    page = (ROOT / "optbench/docs/exports.md").read_text().partition("## MLflow and TensorBoard")[2]
    (tmp_path / "storage").mkdir()
    with closing(open_storage(f"sqlite:///{tmp_path}/storage/optbench.db", create=True)) as storage:
        run(storage, search("quickstart", optimizer="adadelta"), "quickstart", peak)
        race(storage, "quickstart", peak)
        confirm(storage, "quickstart", 0.9, seeds=2)
    page = page.partition("## Precision")[0].replace("sqlite:///mlflow.db", uri())
    said = run_page(page, tmp_path)
    assert len(said) == 4
    assert all("of them new" in text for text in said)
    assert len(runs(mlflow, "quickstart")) == 30
    assert {name.rpartition("/")[0] for name in runs_of()} >= {"quickstart", "quickstart/confirm"}


@pytest.mark.parametrize("program", ["mlflow", "tensorboard"])
def test_no_export_loads_tensorflow(program, storage, tmp_path):
    if find_spec(program) is None:
        pytest.skip(NEEDS[program])
    run(storage, search("adadelta", trials=2), "adadelta", peak)
    where = "sqlite:///mlflow.db" if program == "mlflow" else "runs"
    code = (
        "import sys; from optbench.cli import main\n"
        f"sys.argv = ['optbench', 'export', 'adadelta', '--storage', 'x.db', '--to', {program!r}, {where!r}]\n"
        "try: main()\nexcept SystemExit as end: print('code', end.code)\n"
        "print('loaded', [name for name in ('tensorflow', 'keras', 'torch', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["code None", "loaded []"]
    assert done.stderr == ""
    assert optbench("export", "adadelta", "--storage", "x.db", "--to", program, where, cwd=tmp_path)
