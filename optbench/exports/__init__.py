"""The configurations that won, in the formats that people load. schema.json describes the JSON."""

from optbench.exports.choice import Choice, choose, chosen
from optbench.exports.formats import FORMATS

__all__ = ["FORMATS", "Choice", "choose", "chosen"]
