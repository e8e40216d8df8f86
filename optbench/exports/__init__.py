"""The configurations that won, in the formats that people load. schema.json describes the JSON."""

from optbench.exports.choice import Choice, Confirmed, choose, with_confirmation, write
from optbench.exports.formats import FORMATS

__all__ = ["FORMATS", "Choice", "Confirmed", "choose", "with_confirmation", "write"]
