"""The Python API that `import optbench` offers: data, studies, comparisons, and functions that make them."""

from optbench.api.arrays import Arrays, load_data
from optbench.api.comparison import Comparison, compare
from optbench.api.confirming import confirm
from optbench.api.dataset import Dataset
from optbench.api.running import load, run
from optbench.api.study import Study, open_study, studies
from optbench.exports.frame import Table

__all__ = [
    "Arrays",
    "Comparison",
    "Dataset",
    "Study",
    "Table",
    "compare",
    "confirm",
    "load",
    "load_data",
    "open_study",
    "run",
    "studies",
]
