"""Arrays as a data set, from a script or a notebook."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optbench.data.arrays import examples_of
from optbench.data.dataset import named_digest
from optbench.errors import DataError, OutputError
from optbench.files import write

FOLDER = Path("storage") / "data"  # below the working directory


class Dataset:
    """Arrays to train on: `sweep["data"] = {"file": optbench.Dataset(x, y), "validation": 0.2}`.

    `x` [n, ...] are numbers and `y` [n] whole numbers, texts or booleans. With `classes`, the names of the classes, `y`
    has their positions. `x_test` and `y_test` are for testing; without them a part of the others is.
    Raises DataError for arrays that do not belong together.
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        x_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        given = {"x": x, "y": y, "x_test": x_test, "y_test": y_test, "classes": classes}
        arrays = {name: _array(name, value) for name, value in given.items() if value is not None}
        train, test = examples_of(arrays, "Dataset")
        self.arrays = {"x": train.inputs, "y": train.targets}
        if test is not None:
            self.arrays |= {"x_test": test.inputs, "y_test": test.targets}
        if train.classes is not None:
            self.arrays["classes"] = np.array(train.classes)

    def save(self, folder: str | Path = FOLDER) -> Path:
        """The absolute path of an .npz file with the arrays, whose name is their hash; written unless it is there.

        A file, because other processes, a resumed study and a replay need the data when this program has ended.
        Raises OutputError.
        """
        path = Path(folder).absolute() / f"arrays-{named_digest(self.arrays)}.npz"
        if not path.is_file():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise OutputError(
                    f"{path.parent} cannot be made: {problem.strerror}; choose another folder"
                ) from problem
            content = io.BytesIO()
            np.savez_compressed(content, allow_pickle=False, **self.arrays)
            write(content.getvalue(), path)
        return path


def with_file(data: Any) -> Any:
    """The table `[data]` as given, with a Dataset in it replaced by the file that it is saved in."""
    if isinstance(data, Mapping) and isinstance(data.get("file"), Dataset):
        return {**data, "file": str(data["file"].save())}
    return data


def _array(name: str, given: ArrayLike) -> np.ndarray[Any, np.dtype[Any]]:
    """Raises DataError for lists of different lengths.

    A list of targets keeps its objects: numpy would make the text "nan" of a missing one among texts.
    """
    try:
        return np.asarray(given, object if name.startswith("y") and isinstance(given, list | tuple) else None)
    except ValueError as problem:
        raise DataError(f"Dataset: {name} is no array: {str(problem).splitlines()[0]}") from problem
