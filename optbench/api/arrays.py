"""A data set as arrays, as networks get it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from optbench.api.dataset import with_file
from optbench.choices import TrainerName
from optbench.definition.parse_data import parse_data


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """Examples to train on and examples to test on: inputs, float32 [n, ...], and positions in `classes`, int32 [n]."""

    x: np.ndarray[Any, np.dtype[np.float32]]
    y: np.ndarray[Any, np.dtype[np.int32]]
    x_test: np.ndarray[Any, np.dtype[np.float32]]
    y_test: np.ndarray[Any, np.dtype[np.int32]]
    classes: Sequence[str]


def load_data(data: Mapping[str, Any], *, data_dir: str | Path | None = None) -> Arrays:
    """The data that a sweep's `[data]` table means, scaled by the examples that are not for testing.

    None of these is held back for validation, as in a confirmation. The table's `file` may be a Dataset. Raises
    DefinitionError and DataError.
    """
    from optbench.data import load, load_test
    from optbench.data.scaling import scaling
    from optbench.data.splits import needs_tensorflow
    from optbench.worker.loading import load_tensorflow

    source = replace(parse_data(with_file(data), "load_data"), validation=0, resplit=False)
    folder = None if data_dir is None else Path(data_dir)
    if needs_tensorflow(source):
        load_tensorflow(TrainerName.LANES)
    split, test = load(source, 0, folder), load_test(source, folder)
    scale = scaling(split.scale, split.train.inputs)
    x, x_test = (
        ((part.inputs - scale.shift) / scale.divisor).astype(np.float32).reshape(-1, *split.facts.shape)
        for part in (split.train, test)
    )
    return Arrays(x=x, y=split.train.labels, x_test=x_test, y_test=test.labels, classes=split.facts.classes)
