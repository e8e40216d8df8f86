"""The Python API, which `import optbench` gives: one class for a study, one for a comparison, and what makes them."""

from optbench.api.comparison import Comparison, compare
from optbench.api.running import confirm, load, run
from optbench.api.study import Study, open_study, studies
from optbench.exports.frame import Table

__all__ = ["Comparison", "Study", "Table", "compare", "confirm", "load", "open_study", "run", "studies"]
