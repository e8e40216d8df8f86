"""Trials and epochs exported as tables, from the kept studies of schema 3: columns, CSV and Parquet."""

import csv
import json
import math
import os
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow.parquet
import pytest

from optbench.cli.tables.trials import _reason
from optbench.errors import DefinitionError
from optbench.exports.tables import check_table_path, encode_table, epoch_columns, trial_columns
from optbench.storage import curves, find_study, open_storage, trials
from tests.conftest import ROOT
from tests.test_cli import optbench


@pytest.fixture
def tables(kept_folder):
    """A function that returns a study's trial records, and its trials and epochs as columns."""
    storage = open_storage(f"sqlite:///{kept_folder}/storage/optbench.db")

    def of(name):
        study = find_study(storage, name)
        records = trials(storage, study.study_id)
        return records, trial_columns(records), epoch_columns(records, curves(storage, study.study_id))

    yield of
    storage.close()


@pytest.mark.parametrize("name", ["search", "rival", "fixed", "unfinished"])
def test_every_trial_and_every_epoch_is_a_row(name, tables):
    records, of_trials, of_epochs = tables(name)
    assert {len(cells) for cells in of_trials.values()} == {len(records)}
    assert {len(cells) for cells in of_epochs.values()} == {sum(record.epochs for record in records)}
    assert of_trials["trial"] == [record.number for record in records]
    assert of_trials["seed"] == [record.seed for record in records]
    for record in records:
        own = [s for n, s in zip(of_epochs["trial"], of_epochs["seconds"], strict=True) if n == record.number]
        assert of_trials["seconds"][record.number] == pytest.approx(sum(own))
        assert of_trials["epochs"][record.number] == len(own)
        for hyperparameter, value in record.hyperparameters.items():
            assert of_trials[hyperparameter][record.number] == value


def test_an_interrupted_trial_has_its_reason_and_its_worker_and_no_value(tables):
    _, of_trials, _ = tables("unfinished")
    number = next(n for n, reason in enumerate(of_trials["reason"]) if reason)
    assert of_trials["reason"][number] == "interrupted"
    assert of_trials["worker"][number]
    assert of_trials["value"][number] is None
    assert of_trials["started"][number] <= of_trials["ended"][number]
    assert of_trials["ended"][number].tzinfo is UTC


def test_csv_and_parquet_hold_the_same_numbers_in_full_precision(kept_folder, tables):
    optbench("export", "search", "--trials", "t.csv", "--epochs", "e.csv", cwd=kept_folder)
    out = optbench("export", "search", "--trials", "t.parquet", "--epochs", "e.parquet", cwd=kept_folder)
    records, of_trials, of_epochs = tables("search")
    assert out.splitlines()[0] == f"{len(records)} trials written to t.parquet"
    for file, columns in (("t", of_trials), ("e", of_epochs)):
        parquet = pyarrow.parquet.read_table(kept_folder / f"{file}.parquet")
        assert comparable(parquet.to_pydict()) == comparable(columns)
        with (kept_folder / f"{file}.csv").open(newline="") as text:
            rows = list(csv.DictReader(text))
        assert list(rows[0]) == list(columns)
        for name in ("learning_rate", "value", "train_accuracy", "seconds"):
            for row, cell in zip(rows, columns.get(name, []), strict=False):
                assert row[name] == ("" if cell is None else repr(cell))


def comparable(columns):
    """The columns with "nan" in place of NaN, so that they can be compared."""
    return {name: ["nan" if cell != cell else cell for cell in cells] for name, cells in columns.items()}


def test_tables_hold_nan_quotes_newlines_mixed_types_and_times():
    columns = {"loss": [math.nan, 1e-300], "text": ['a, "b"\nc', None], "mixed": ["adam", 3], "at": [None, at()]}
    parquet = pyarrow.parquet.read_table(pyarrow.BufferReader(encode_table(columns, path("x.parquet"))))
    assert parquet.column("mixed").to_pylist() == ["adam", "3"]
    assert parquet.column("loss").to_pylist()[1] == 1e-300
    header, first, second = csv.reader(encode_table(columns, path("x.CSV")).decode().splitlines(keepends=True))
    assert header == list(columns)
    assert first == ["nan", 'a, "b"\nc', "adam", ""]
    assert second == ["1e-300", "", "3", "2026-01-02T03:04:05+00:00"]


def at():
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def path(name):
    return ROOT / name


def test_an_unknown_suffix_is_refused_before_anything_is_read():
    with pytest.raises(DefinitionError, match=r"--trials .*x.xlsx; expected a file that ends in .csv or .parquet"):
        check_table_path(path("x.xlsx"), "--trials")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trials", "t.xlsx"], "--trials t.xlsx; expected a file that ends in .csv or .parquet"),
        (["--trials", "t.csv", "--top", "3"], "--trials t.csv writes every trial; expected no --trial"),
        (["--epochs", "none/e.csv"], "there is no folder"),
        (["--model", "none/best.keras"], "there is no folder"),
        (["-o", "none/best.json"], "there is no folder"),
        (["-o", "storage"], "is a folder; expected the name of a file"),
    ],
)
def test_an_export_that_cannot_be_written_is_refused_in_one_line(options, message, kept_folder):
    output = optbench("export", "search", *options, cwd=kept_folder, code=2)
    assert message in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("words", [["report", "search", "rival", "-o"], ["compare", "search", "rival", "--report"]])
def test_a_report_that_cannot_be_written_is_refused_before_the_comparison(words, kept_folder):
    output = optbench(*words, "none/page.html", cwd=kept_folder, code=2)
    folder = kept_folder / "none"
    assert output.splitlines() == [
        f"optbench: {folder}/page.html cannot be written: there is no folder {folder}; make it, or choose another file"
    ]


def test_show_json_gives_the_worker_and_the_seconds_of_a_trial(kept_folder):
    trial = json.loads(optbench("show", "search", "--json", cwd=kept_folder))["top"][0]
    assert trial["worker"]
    assert trial["seconds"] > 0
    assert trial["started"] <= trial["ended"]


def test_a_trial_prints_as_one_short_line(tables):
    records, _, _ = tables("search")
    trial = next(record for record in records if record.state == "complete")
    settings = ", ".join(f"{name}={value:.4g}" for name, value in trial.hyperparameters.items())
    assert str(trial) == (
        f"<trial {trial.number}: complete after {trial.epochs} epochs at {100 * trial.value:.2f} %, "
        f"{trial.optimizer}, {settings}>"
    )


def test_the_reason_of_an_interrupted_trial_is_explained(tables):
    records, _, _ = tables("unfinished")
    stopped = next(record for record in records if record.reason == "interrupted")
    assert _reason(stopped) == "Ctrl-C, SIGTERM or --timeout stopped its worker"


def test_output_into_a_pipe_has_no_width_unless_the_environment_sets_one(kept_folder):
    def studies(**environment):
        command = [sys.executable, "-m", "optbench", "studies"]
        plain = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
        run = subprocess.run(command, capture_output=True, text=True, cwd=kept_folder, env=plain | environment)
        return run.stdout

    assert "too narrow" not in studies()
    assert "60 columns are too narrow for" in studies(COLUMNS="60")
