"""Data sets: inputs and labels, their sources, and the split into training and validation examples."""

from optbench.data.dataset import Examples, Split, digest
from optbench.data.splits import load, load_test
from optbench.data.tfds import check_source, prepare

__all__ = ["Examples", "Split", "check_source", "digest", "load", "load_test", "prepare"]
