"""The small tables that come with scikit-learn. They need no download."""

import numpy as np

from optbench.data.arrays import Raw

NAMES = ("breast_cancer", "iris", "wine")


def table(name: str) -> Raw:
    """The rows of the table of that name."""
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    return Raw(bunch.data.astype(np.float32), bunch.target, tuple(map(str, bunch.target_names)))
