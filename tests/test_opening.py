"""SQLite files: opening, refusing foreign or damaged files, backups, upgrades, and files that vanish during use."""

import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import optuna
import pytest
from sqlalchemy import make_url, select

from optbench.errors import StorageError
from optbench.storage import (
    Writer,
    check,
    count_evaluations,
    curve,
    curves,
    engine,
    find_study,
    open_storage,
    open_study,
    trials,
)
from optbench.storage.check import look
from optbench.storage.doctor import examine
from optbench.storage.schema import epochs
from optbench.storage.upgrade import upgrade
from optbench.storage.upkeep import backup
from tests.conftest import KEPT
from tests.test_storage import HELD, claim, complete, epoch, together

DATA = KEPT.parent  # first.db was made by the first optbench with a database, optuna31.db by Optuna 3.1


@pytest.fixture
def file(tmp_path):
    return tmp_path / "study.db"


@pytest.fixture
def storage(file):
    opened = open_storage(f"sqlite:///{file}", create=True)
    yield opened
    opened.close()


@pytest.fixture
def writer(storage):
    study_id, _ = open_study(storage, "s", "validation accuracy", HELD)
    return Writer(storage, study_id, "s")


def test_a_new_file_has_a_write_ahead_log_and_foreign_keys(storage):
    with storage.engine.connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "foreign_keys")]
    assert pragmas == ["wal", 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nosql://x", "is neither a file nor a URL of a known kind"),
        ("sqlite://", "is in memory"),
        ("sqlite:////proc/nowhere/x.db", "cannot be made|not a folder that can be written"),
    ],
)
def test_urls_that_cannot_be_opened_are_refused(given, message):
    with pytest.raises(StorageError, match=message):
        open_storage(given, create=True)


def test_a_file_that_is_no_database_is_refused_and_left_alone(file):
    file.write_text("not a database, but long enough")
    with pytest.raises(StorageError, match="is not an SQLite database"):
        open_storage(f"sqlite:///{file}", create=True)
    assert file.read_text() == "not a database, but long enough"


def test_an_empty_file_becomes_a_database(file):
    file.touch()
    open_storage(f"sqlite:///{file}", create=True).close()
    open_storage(f"sqlite:///{file}").close()


def test_reading_a_missing_database_creates_nothing(tmp_path):
    with pytest.raises(StorageError, match="no database at"):
        open_storage(f"sqlite:///{tmp_path}/none/x.db")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("first.db", "has the schema 1 of an older optbench; `optbench upgrade --storage sqlite:////.*` keeps a copy"),
        ("optuna31.db", "has the schema v3.0.0.d of an older Optuna; `optbench upgrade --storage"),
    ],
)
def test_older_databases_are_refused_with_the_command_that_upgrades_them(name, message, tmp_path):
    file = tmp_path / name
    shutil.copy(DATA / name, file)
    for create in (True, False):
        with pytest.raises(StorageError, match=message):
            open_storage(f"sqlite:///{file}", create)
    assert file.read_bytes() == (DATA / name).read_bytes()
    done, copy = upgrade(f"sqlite:///{file}")
    assert done == "now has schema 5"
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(name)] == []
    with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(DATA / name)) as kept:
        assert list(old.iterdump()) == list(kept.iterdump())
    storage = open_storage(f"sqlite:///{file}")
    assert examine(storage) == []
    storage.close()
    assert upgrade(f"sqlite:///{file}") == ("is up to date already", None)


def test_a_database_that_is_newer_or_in_use_is_not_upgraded(file, storage, writer):
    def set_versions(ours, revision):
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("UPDATE optbench_schema SET version = ?", (ours,))
            other.execute("UPDATE alembic_version SET version_num = ?", (revision,))

    revision = look(check(f"sqlite:///{file}")).optuna
    for ours, theirs, message in [
        (99, "v3.0.0.d", "newer optbench"),
        (1, "v99", "newer Optuna"),
        (4, "v3.0.0.d", "has 1 live worker; stop their sweeps first"),
    ]:
        set_versions(ours, theirs)
        with pytest.raises(StorageError, match=message):
            upgrade(f"sqlite:///{file}")
    set_versions(4, revision)
    assert [path.name for path in file.parent.iterdir() if "before" in path.name] == []


def test_a_second_upgrade_keeps_a_second_copy(tmp_path):
    file = tmp_path / "first.db"
    copies = []
    for _ in range(2):
        shutil.copy(DATA / "first.db", file)
        copies.append(upgrade(f"sqlite:///{file}")[1].name)
    assert copies == ["first.db.before-schema-5", "first.db.before-schema-5-2"]


def test_several_threads_may_create_the_tables_of_an_empty_file_at_once(file):
    for attempt in range(5):
        empty = file.with_name(f"{attempt}.db")
        empty.touch()
        together(lambda url=f"sqlite:///{empty}": open_storage(url, create=True).close(), 4)
        open_storage(f"sqlite:///{empty}").close()


def test_a_file_gets_its_write_ahead_log_once_nobody_reads_it(file):
    """SQLite refuses the switch at once, whatever the timeout of the connection is."""
    with closing(sqlite3.connect(file, check_same_thread=False)) as reader:
        reader.execute("CREATE TABLE t (x)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t")
        release = threading.Timer(0.3, reader.rollback)
        release.start()
        with closing(engine.engine_options(make_url(f"sqlite:///{file}"))["creator"]()) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        release.join()


def test_the_doctor_finds_a_damaged_file(file, storage, writer):
    for _ in range(9):
        complete(writer, length=30)
    writer.leave()
    storage.close()
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = file.read_bytes()
    file.write_bytes(whole[: -4096 * 3] + bytes(4096 * 3))
    opened = open_storage(f"sqlite:///{file}")
    assert {finding.what.split(":")[0] for finding in examine(opened)} == {"SQLite finds"}
    opened.close()


def test_studies_of_the_first_release_can_be_read_and_resumed(tmp_path):
    file = tmp_path / "first.db"
    shutil.copy(DATA / "first.db", file)
    upgrade(f"sqlite:///{file}")
    storage = open_storage(f"sqlite:///{file}")
    record = find_study(storage, "first")
    assert (record.state, record.finished, record.epochs, record.best) == ("done", 5, 10, 0.6)
    best = trials(storage, record.study_id)[4]
    assert [row.validation_accuracy for row in curve(storage, best.trial_id)][-1] == best.value
    writer = Writer(storage, record.study_id, "first")
    assert complete(writer).number == 5
    storage.close()


def test_a_backup_is_complete_although_others_write_meanwhile(file, storage, writer, tmp_path):
    over = threading.Event()

    def work():
        while not over.is_set():
            complete(writer)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        sizes = [backup(f"sqlite:///{file}", tmp_path / f"copy{n}.db") for n in range(5)]
    finally:
        over.set()
        thread.join()
    for n, size in enumerate(sizes):
        copy = tmp_path / f"copy{n}.db"
        assert copy.stat().st_size == size
        opened = open_storage(f"sqlite:///{copy}")
        broken = [finding for finding in examine(opened) if "RUNNING" not in finding.what]
        assert [finding.what for finding in broken if "total" not in finding.what] == []
        opened.close()
    with pytest.raises(StorageError, match="exists already; expected the name of a new file"):
        backup(f"sqlite:///{file}", tmp_path / "copy0.db")
    with pytest.raises(StorageError, match="cannot be written"):
        backup(f"sqlite:///{file}", tmp_path / "none" / "copy.db")


def test_a_backup_of_a_server_is_refused():
    with pytest.raises(StorageError, match="copies only SQLite files; use pg_dump"):
        backup("postgresql://me@127.0.0.1:1/x", DATA / "none.db")


@pytest.mark.parametrize("change", ["moved", "replaced", "deleted"])
def test_a_file_that_is_moved_replaced_or_deleted_is_not_written_to(change, file, storage, writer, tmp_path):
    own = claim(writer)
    if change == "deleted":
        file.unlink()
    else:
        file.rename(tmp_path / "moved.db")
    if change == "replaced":
        open_storage(f"sqlite:///{file}", create=True).close()
    with pytest.raises(StorageError, match="was moved, deleted or replaced while it was in use"):
        writer.record({own.trial_id: epoch(1, 0.5)}, {}, {})
    assert file.exists() == (change == "replaced")


def test_a_writer_waits_for_a_database_that_is_locked_for_long(file, monkeypatch):
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    storage = open_storage(f"sqlite:///{file}", create=True)
    writer = Writer(storage, open_study(storage, "s", "validation accuracy", HELD)[0], "s")
    own, outages = claim(writer), []
    with closing(sqlite3.connect(file, isolation_level=None)) as other:

        def outage(problem):
            outages.append(problem)
            if len(outages) == 2:
                other.execute("ROLLBACK")
            return True

        storage.outage = outage
        other.execute("BEGIN IMMEDIATE")
        writer.record({own.trial_id: epoch(1, 0.5)}, {}, {})
    assert [str(problem).rpartition(": ")[2] for problem in outages] == ["database is locked"] * 2 + ["None"]
    assert storage.read(lambda session: session.scalar(select(epochs.c.epoch))) == 1
    storage.close()


def test_an_upgrade_logs_the_test_set_evaluations_of_finished_trials(file, storage):
    study_id, _ = open_study(storage, "fixed", "test accuracy", HELD)
    writer = Writer(storage, study_id, "fixed")
    own = complete(writer)
    writer.leave()
    storage.close()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("DROP TABLE optbench_test_evaluations")
        other.execute("ALTER TABLE optbench_epochs RENAME COLUMN effective_lr TO rate")
        other.execute("ALTER TABLE optbench_epochs RENAME COLUMN weight_distance TO moved")
        other.execute("ALTER TABLE optbench_workers RENAME COLUMN heartbeat TO beat")
        other.execute("UPDATE optbench_schema SET version = 2")
    upgrade(f"sqlite:///{file}")
    again = open_storage(f"sqlite:///{file}")
    assert count_evaluations(again) == {"fixed": 1}
    assert trials(again, study_id)[own.number].value == 0.7
    again.close()


def test_a_database_of_schema_3_keeps_every_row_when_it_is_upgraded(tmp_path):
    file = tmp_path / "old.db"
    shutil.copy(KEPT / "optbench.db", file)
    with closing(sqlite3.connect(KEPT / "optbench.db")) as old:
        rows = old.execute("SELECT * FROM optbench_epochs ORDER BY trial_id, epoch").fetchall()
        log = old.execute('SELECT study, trial, "by", opened FROM optbench_openings ORDER BY id').fetchall()
    with pytest.raises(StorageError, match="has the schema 3 of an older optbench; `optbench upgrade --storage"):
        open_storage(f"sqlite:///{file}")
    assert upgrade(f"sqlite:///{file}") == ("now has schema 5", tmp_path / "old.db.before-schema-5")
    with closing(sqlite3.connect(file)) as new:
        query = (
            "SELECT trial_id, epoch, train_loss, train_accuracy, validation_loss, validation_accuracy, seconds, "
            "effective_lr, weight_distance FROM optbench_epochs ORDER BY trial_id, epoch"
        )
        assert new.execute(query).fetchall() == rows
        columns = "study_name, trial_number, occasion, evaluated"
        assert new.execute(f"SELECT {columns} FROM optbench_test_evaluations ORDER BY id").fetchall() == log
    storage = open_storage(f"sqlite:///{file}")
    assert examine(storage) == []
    assert find_study(storage, "search").epochs == 83
    found = {trial_id: len(rows) for trial_id, rows in curves(storage, find_study(storage, "search").study_id).items()}
    assert sum(found.values()) == 83
    assert count_evaluations(storage) == {"fixed": 4, "search/confirm": 6, "rival/confirm": 6}
    storage.close()


@pytest.mark.parametrize("given", ["results.db", "./results.db", "sub/results", "sqlite:///results.db"])
def test_a_plain_path_means_an_sqlite_file(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_storage(given, create=True).close()
    assert (tmp_path / given.removeprefix("sqlite:///")).is_file()
    open_storage(given).close()


@pytest.mark.parametrize("given", ["~/x.db", "sqlite:///~/x.db"])
def test_a_tilde_means_the_home_directory(given, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    open_storage(given, create=True).close()
    assert (tmp_path / "home" / "x.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


READING = """
import os, sys
from optbench.cli import main
writable, read_only, folder = sys.argv[1:]

def run(url):
    for command in (["show", "search"], ["export", "search"], ["studies"], ["doctor"], ["compare", "search", "rival"],
                    ["report", "search", "-o", os.path.join(folder, "page.html")]):
        sys.argv = ["optbench", *command, "--storage", url]
        try:
            main()
        except SystemExit as end:
            if end.code:
                sys.exit(f"{command}: {end.code}")

run(writable)
print("=====")
assert not os.access(read_only, os.W_OK)
run(read_only)
"""


# Root may write to any file. Without these two capabilities, file permissions apply to root as they do to users.
AS_A_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def test_reading_commands_work_on_a_read_only_file_in_a_read_only_folder(tmp_path):
    for name in ("writable", "closed", "page"):
        (tmp_path / name).mkdir()
    file = tmp_path / "closed" / "study.db"
    for copy in (tmp_path / "writable" / "study.db", file):
        shutil.copy(KEPT / "optbench.db", copy)
        upgrade(f"sqlite:///{copy}")
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    names, content = sorted(path.name for path in file.parent.iterdir()), file.read_bytes()
    file.chmod(0o444)
    file.parent.chmod(0o555)
    argv = [tmp_path / "writable" / "study.db", file, tmp_path / "page"]
    command = [*AS_A_USER, sys.executable, "-c", READING, *argv]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "page")
    file.parent.chmod(0o755)  # so that pytest can remove it
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("=====\n")
    assert second.replace(str(file), "FILE") == first.replace(str(argv[0]), "FILE")
    assert (sorted(path.name for path in file.parent.iterdir()), file.read_bytes()) == (names, content)


def test_reading_a_writable_file_read_only_leaves_nothing_behind(file, storage, writer):
    complete(writer)
    writer.leave()
    storage.close()
    names, content = sorted(path.name for path in file.parent.iterdir()), file.read_bytes()
    reading = open_storage(f"sqlite:///{file}", read_only=True)
    assert find_study(reading, "s").finished == 1
    with pytest.raises(StorageError, match="was opened read-only, and this command would write to it"):
        Writer(reading, writer.study_id, "s")
    with pytest.raises(optuna.exceptions.StorageInternalError):
        reading.optuna.set_study_user_attr(writer.study_id, "key", 1)
    reading.close()
    assert (sorted(path.name for path in file.parent.iterdir()), file.read_bytes()) == (names, content)


def test_the_optuna_storage_can_be_pickled_for_another_process(file, storage, writer):
    own = complete(writer)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get_trial(int(sys.argv[1])).value)"
    given = pickle.dumps(storage.optuna)
    done = subprocess.run([sys.executable, "-c", code, str(own.trial_id)], input=given, capture_output=True, check=True)
    assert done.stdout.split() == [b"0.7"]
    again = pickle.loads(given)
    with again.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    again.remove_session()
    again.engine.dispose()


@pytest.mark.parametrize("size", [40_000, 120_000, 200_000, 260_000, 320_000, 400_000])
def test_a_disk_that_fills_up_leaves_no_half_made_database(size, tmp_path):
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed; the test needs it to make the disk look full")
    command = ["prlimit", f"--fsize={size}", sys.executable, "-m", "optbench", "submit", "quickstart"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    file = tmp_path / "storage" / "optbench.db"
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert len(done.stderr.splitlines()) == 1
    if file.exists():
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*) FROM optbench_schema").fetchone() == (1,)
