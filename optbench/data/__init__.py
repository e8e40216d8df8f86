"""Data sets: images and labels, where they come from, and which of them a search may see."""

from optbench.data.dataset import Images, Split, digest
from optbench.data.splits import load, load_test
from optbench.data.tfds import prepare

__all__ = ["Images", "Split", "digest", "load", "load_test", "prepare"]
