"""MNIST and other data sets of tensorflow-datasets that have one dense input and a label of classes."""

import fcntl
import logging
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from optbench.data.arrays import UNREADABLE, Raw
from optbench.data.dataset import Examples, Facts
from optbench.data.scikit import NAMES
from optbench.errors import DataError, NotPreparedError, OutputError, counted, nearest, tolerated
from optbench.files import make

log = logging.getLogger(__name__)
FAMILY = ("fashion_mnist", "kmnist", "mnist")  # which have the same original files
SUGGESTED = ("breast_cancer", "digits", "iris", "wine", *FAMILY)  # of all data sets that fit
KEPT = "optbench-1-{part}.npz"  # the number says how examples are decoded and kept
MNIST_FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def training_set(name: str, data_dir: Path | None) -> tuple[Examples, Facts]:
    """The training examples and their facts, after downloading the data set if it is missing. Raises DataError."""
    builder = _prepared(name, data_dir)
    examples = _examples(builder, "train")
    shape, classes = _shape_and_classes(builder)
    return examples, Facts(shape=shape, classes=classes, examples=len(examples))


def test_set(name: str, data_dir: Path | None) -> Examples:
    """The test examples, after downloading the data set if it is missing. Raises DataError."""
    return _examples(_prepared(name, data_dir), "test")


def without_test(name: str, data_dir: Path | None) -> Raw | None:
    """All examples of a data set that has no test part; None if it has one. Raises DataError."""
    builder = _prepared(name, data_dir)
    if "test" in builder.info.splits:
        return None
    examples = _examples(builder, "train")
    shape, classes = _shape_and_classes(builder)
    return Raw(examples.inputs.reshape(-1, *shape), examples.labels, classes)


def _prepared(name: str, data_dir: Path | None) -> Any:
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
        prepare(name, None, data_dir)
        builder = _builder(name, data_dir)
    if "train" not in builder.info.splits:
        raise DataError(f"data set {name!r} has the parts {', '.join(builder.info.splits)}; expected train among them")
    return builder


def _shape_and_classes(builder: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an input, without the channel of a grey image, and the names of the classes."""
    given, label = (builder.info.features[key] for key in _columns(builder))
    shape = given.shape[:-1] if len(given.shape) == 3 and given.shape[-1] == 1 else given.shape
    return tuple(shape), tuple(label.names)


def _examples(builder: Any, part: str) -> Examples:
    """The examples of a part. To decode them takes seconds, so they are kept as arrays beside the data set."""
    kept = Path(builder.data_dir) / KEPT.format(part=part)
    if _is_current(kept):
        with (
            tolerated(log, f"{kept} cannot be read, so the data set is decoded again", *UNREADABLE),
            np.load(kept) as arrays,
        ):
            return Examples(arrays["inputs"], arrays["labels"])
    found = _decoded(builder, part)
    with tolerated(log, f"{kept} cannot be written, so every start decodes the data set", OutputError):
        make(lambda file: np.savez(file, inputs=found.inputs, labels=found.labels), kept)
    return found


def _is_current(kept: Path) -> bool:
    """Whether the arrays are there and newer than the files that tensorflow-datasets wrote."""
    with tolerated(log, f"{kept} is not used", OSError):
        if kept.is_file():
            theirs = [file for file in kept.parent.glob("*.*") if not fnmatch(file.name, KEPT.format(part="*"))]
            return all(file.stat().st_mtime_ns <= kept.stat().st_mtime_ns for file in theirs)
    return False


def _decoded(builder: Any, part: str) -> Examples:
    """The examples of a part. Raises DataError for inputs and labels that cannot be trained on.

    Raises NotPreparedError if the files cannot be read on this machine.
    """
    columns = _columns(builder)
    try:
        data = builder.as_dataset(split=part, batch_size=-1)
    except Exception as problem:  # OSErrors and TensorFlow's own
        raise _unreadable(builder.name, problem) from problem
    inputs, labels = (data[key].numpy() for key in columns)
    if inputs.dtype != np.uint8:
        inputs = inputs.astype(np.float32)
        if not np.isfinite(inputs).all():
            raise DataError(f"data set {builder.name!r} has inputs that are NaN or infinite; expected finite numbers")
    classes = len(_shape_and_classes(builder)[1])
    if strange := int(np.count_nonzero((labels < 0) | (labels >= classes))):
        found = f"{counted(strange, 'label')} outside its {classes} classes"
        raise DataError(f"data set {builder.name!r} has {found} in the part {part}")
    return Examples(inputs.reshape(len(labels), -1), labels.astype(np.int32))


def _unreadable(name: str, problem: Exception) -> NotPreparedError:
    line = (str(problem).splitlines() or [""])[0]
    return NotPreparedError(f"data set {name!r} cannot be read on this machine: {type(problem).__name__}: {line}")


def _columns(builder: Any) -> tuple[str, str]:
    """The names of the input and the label. Raises DataError for a data set that does not have one of each."""
    features, keys = builder.info.features or {}, builder.info.supervised_keys
    names = keys if isinstance(keys, tuple) and len(keys) == 2 and all(key in features for key in keys) else ()
    if names:
        given, label = (features[name] for name in names)
        dense = isinstance(given.shape, tuple) and given.shape and None not in given.shape
        if dense and np.dtype(given.np_dtype).kind in "biuf" and (getattr(label, "num_classes", None) or 0) > 1:
            return names[0], names[1]
    held = ", ".join(f"{name} {getattr(feature, 'shape', '')}" for name, feature in features.items())
    raise DataError(
        f"data set {builder.name!r} has {held or 'no features'}; expected one input of a fixed shape and a label of "
        "classes; a file of your own may have any columns: [data] file"
    )


def prepare(name: str, source: Path | None = None, data_dir: Path | None = None) -> Path:
    """The folder of the data set, after preparing it: from the original files in `source`, or by a download.

    Several processes may do this at once: one prepares the data set, and the others wait for it. Raises DataError.
    """
    check_source(name, source)
    import tensorflow_datasets

    if not sys.stderr.isatty():
        tensorflow_datasets.disable_progress_bar()
    builder = _builder(name, data_dir)
    folder = Path(builder.data_dir)
    if builder.is_prepared():
        return _kept(builder)
    if source is None:
        _check_reachable(name, builder, data_dir)
    with _one_at_a_time(folder):
        if not _builder(name, data_dir).is_prepared():  # another process may have prepared it meanwhile
            _prepare(name, builder, source, data_dir)
    return _kept(_builder(name, data_dir))


def _kept(builder: Any) -> Path:
    """The folder of a prepared data set, whose parts are kept as arrays there from now on."""
    for part in {"train", "test"} & set(builder.info.splits):
        _examples(builder, part)
    return Path(builder.data_dir)


def check_source(name: str, source: Path | None) -> None:
    """Raise DataError for a data set that needs no preparing, and for a folder without its original files."""
    if name in NAMES or name == "digits":
        raise DataError(f"{name} comes with scikit-learn and needs no preparing; type `optbench data show {name}`")
    if source is not None and name not in FAMILY:
        raise DataError(f"--from is for {', '.join(FAMILY)}, not for {name!r}; leave it out to download")
    missing = [] if source is None else [file for file in MNIST_FILES if not (source / file).is_file()]
    if missing:
        raise DataError(f"{source} has no {missing[0]}; expected the original files {', '.join(MNIST_FILES)}")


def _prepare(name: str, builder: Any, source: Path | None, data_dir: Path | None) -> None:
    import tensorflow_datasets

    config = tensorflow_datasets.download.DownloadConfig(manual_dir=None if source is None else str(source.resolve()))
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as problem:  # tensorflow-datasets raises exceptions of many kinds: network, checksum, disk
        line = (str(problem).splitlines() or [type(problem).__name__])[0]
        advice = _advice(name, data_dir)
        if source is not None:
            advice = f"check that {source} has the original files of {name} and that {builder.data_dir} is writable"
        raise NotPreparedError(f"{name} could not be prepared: {line.rstrip(':')}; {advice}") from problem


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process prepares a data set next to `folder`, and make others wait meanwhile.

    The operating system releases the lock of a process that dies, so no lock is ever left behind. Where the file
    system has no locks, processes prepare side by side, and only the first one moves its data into place.
    """
    home = folder.parents[1]
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / ".optbench.lock").open("w")
    except OSError as problem:
        raise NotPreparedError(
            f"{home} cannot be written ({problem.strerror}); expected a writable --data-dir"
        ) from problem
    with file:
        with tolerated(log, f"{home} has no locks, so another process may prepare data at the same time", OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _advice(name: str, data_dir: Path | None) -> str:
    """What to type to prepare a data set that is not there."""
    where = "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"
    if name in FAMILY:
        return f"with the original files in DIR, type `optbench data prepare {name} --from DIR{where}`"
    return f"type `optbench data prepare {name}{where}` with a connection to it"


def _check_reachable(name: str, builder: Any, data_dir: Path | None) -> None:
    """Raise DataError at once if the data set's server cannot be reached: its download would retry for minutes."""
    if getproxies():
        return  # the proxy reaches it, or reports that it cannot
    for url in list(builder.url_infos)[:1]:
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname, parts.port or 443), timeout=10).close()
        except OSError as problem:
            raise NotPreparedError(
                f"{name} is not prepared in {builder.data_dir} and cannot be downloaded ({problem}); "
                f"{_advice(name, data_dir)}; `optbench sweep quickstart` needs no download"
            ) from problem


def _builder(name: str, data_dir: Path | None) -> Any:
    """The builder of the data set. Raises DataError unless it has one dense input and a label of classes.

    Raises NotPreparedError if it cannot be opened on this machine.
    """
    import tensorflow_datasets

    try:
        builder = tensorflow_datasets.builder(name, data_dir=None if data_dir is None else str(data_dir))
    except (AssertionError, ValueError) as problem:  # or DatasetNotFoundError: depends on how the name is wrong
        raise DataError(f"unknown data set {name!r}; {nearest(name, SUGGESTED)}") from problem
    except Exception as problem:  # of many kinds: its files here cannot be read, or a package that it needs is missing
        raise _unreadable(name, problem) from problem
    _columns(builder)
    return builder
