"""Data whose test part is in another file or is drawn: its classes, its test part, and its missing values."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from optbench.data import scikit
from optbench.data.arrays import Raw, reading
from optbench.data.dataset import Array, Examples, Facts, named_digest, positions
from optbench.data.tables import read_file
from optbench.definition.data import DataSource, TableFile
from optbench.errors import DataError, counted

TEST = 0.2  # the fraction to test on, unless the sweep says otherwise
MAX_CLASSES = 1000
TEST_SEED = 0  # the same for every study: repeats of a sweep must not search on what others test on


def is_own(data: DataSource) -> bool:
    """Whether the data is in a file, or one of scikit-learn's tables."""
    return data.file is not None or data.name in scikit.NAMES


def is_stratified(data: DataSource) -> bool:
    """Whether every part has the classes in the same proportions."""
    return is_own(data) if data.stratify is None else data.stratify


@dataclass(frozen=True)
class Whole:
    """All examples of a data set: those to train and validate on, those to test on, and their facts."""

    training: Examples
    test: Examples
    facts: Facts

    @property
    def digest(self) -> str:
        """A short hash of everything, the test examples and the names of the classes included."""
        parts = {"training": self.training, "test": self.test}
        arrays = {f"{name} {key}": array for name, part in parts.items() for key, array in vars(part).items()}
        return named_digest({**arrays, "classes": np.array(self.facts.classes)})


def load_own(data: DataSource, data_dir: Path | None) -> Whole:
    """The examples of a table of scikit-learn, or of a file. Raises DataError."""
    if data.file is None:
        return assemble(data, scikit.table(data.name), None)
    raw, test = read_file(_found(data.file, data_dir))
    return assemble(data, raw, test)


def assemble(data: DataSource, raw: Raw, test: Raw | None) -> Whole:
    """The examples of raw inputs and targets. Without test examples, a fraction of the others is drawn for that.

    Raises DataError.
    """
    values = np.arange(len(raw.classes)) if raw.classes else _values(raw.targets, data.name)
    names = raw.classes or tuple(map(str, values.tolist()))
    if len(names) < 2:
        raise DataError(f"{data.name} has one class only, {names[0]!r}; expected two or more")
    if raw.classes is None and len(names) > MAX_CLASSES:
        raise DataError(
            f"the target of {data.name} has {len(names):,} different values; expected at most {MAX_CLASSES:,} classes; "
            "regression is not supported"
        )
    whole = Examples(_flat(raw.inputs), _labels(raw.targets, values, data.name))
    if test is None:
        fraction = TEST if data.test is None else data.test
        strata = whole.labels if is_stratified(data) else None
        kept, held_out = positions(len(whole), max(1, round(fraction * len(whole))), TEST_SEED, strata)
        training, tested = whole.take(kept), whole.take(held_out)
    elif data.test is not None:
        raise has_test(data)
    else:
        training, tested = whole, Examples(_flat(test.inputs), _labels(test.targets, values, _test_part(data)))
    facts = Facts(shape=raw.inputs.shape[1:], classes=names, examples=len(training))
    return Whole(training, tested, facts)


def _test_part(data: DataSource) -> str:
    """What messages call the test part."""
    file = data.file.test_file if data.file else None
    return f"the test part of {data.name}" if file is None else Path(file).name


def has_test(data: DataSource) -> DataError:
    """The error to raise for a fraction to test on where the data says which examples are for that."""
    return DataError(f"[data] test = {data.test}, but {data.name} has test examples of its own; leave it out")


def filled(examples: Examples, training: Array) -> Examples:
    """The examples with each missing value replaced by the mean of its feature among the inputs `training`."""
    missing = np.isnan(examples.inputs) if examples.inputs.dtype != np.uint8 else np.zeros(0, bool)
    if not missing.any():
        return examples
    held = ~np.isnan(training)
    means = np.where(held, training, 0).sum(axis=0, dtype=np.float64) / np.maximum(held.sum(axis=0), 1)
    return replace(examples, inputs=np.where(missing, means.astype(np.float32), examples.inputs))


def _found(file: TableFile, data_dir: Path | None) -> TableFile:
    """The file, in `data_dir` if there is one of its name. Raises NotPreparedError as `reading` does."""

    def located(path: str) -> str:
        if data_dir is None:
            return path
        moved = data_dir / Path(path).name
        with reading(str(moved)):
            return str(moved) if moved.is_file() else path

    return replace(file, path=located(file.path), test_file=located(file.test_file) if file.test_file else None)


def _values(targets: Array, name: str) -> Array:
    """The different targets, in order: whole numbers, texts or booleans. Raises DataError for other numbers."""
    values = np.unique(targets)
    if values.dtype.kind == "f":
        strange = values[values != np.round(values)]
        if len(strange):
            raise DataError(
                f"the target of {name} has numbers that are not whole, such as {strange[0]:g}; expected classes; "
                "regression is not supported"
            )
        return values.astype(np.int64)
    if values.dtype.kind not in "biuU":
        raise DataError(f"the target of {name} has {values.dtype} values; expected whole numbers, texts or booleans")
    return values


def _labels(targets: Array, values: Array, name: str) -> Array:
    """The position of each target among the values, int32. Raises DataError for a target that is none of them."""
    places = {value: place for place, value in enumerate(values.tolist())}
    labels = np.array([places.get(target, -1) for target in targets.tolist()], np.int32)
    strange = targets[labels < 0]
    if len(strange):
        raise DataError(
            f"{name} has {counted(len(strange), 'label')} outside its {len(values)} classes, for example {strange[0]!s}"
        )
    return labels


def _flat(inputs: Array) -> Array:
    return np.ascontiguousarray(inputs.reshape(len(inputs), -1))
