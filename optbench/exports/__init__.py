"""A study's best configurations and its trials, in formats that other programs load. schema.json describes the JSON."""

from optbench.exports.choice import Choice, choose, chosen
from optbench.exports.formats import FORMATS, Format, loss_notes, text_for_here

__all__ = ["FORMATS", "Choice", "Format", "choose", "chosen", "loss_notes", "text_for_here"]
