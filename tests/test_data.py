"""Data sets: digits without a network, the split, MNIST from its original files, and data that cannot be loaded."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from optbench.choices import Scale
from optbench.data import load, load_test, prepare
from optbench.data.splits import TEST_DRAWN
from optbench.data.tfds import MNIST_FILES
from optbench.definition.data import DataSource
from optbench.errors import DataError, NotPreparedError
from tests.commands import COMMAND
from tests.conftest import MNIST

needs_mnist = [
    pytest.mark.mnist,
    pytest.mark.skipif(not MNIST.is_dir(), reason=f"the four original MNIST files are not in {MNIST}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def rows(images):
    """Each image with its label, in a form that can be sorted."""
    return [(pixels.tobytes(), int(label)) for pixels, label in zip(images.inputs, images.labels, strict=True)]


def test_digits_are_28x28_with_a_black_border(digits):
    images = digits.train.inputs.reshape(-1, 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert not images[:, :2].any()
    assert not images[:, :, -2:].any()
    assert (images[:, 2:26:3, 2:26:3] == images[:, 4:26:3, 4:26:3]).all()


def test_the_split_is_seeded_disjoint_and_complete(digits):
    assert (len(digits.train), len(digits.validation)) == (1200, 300)
    again, other = load(DataSource("digits", 300), 0), load(DataSource("digits", 300), 1)
    assert again.digests == digits.digests
    assert other.digests["data.sha256"] == digits.digests["data.sha256"]
    assert other.digests["split.sha256"] != digits.digests["split.sha256"]
    whole = load(DataSource("digits", 0), 0)
    assert sorted(rows(digits.train) + rows(digits.validation)) == sorted(rows(whole.train))
    assert whole.validation is None


def test_resplit_gives_every_seed_its_own_split_of_the_same_images(digits):
    own = digits.resplit()
    first, again, other = own.of(7), own.of(7), own.of(8)
    for split in (first, other):
        assert (len(split.train), len(split.validation)) == (1200, 300)
        assert sorted(rows(split.train) + rows(split.validation)) == sorted(
            rows(digits.train) + rows(digits.validation)
        )
    assert rows(first.validation) == rows(again.validation)
    assert rows(first.validation) != rows(other.validation)
    assert digits.of(7) is digits
    assert own.resplit() is own
    assert all(part.inputs.base is own.pool.inputs for part in (own.train, own.validation))


def test_no_test_image_is_a_training_image(digits):
    training = {row.tobytes() for row in (*digits.train.inputs, *digits.validation.inputs)}
    test = load_test(DataSource("digits", 0))
    assert len(test) == 297
    assert not training & {row.tobytes() for row in test.inputs}


def test_validation_must_leave_images_to_train_on():
    with pytest.raises(DataError, match="validation = 1500, but digits has 1500 training examples"):
        load(DataSource("digits", 1500), 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnits", "unknown data set 'mnits'; did you mean 'mnist'"),
        ("imagenet2012", "imagenet2012' has image .*; expected one input of a fixed shape and a label of classes"),
    ],
)
def test_an_unknown_or_unsuitable_data_set_is_refused(name, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(DataSource(name, 10), 0, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_missing_original_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no train-images-idx3-ubyte.gz; expected the original files"):
        prepare("mnist", tmp_path, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_a_network_the_error_says_how_fashion_mnist_is_prepared(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("optbench.data.tfds.getproxies", dict)
    monkeypatch.setattr("optbench.data.tfds.socket.create_connection", unreachable)
    with pytest.raises(DataError, match=r"fashion_mnist is not prepared in .*Network is unreachable") as refused:
        load(DataSource("fashion_mnist", 10_000), 0, tmp_path)
    advice = f"type `optbench data prepare fashion_mnist --from DIR --data-dir {tmp_path}`"
    assert advice in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_read_only_data_folder_is_refused(tmp_path):
    for file in MNIST_FILES:
        (tmp_path / file).touch()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/data cannot be written .* expected a writable --data-dir"):
        prepare("mnist", tmp_path, tmp_path / "file" / "data")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data folder that two processes prepared at once, and what each of them printed last."""
    folder = tmp_path_factory.mktemp("tfds")
    command = [*COMMAND, "data", "prepare", "mnist", "--from", str(MNIST), "--data-dir", str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    ended = [(*process.communicate(timeout=600), process.returncode) for process in running]
    assert [code for _, _, code in ended] == [0, 0], ended
    return folder, [out.splitlines()[-1].decode() for out, _, _ in ended]


@pytest.fixture(scope="module")
def mnist_dir(prepared):
    return prepared[0]


class TestMnist:
    pytestmark = needs_mnist

    def test_mnist_is_read_from_its_original_files(self, mnist_dir):
        split = load(DataSource("mnist", 10_000), 0, mnist_dir)
        assert (len(split.train), len(split.validation)) == (50_000, 10_000)
        assert len(load_test(DataSource("mnist", 0), mnist_dir)) == 10_000
        counts = np.bincount(np.concatenate([split.train.labels, split.validation.labels]))
        assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]

    def test_one_epoch_of_adam_on_mnist_learns(self, mnist_dir):
        from optbench.training.contract import Job
        from optbench.training.tensorflow.lanes import Lanes
        from optbench.training.tensorflow.mlp import Mlp

        trainer = Lanes(2, "adam", Mlp(784, 10), 128, load(DataSource("mnist", 10_000), 0, mnist_dir))
        hparams = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
        trainer.assign(0, Job(0, "adam", hparams, 0, 1))
        assert trainer.train()[0].validation_accuracy > 0.93

    def test_two_processes_may_prepare_the_same_folder_at_once(self, prepared):
        folder, lines = prepared
        assert lines == [f"mnist is in {folder / 'mnist' / '3.0.1'}"] * 2

    def test_damaged_files_are_refused(self, tmp_path):
        for file in MNIST.glob("*.gz"):
            (tmp_path / file.name).write_bytes(b"not it")
        with pytest.raises(DataError, match="mnist could not be prepared"):
            prepare("mnist", tmp_path, tmp_path / "data")


class Builder:
    """A prepared data set of tensorflow-datasets with features of its own, in memory."""

    name = "mine"

    def __init__(self, features, supervised_keys, parts, folder="/nowhere"):
        self.data_dir, self.decoded = folder, []
        self.info = SimpleNamespace(features=features, supervised_keys=supervised_keys, splits=parts)

    def is_prepared(self):
        return True

    def as_dataset(self, split, batch_size):
        self.decoded.append(split)
        return {
            name: SimpleNamespace(numpy=lambda array=array: array) for name, array in self.info.splits[split].items()
        }


def feature(shape, np_dtype="float32", **more):
    return SimpleNamespace(shape=shape, np_dtype=np_dtype, **more)


LABEL = feature((), "int64", num_classes=2, names=["no", "yes"])
PART = {"values": np.ones((8, 2, 3), np.float64), "yes": np.arange(8) % 2}


@pytest.mark.parametrize(
    ("features", "parts", "message"),
    [
        ({"values": feature((2, 3)), "yes": LABEL}, {"train": PART, "test": PART}, None),
        (
            {"values": feature((2, 3)), "yes": LABEL},
            {"all": PART},
            "'mine' has the parts all; expected train among them",
        ),
        ({"values": feature((None, 3)), "yes": LABEL}, {}, r"has values \(None, 3\), yes \(\); expected one input of"),
        (
            {"values": feature((2, 3)), "yes": feature(())},
            {},
            "and a label of classes; a file of your own may have any",
        ),
        ({"values": feature((2, 3), "object"), "yes": LABEL}, {}, "expected one input of a fixed shape"),
        ({"text": feature(()), "yes": LABEL}, {}, "expected one input of a fixed shape"),
        (
            {"values": feature((2, 3)), "yes": feature((), "int64", num_classes=1, names=["no"])},
            {},
            "and a label of classes",
        ),
        (
            {"values": feature((2, 3)), "yes": LABEL},
            {"train": PART | {"yes": PART["yes"] - 1}, "test": PART},
            "'mine' has 4 labels outside its 2 classes in the part train",
        ),
        (
            {"values": feature((2, 3)), "yes": LABEL},
            {"train": PART, "test": PART | {"yes": PART["yes"] - 1}},
            "'mine' has 4 labels outside its 2 classes in the part test",
        ),
    ],
)
def test_any_data_set_of_tensorflow_datasets_with_one_dense_input_and_classes(features, parts, message, monkeypatch):
    builder = Builder(features, ("values", "yes"), parts)
    monkeypatch.setattr("tensorflow_datasets.builder", lambda name, data_dir: builder)
    data = DataSource("mine", 2)
    if message is None:
        split = load(data, 0)
        assert (split.facts.shape, split.facts.classes, split.scale) == ((2, 3), ("no", "yes"), Scale.STANDARD)
        assert load_test(data).inputs.dtype == np.float32
    else:
        with pytest.raises(DataError, match=message):
            load(data, 0) and load_test(data)


@pytest.mark.parametrize("broken", ["opening", "decoding"])
def test_a_data_set_that_this_machine_cannot_read_is_left_to_others(broken, monkeypatch):
    built = Builder({"values": feature((2, 3)), "yes": LABEL}, ("values", "yes"), {"train": PART, "test": PART})

    def fail(*_, **__):
        raise PermissionError(13, "Permission denied", "/data/mine/dataset_info.json")

    built.as_dataset = fail
    monkeypatch.setattr("tensorflow_datasets.builder", fail if broken == "opening" else lambda name, data_dir: built)
    with pytest.raises(NotPreparedError, match=r"'mine' cannot be read on this machine: PermissionError: .*info.json"):
        load(DataSource("mine", 2), 0)


def test_a_data_set_of_tensorflow_datasets_without_a_test_part_has_one_drawn(monkeypatch):
    whole = {"values": np.arange(120, dtype=np.float64).reshape(20, 2, 3), "yes": np.arange(20) % 2}
    builder = Builder({"values": feature((2, 3)), "yes": LABEL}, ("values", "yes"), {"train": whole})
    monkeypatch.setattr("tensorflow_datasets.builder", lambda name, data_dir: builder)
    split, test = load(DataSource("mine", 4), 0), load_test(DataSource("mine", 4))
    assert (len(split.train), len(split.validation), len(test)) == (12, 4, 4)
    firsts = np.concatenate([part.inputs[:, 0] for part in (split.train, split.validation, test)])
    assert sorted(firsts.tolist()) == whole["values"][:, 0, 0].tolist()
    assert load_test(DataSource("mine", 4)).inputs.tolist() == test.inputs.tolist()
    assert len(load_test(DataSource("mine", 4, test=0.5))) == 10
    at_random, stratified = (load(DataSource("mine", 4, stratify=given), 0) for given in (False, True))
    assert at_random.digests == split.digests != stratified.digests
    assert split.digests[TEST_DRAWN] == "true"


def test_a_data_set_is_decoded_once_and_kept_beside_the_original(monkeypatch, tmp_path):
    builder = Builder(
        {"values": feature((2, 3)), "yes": LABEL}, ("values", "yes"), {"train": PART, "test": PART}, tmp_path
    )
    monkeypatch.setattr("tensorflow_datasets.builder", lambda name, data_dir: builder)
    data = DataSource("mine", 2)
    first, second = load(data, 0), load(data, 0)
    assert builder.decoded == ["train"]
    assert first.digests == second.digests
    assert (first.train.inputs == second.train.inputs).all()
    assert second.train.inputs.dtype == np.float32
    assert load(data, 0).digests == first.digests


def damaged(kept):
    kept.write_bytes(b"damaged")


def empty(kept):
    kept.write_bytes(b"")


def of_others(kept):
    np.savez(kept, others=np.zeros(3))


def older_than_the_data(kept):
    os.utime(kept, (1, 1))


@pytest.mark.parametrize("change", [damaged, empty, of_others, older_than_the_data, os.unlink])
def test_what_was_kept_and_cannot_be_used_is_decoded_again(monkeypatch, tmp_path, change):
    builder = Builder(
        {"values": feature((2, 3)), "yes": LABEL}, ("values", "yes"), {"train": PART, "test": PART}, tmp_path
    )
    (tmp_path / "dataset_info.json").write_text("{}")
    monkeypatch.setattr("tensorflow_datasets.builder", lambda name, data_dir: builder)
    first = load(DataSource("mine", 2), 0)
    change(tmp_path / "optbench-1-train.npz")
    assert [load(DataSource("mine", 2), 0).digests for _ in range(2)] == [first.digests] * 2
    assert builder.decoded == ["train", "train"]


def test_a_data_set_in_a_folder_that_cannot_be_written_is_decoded_every_time(monkeypatch, tmp_path):
    builder = Builder(
        {"values": feature((2, 3)), "yes": LABEL}, ("values", "yes"), {"train": PART, "test": PART}, tmp_path / "gone"
    )
    monkeypatch.setattr("tensorflow_datasets.builder", lambda name, data_dir: builder)
    assert load(DataSource("mine", 2), 0).digests == load(DataSource("mine", 2), 0).digests
    assert builder.decoded == ["train", "train"]


def test_data_that_cannot_be_downloaded_says_what_to_type():
    from types import SimpleNamespace

    from optbench.data.tfds import _check_reachable

    builder = SimpleNamespace(url_infos=["http://127.0.0.1:1/x"], data_dir="/data")
    with pytest.raises(NotPreparedError, match="type `optbench data prepare emnist/letters` with"):
        _check_reachable("emnist/letters", builder, None)
    with pytest.raises(NotPreparedError, match="type `optbench data prepare mnist --from DIR --data-dir '/a b'`"):
        _check_reachable("mnist", builder, Path("/a b"))
