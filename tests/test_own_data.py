"""A person's own data: tables and arrays in files, scikit-learn's tables, and what is wrong with them in one line."""

import decimal
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow
import pytest
from pyarrow import csv, parquet

import optbench
from optbench.choices import Missing, Scale
from optbench.data import load, load_test
from optbench.data.scaling import scaling
from optbench.definition.data import DataSource, TableFile
from optbench.errors import DataError, DefinitionError, NotPreparedError, OptbenchError
from tests.commands import in_process, run_page
from tests.conftest import KEPT, ROOT, TINY, write_toml

PALMER = KEPT.parent / "penguins.csv"  # of three species, by Gorman, Williams and Fraser (2014), CC0
ROWS = 60
PENGUINS = {
    "species": ["Adelie", "Chinstrap", "Gentoo"] * (ROWS // 3),
    "mass": [3000.0 + 10 * (row % 3) + row for row in range(ROWS)],
    "island": ["Biscoe", "Dream"] * (ROWS // 2),
    "male": [row % 4 == 0 for row in range(ROWS)],
    "id": list(range(ROWS)),
}


def source(path, validation=0.2, **changes):
    file = {key: changes.pop(key) for key in ("target", "drop", "missing", "test_file") if key in changes}
    return DataSource.of_file(TableFile(str(path), **file), validation, **changes)


def table_file(folder, name="penguins.csv", columns=PENGUINS):
    table, path = pyarrow.table(columns), folder / name
    parquet.write_table(table, path) if path.suffix == ".parquet" else csv.write_csv(table, path)
    return path


@pytest.mark.parametrize("name", ["penguins.csv", "penguins.parquet"])
def test_a_table_has_numbers_booleans_and_texts_as_inputs_and_texts_as_classes(name, tmp_path):
    split = load(source(table_file(tmp_path, name), 0.25, target="species", drop=("id",)), 0)
    assert split.facts.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert split.facts.shape == (4,)  # mass, island twice, male
    assert (len(split.train), len(split.validation), split.facts.examples) == (36, 12, 48)
    mass, *island, male = split.train.inputs.T
    assert mass.min() >= 3000
    assert (island[0] + island[1] == 1).all()
    assert set(male) == {0, 1}
    assert split.scale is Scale.STANDARD


def test_decimals_are_numbers(tmp_path):
    exact = [decimal.Decimal(str(mass)) for mass in PENGUINS["mass"]]
    floats, decimals = (
        load(source(table_file(tmp_path, name, columns), target="species", drop=("id",)), 0).train.inputs
        for name, columns in (("f.parquet", PENGUINS), ("d.parquet", PENGUINS | {"mass": exact}))
    )
    assert (floats == decimals).all()


def test_every_part_has_the_classes_in_the_same_proportions(tmp_path):
    data = source(table_file(tmp_path), target="species", drop=("id",))
    split, test = load(data, 0), load_test(data)
    for part in (split.train, split.validation, test):
        counts = np.bincount(part.labels)
        assert counts.max() - counts.min() <= 1
    at_random = load(replace(data, stratify=False), 0)
    assert len(at_random.train) == len(split.train)


def test_the_test_part_is_the_same_for_every_seed_and_disjoint_from_the_others(tmp_path):
    data = source(table_file(tmp_path), target="species")
    test = {row.tobytes() for row in load_test(data).inputs}
    assert len(test) == 12
    for seed in (0, 1):
        split = load(data, seed)
        assert not test & {row.tobytes() for row in (*split.train.inputs, *split.validation.inputs)}


def test_a_test_file_has_the_encoding_of_the_first(tmp_path):
    other = {**PENGUINS, "island": ["Dream", "Torgersen"] * (ROWS // 2)}
    test_file = str(table_file(tmp_path, "test.csv", other))
    data = source(table_file(tmp_path), target="species", drop=("id",), test_file=test_file)
    split, test = load(data, 0), load_test(data)
    assert (split.facts.examples, len(test)) == (ROWS, ROWS)
    assert test.inputs[:2, 1:3].tolist() == [[0, 1], [0, 0]]  # Dream, and an island that is not in the first file


@pytest.mark.parametrize("name", ["test.csv", "test.parquet"])
def test_a_test_file_is_read_with_the_types_of_the_first(name, tmp_path):
    first = table_file(tmp_path, columns={"grade": ["1", "2", "A"] * 20, "kind": ["1", "b"] * 30})
    second = {"grade": ["1", "2"], "kind": ["1", "1"]} if name == "test.csv" else {"grade": [1, 2], "kind": [1, 1]}
    data = source(first, target="kind", test_file=str(table_file(tmp_path, name, second)))
    test = load_test(data)
    assert test.inputs.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert test.labels.tolist() == [0, 0]
    numbers = table_file(tmp_path, "numbers.csv", {"age": [1, 2] * 30, "kind": ["a", "b"] * 30})
    strange = table_file(tmp_path, "strange.csv", {"age": ["unknown"], "kind": ["a"]})
    with pytest.raises(DataError, match=r"strange.csv cannot be read: .*unknown"):
        load_test(source(numbers, target="kind", test_file=str(strange)))


def test_a_small_fraction_still_validates_on_one_example(tmp_path):
    assert len(load(source(table_file(tmp_path), 0.001, target="species"), 0).validation) == 1


def test_missing_numbers_in_a_dictionary_column_are_missing(tmp_path):
    column = pyarrow.array([None, 5, 7] * (ROWS // 3)).dictionary_encode()
    path = table_file(tmp_path, "d.parquet", {**PENGUINS, "mass": column})
    with pytest.raises(DataError, match=r"lacks values: mass \(20 rows\)"):
        load(source(path, target="species"), 0)


def test_missing_numbers_get_the_mean_of_the_training_part_and_missing_texts_zeros(tmp_path):
    columns = {**PENGUINS, "mass": [None, *PENGUINS["mass"][1:]], "island": [None, *PENGUINS["island"][1:]]}
    path = table_file(tmp_path, "gaps.parquet", columns)
    split = load(source(path, target="species", missing=Missing.MEAN), 0)
    whole = np.concatenate([split.train.inputs, split.validation.inputs])
    (row,) = whole[(whole[:, 1:3] == 0).all(axis=1)]
    known = split.train.inputs[split.train.inputs[:, 0] != row[0], 0]
    assert row[0] == pytest.approx(known.mean())
    dropped = load(source(path, target="species", missing=Missing.DROP), 0)
    assert dropped.facts.examples == 47


def test_arrays_keep_their_shape_and_their_own_test_part(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "x.npz"
    pixels, labels = rng.integers(0, 256, (40, 4, 5), np.uint8), np.arange(40) % 2 + 3
    np.savez(path, x=pixels, y=labels, x_test=pixels[:6], y_test=labels[:6])
    split = load(source(path, 10), 0)
    assert (split.facts.shape, split.facts.classes, split.scale) == ((4, 5), ("3", "4"), Scale.UNIT)
    assert split.train.inputs.dtype == np.uint8
    assert len(load_test(source(path, 10))) == 6


def test_standard_scaling_takes_the_training_part_only():
    inputs = np.array([[1, 5], [3, 5]], np.float32)
    found = scaling(Scale.STANDARD, inputs)
    assert (found.shift.tolist(), found.divisor.tolist()) == ([2, 5], [1, 1])
    assert scaling(Scale.UNIT, inputs).divisor == 255
    assert scaling(Scale.NONE, inputs).divisor == 1


@pytest.mark.parametrize(("name", "shape", "classes"), [("iris", 4, 3), ("wine", 13, 3), ("breast_cancer", 30, 2)])
def test_scikit_learns_tables_need_no_network(name, shape, classes):
    split = load(DataSource(name, 0.2), 0)
    assert (split.facts.shape, len(split.facts.classes)) == ((shape,), classes)
    assert split.digests == load(DataSource(name, 0.2), 0).digests


WRONG = {
    "no target": ({}, {}, r"target is missing; expected the column of .* one of species, mass, island, male, id"),
    "unknown target": ({}, {"target": "specie"}, "target: .* has no column 'specie'; did you mean 'species'?"),
    "unknown drop": ({}, {"target": "species", "drop": ("ids",)}, "drop: .* has no column 'ids'; did you mean 'id'?"),
    "missing": (
        {"mass": [None] * 2 + PENGUINS["mass"][2:]},
        {"target": "species"},
        r'lacks values: mass \(2 rows\); expected \[data\] missing = "mean", or missing = "drop"',
    ),
    "missing target": (
        {"species": [None, *PENGUINS["species"][1:]]},
        {"target": "species", "missing": Missing.MEAN},
        r'lacks values: species \(1 row\); expected \[data\] missing = "drop"',
    ),
    "many texts": (
        {"name": [f"p{row:03d}" for row in range(120)], "species": ["a", "b"] * 60},
        {"target": "species"},
        r"the text column 'name' has 120 different values; expected at most 100; .* drop = \[\"name\"\]",
    ),
    "dates": (
        {"day": pyarrow.array([0] * ROWS, pyarrow.date32())},
        {"target": "species"},
        r"the column 'day' has date32\[day\] values; expected numbers, booleans or texts; .* drop = \[\"day\"\]",
    ),
    "infinite": (
        {"mass": [float("inf")] * ROWS},
        {"target": "species"},
        "the column 'mass' has infinite values, or some beyond float32's range; .*drop",
    ),
    "no row": (
        {"mass": [None, 1.0] * (ROWS // 2), "id": [1, None] * (ROWS // 2)},
        {"target": "species", "missing": Missing.DROP},
        "has no examples: every row lacks a value",
    ),
    "no value": (
        {"mass": pyarrow.nulls(ROWS)},
        {"target": "species", "missing": Missing.MEAN},
        r"the column 'mass' has no values; leave it out: \[data\] drop = \[\"mass\"\]",
    ),
    "target dropped": ({}, {"target": "species", "drop": ("species",)}, "drop has the target 'species'"),
    "huge": (
        {"mass": [1e300] * ROWS},
        {"target": "species"},
        "the column 'mass' has infinite values, or some beyond float32's range",
    ),
    "one class": ({"species": ["a"] * ROWS}, {"target": "species"}, "has one class only, 'a'; expected two or more"),
    "fractions": ({"mass": [0.5] * ROWS}, {"target": "mass"}, "not whole, such as 0.5; .*regression is not supported"),
    "rare class": (
        {"species": ["a", "b"] * 29 + ["a", "c"]},
        {"target": "species", "stratify": False, "validation": 47},
        "no training example has the class",
    ),
    "two tests": ({}, {"target": "species", "test": 0.2, "test_file": "x.csv"}, "test = 0.2 beside a test_file"),
    "list target": (
        {"species": [["a"]] * ROWS},
        {"target": "species"},
        "the target 'species' has list<.*> values; expected whole numbers, texts or booleans",
    ),
    "many classes": (
        {"key": list(range(1200)), "x": [0.0] * 1200},
        {"target": "key"},
        "has 1,200 different values; expected at most 1,000 classes; regression is not supported",
    ),
    "all dropped": (
        {},
        {"target": "species", "drop": ("mass", "island", "male", "id")},
        "has no column beside the target 'species' that is not dropped",
    ),
    "all validation": ({}, {"target": "species", "validation": 48}, "has 48 training examples; expected fewer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_table_is_said_in_one_line(case, tmp_path):
    columns, changes, message = WRONG[case]
    alone = any(len(column) != ROWS for column in columns.values())
    path = table_file(tmp_path, "t.parquet", columns if alone else {**PENGUINS, **columns})
    with pytest.raises(DataError, match=message) as caught:
        load(source(path, **{"validation": 0.2} | changes), 0)
    assert len(str(caught.value).splitlines()) == 1


X, Y = np.zeros((6, 2)), np.arange(6) % 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "has the arrays a; expected x and y"),
        ({"x": X, "y": Y[:5]}, r"x has the shape \(6, 2\) and y \(5,\); expected \[n, ...\] and \[n\]"),
        (
            {"x": np.full((6, 2), np.nan), "y": Y},
            "x has 12 numbers beyond float32, infinite or NaN",
        ),
        ({"x": X.astype(str), "y": Y}, "x has <U32 values; expected numbers"),
        ({"x": X, "y": Y, "x_test": X}, "has only one of x_test and y_test; expected both or none"),
        (
            {"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y},
            r"x_test has inputs of the shape \(1,\), x of \(2,\); expected the same",
        ),
        (
            {"x": X.astype(np.uint8), "y": Y, "x_test": X, "y_test": Y},
            "x_test has inputs of values of the type float32, x of uint8; expected the same",
        ),
        ({"x": X, "y": Y, "classes": ["a", "a"]}, "classes are a, a; expected a list of different names"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "the test part of x has 3 labels outside its 2 classes"),
        ({"x": X[:0], "y": Y[:0]}, "has no examples"),
        ({"x": X, "y": Y, "x_test": X[:0], "y_test": Y[:0]}, "x.npz: the test part has no examples"),
        ({"x": X[:, :0], "y": Y}, "so that its examples have no features"),
        ({"x": X, "y": [0, 1, np.nan] * 2}, r"y lacks 2 labels \(NaN\); leave these examples out"),
        ({"x": X, "y": Y * 0}, "has one class only, 0; expected two or more"),
        ({"x": X, "y": np.array(["a", "b"] * 3, object)}, r"y holds Python objects; .*: y.astype\(str\)"),
    ],
)
def test_what_is_wrong_with_arrays_is_said_in_one_line(arrays, message, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load(source(tmp_path / "x.npz", 2), 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ä,y\n1,a\n2,b\n".encode("latin-1"), "is not UTF-8 text; save it as UTF-8"),
        ("a,y\n1,a\n2,b\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"a;b;y\n1;2;a\n", "has semicolons between its columns; expected commas"),
        (b"a\tb\ty\n1\t2\ta\n", "has tabs between its columns; expected commas"),
        (b"a,a,y\n1,2,x\n", "has several columns named 'a'"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_wrong_with_a_csv_file_is_said_in_one_line(content, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load(source(tmp_path / "t.csv", target="y"), 0)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_that_is_named_like_a_file_is_called_a_folder(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match=r"t.csv is a folder; expected one of its files"):
        load(source(tmp_path / "t.csv", target="y"), 0)


def test_a_test_file_with_another_class_is_named(tmp_path):
    (tmp_path / "train.csv").write_text("a,y\n" + "1,u\n2,v\n" * 10)
    (tmp_path / "new.csv").write_text("a,y\n1,w\n")
    data = source(tmp_path / "train.csv", target="y", test_file=str(tmp_path / "new.csv"))
    with pytest.raises(DataError, match=r"new.csv has 1 label outside its 2 classes, for example w"):
        load(data, 0)


def test_a_parquet_file_with_two_columns_of_one_name_is_refused(tmp_path):
    parquet.write_table(pyarrow.table([[1], [2], ["x"]], names=["a", "a", "y"]), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="several columns named 'a'"):
        load(source(tmp_path / "t.parquet", target="y"), 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"file": np.zeros((400, 30)), "validation": 0.2},
            "expected a path in quotes, or in Python an optbench.Dataset",
        ),
        ({"validation": 0.2}, "has neither name nor file; expected one of them"),
        ({"name": "iris", "validation": 1.0}, "validation = 1.0; expected a number of examples, or a fraction below 1"),
    ],
)
def test_wrong_data_of_a_sweep_is_said_in_one_short_line(data, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        optbench.load(TINY | {"data": data})
    assert len(str(caught.value)) < 500
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    np.savez(tmp_path / "cut.npz", x=X, y=Y)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:100])
    for name, message in [
        ("x.npz", "is not an .npz file, or a damaged one"),
        ("cut.npz", "is not an .npz file, or a damaged one"),
        ("x.parquet", "cannot be read"),
        ("y.csv", "there is no file"),
    ]:
        with pytest.raises(DataError, match=message):
            load(source(tmp_path / name, **({} if name.endswith(".npz") else {"target": "species"})), 0)
    with pytest.raises(DataError, match=r"expected a file that ends with .csv, .parquet, .npz"):
        load(source(tmp_path / "x.xlsx", target="species"), 0)


@contextmanager
def not_root():
    """Root may read every file, so for so long this process belongs to nobody."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", ["x.npz", "x.csv", "x.parquet"])
def test_a_file_that_this_machine_refuses_to_read_is_left_to_others_and_a_damaged_one_is_not(name):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        Path(folder).chmod(0o755)
        path = Path(folder, name)
        path.write_bytes(b"PK\x03\x04\xff\xff")
        data = source(path, **({} if name.endswith(".npz") else {"target": "species"}))
        with pytest.raises(DataError) as caught:
            load(data, 0)
        assert not isinstance(caught.value, NotPreparedError)
        path.chmod(0)
        message = f"{path} cannot be read on this machine: Permission denied"
        with not_root(), pytest.raises(NotPreparedError, match=re.escape(message) + "$"):
            load(data, 0)
        Path(folder).chmod(0)
        with not_root(), pytest.raises(NotPreparedError, match=re.escape(message) + "$"):
            load(data, 0)
        with not_root(), pytest.raises(NotPreparedError, match=re.escape(message) + "$"):
            load(data, 0, Path(folder))
        Path(folder).chmod(0o755)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table, a sweep of it that was run, and its database."""
    folder = tmp_path_factory.mktemp("own")
    table_file(folder)
    data = {"file": "penguins.csv", "target": "species", "drop": ["id"], "validation": 0.25}
    write_toml(folder / "penguins.toml", TINY | {"name": "penguins", "data": data, "batch": 8})
    in_process("sweep", "penguins.toml", cwd=folder)
    return folder


def test_a_study_of_own_data_is_confirmed_replayed_and_saved(folder):
    shown = in_process("show", "penguins", cwd=folder)
    assert "6/6 trials, done" in shown
    assert "48 examples of shape 4 in 3 classes: Adelie, Chinstrap, Gentoo" in shown
    in_process("confirm", "penguins", "--seeds", 2, cwd=folder)
    assert "of 12 test examples" in in_process("compare", "penguins", cwd=folder)
    assert "compared exactly" in in_process("replay", "penguins", 0, cwd=folder)
    assert "as stored" in in_process("export", "penguins", "--model", "m.keras", cwd=folder)
    import keras

    split = load(source(folder / "penguins.csv", 0.25, target="species", drop=("id",)), 0)
    assert keras.models.load_model(folder / "m.keras")(split.train.inputs).shape == (36, 3)
    script = in_process("export", "penguins", "--format", "python", cwd=folder)
    assert "optbench.load_data({" in script
    schema = json.loads((ROOT / "optbench/exports/schema.json").read_text())
    jsonschema.validate(json.loads(in_process("export", "penguins", cwd=folder)), schema)


def test_a_trial_that_diverged_counts_as_guessing_among_its_own_classes(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = optbench.load(folder / "penguins.toml")
    fixed = {"optimizer": "sgd", "learning_rate": 1e30, "label": "too large", "seeds": [0]}
    data = {"file": sweep.data.file.path, "target": "species", "drop": ["id"], "validation": 12}
    study = optbench.run({"name": "far", "epochs": 2, "batch": 8, "data": data, "trial": [fixed]}, progress=False)
    (trial,) = study.trials
    assert (trial.state, trial.value) == ("diverged", pytest.approx(1 / 3))


def test_a_file_that_moved_is_the_same_data_and_one_that_changed_is_refused(folder, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "renamed.csv").write_bytes((folder / "penguins.csv").read_bytes())
    text = (folder / "penguins.toml").read_text()
    (moved / "penguins.toml").write_text(text.replace("penguins.csv", "renamed.csv"))
    url = f"sqlite:///{folder}/storage/optbench.db"
    assert "6/6 trials, done" in in_process("sweep", "penguins.toml", "--storage", url, cwd=moved)
    aside = (folder / "penguins.csv").rename(folder / "aside.csv")
    try:
        command = ("replay", "penguins", 0, "--storage", url)
        assert "if it moved, name the folder that it is in now: --data-dir" in in_process(*command, code=2)
        (moved / "penguins.csv").write_bytes(aside.read_bytes())
        assert "compared exactly" in in_process(*command, "--data-dir", moved)
    finally:
        aside.rename(folder / "penguins.csv")
    with (moved / "renamed.csv").open("a") as file:
        file.write("Adelie,3000,Dream,false,99\n")
    error = in_process("sweep", "penguins.toml", "--storage", url, cwd=moved, code=2)
    assert "has other data: data.sha256 is '" in error
    assert "restore the data, or sweep the new data under another name, with --study" in error
    (moved / "penguins.csv").write_bytes((moved / "renamed.csv").read_bytes())
    assert error == in_process("resume", "penguins", "--storage", url, "--data-dir", ".", cwd=moved, code=2)
    error = in_process("confirm", "penguins", "--storage", url, "--data-dir", ".", "--seeds", 3, cwd=moved, code=2)
    assert "the data differs from that of the search 'penguins': data.sha256 is '" in error


def test_data_show_prints_what_a_sweep_would_see(folder):
    out = in_process("data", "show", "penguins.csv", "--target", "species", "--drop", "id", cwd=folder)
    assert "3 classes, so guessing uniformly reaches 33.3 %" in out
    assert "inputs of shape 4, float32, standardized by the training part" in out
    split = load(source(folder / "penguins.csv", 0.2, target="species", drop=("id",)), 0)
    test = load_test(source(folder / "penguins.csv", 0.2, target="species", drop=("id",)))
    size = sum(part.inputs.nbytes for part in (split.train, split.validation, test))
    assert f"{size:,} bytes in memory" in out
    for key, value in split.digests.items():
        assert f"{key} {value}" in " ".join(out.split())
    plain = json.loads(in_process("data", "show", "penguins.toml", "--json", cwd=folder))
    assert plain["counts"] == {"training": [12, 12, 12], "validation": [4, 4, 4], "test": [4, 4, 4]}
    assert (plain["shape"], plain["classes"]) == ([4], ["Adelie", "Chinstrap", "Gentoo"])
    assert "--target is for files" in in_process("data", "show", "iris", "--target", "x", cwd=folder, code=2)
    (folder / "people.xlsx").write_text("")
    assert "people.xlsx is a file of another kind" in in_process("data", "show", "people.xlsx", cwd=folder, code=2)


def test_the_manuals_example_runs_as_it_is_written(tmp_path):
    shutil.copy(PALMER, tmp_path / "penguins.csv")
    page = (ROOT / "optbench/docs/data.md").read_text()
    outputs = run_page(page, tmp_path, toml="penguins.toml penguins-sgd.toml")
    assert len(outputs) == 8
    assert "inputs of shape 10, float32" in outputs[0]
    assert "16/16 trials, done" in outputs[1]
    assert "penguins: " in outputs[3]
    assert "penguins-sgd" in outputs[6]
    assert "over 10 paired seeds" in outputs[6]
    assert (tmp_path / "penguins.html").stat().st_size > 100_000


def test_the_manual_shows_what_it_prints_of_the_palmer_penguins(tmp_path):
    shutil.copy(PALMER, tmp_path / "penguins.csv")
    shown = in_process("data", "show", "penguins.csv", "--target", "species", "--missing", "drop", cwd=tmp_path)
    page = (ROOT / "optbench/docs/data.md").read_text()
    (printed,) = re.findall(r"^```text\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert shown.split() == printed.split()
    refused = in_process("data", "show", "penguins.csv", "--target", "species", cwd=tmp_path, code=2)
    assert "missing" in refused


def test_the_arrays_of_a_data_set_are_loaded_as_networks_get_them(tmp_path, monkeypatch):
    found = optbench.load_data({"name": "wine", "validation": 0.3, "test": 0.25})
    assert (found.x.shape, found.x_test.shape) == ((134, 13), (44, 13))
    assert found.x.std(axis=0) == pytest.approx([1] * 13, abs=1e-4)
    assert {*found.y} == {*found.y_test} == {*range(len(found.classes))}
    images = optbench.load_data({"name": "digits"})
    assert (images.x.shape, images.x_test.shape, images.x.max()) == ((1500, 28, 28), (297, 28, 28), 1.0)
    monkeypatch.chdir(tmp_path)
    mine = optbench.load_data({"file": optbench.Dataset(found.x, found.y), "scale": "none"})
    assert len(mine.x) + len(mine.x_test) == 134
    for given, message in [
        ({"nme": "wine"}, "unknown key 'nme'"),
        ({"file": str(tmp_path / "x.csv"), "target": "y"}, "there is no file"),
        (["wine"], "expected a table of keys"),
    ]:
        with pytest.raises(OptbenchError, match=message):
            optbench.load_data(given)


def test_the_manuals_arrays_are_trained_as_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "optbench/docs/data.md").read_text(), re.DOTALL | re.MULTILINE
    )
    exec(block, {})
    study = optbench.open_study("mine")
    assert study.state == "done"
    assert study.best.value > 0.8
    assert "2 classes" in in_process("data", "show", *map(str, tmp_path.glob("storage/data/*.npz")))


def test_a_data_set_is_shown_by_its_name():
    shown = in_process("data", "show", "iris")
    assert "iris: inputs of shape 4, float32" in shown
    assert "setosa" in shown


def test_arrays_in_python_are_kept_in_a_file_so_that_the_study_outlives_the_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype(np.float32)
    dataset = optbench.Dataset(x, (x[:, 0] > 0).astype(int), classes=["low", "high"])
    sweep = TINY | {"name": "arrays", "data": {"file": dataset, "validation": 24}, "batch": 8}
    study = optbench.run(sweep, progress=False)
    assert len(study.trials) == 6
    assert study.sweep.data.file.path == str(dataset.save())
    shown = json.loads(in_process("data", "show", dataset.save(), "--json", cwd=tmp_path))
    assert (shown["classes"], shown["examples"], shown["test"]) == (["low", "high"], 96, 24)
    assert "compared exactly" in in_process("replay", "arrays", 0, cwd=tmp_path)


@pytest.mark.filterwarnings("error")
def test_arrays_in_python_that_do_not_belong_together_are_refused(tmp_path):
    assert optbench.Dataset(X, np.array(["a", "b"] * 3, object)).arrays["y"].dtype.kind == "U"
    flat, square = (optbench.Dataset(np.zeros((6, *shape)), Y) for shape in ((4,), (2, 2)))
    assert flat.save(tmp_path) != square.save(tmp_path)
    for arguments, message in [
        ({"y": Y[:5]}, r"y \(5,\); expected"),
        ({"y": Y, "x_test": X}, "only one of x_test and y_test"),
        ({"y": ["a", "b", np.nan] * 2}, "y has values of the types float, str; expected texts, whole numbers or"),
        ({"y": np.array(["a", None, "b"] * 2, object)}, "y has values of the types NoneType, str; expected"),
        ({"x": [[1], [1, 2], [], [3], [4], [5]], "y": Y}, "Dataset: x is no array: "),
        ({"y": [[1], [1, 2], [], [3], [4], [5]]}, "y has values of the types list; expected"),
        ({"x": X + 1e300, "y": Y}, "x has 12 numbers beyond float32, infinite or NaN"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            optbench.Dataset(**{"x": X} | arguments)
        assert len(str(caught.value).splitlines()) == 1
    whole = optbench.Dataset(X, np.array([np.int64(3), 4] * 3, object))
    assert whole.arrays["y"].tolist() == [3, 4] * 3
    assert optbench.Dataset(X, [0, 1.0] * 3).arrays["y"].tolist() == [0, 1] * 3
    assert whole.save(tmp_path).is_file()


def test_names_may_be_given_for_any_number_of_classes(tmp_path):
    names = [f"class {n}" for n in range(1200)]
    dataset = optbench.Dataset(np.zeros((3600, 2)), np.arange(3600) % 1200, classes=names)
    split = load(source(dataset.save(tmp_path), 0.2), 0)
    assert split.facts.classes == tuple(names)
