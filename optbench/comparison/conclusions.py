"""What a verdict may conclude, which kind of statement it makes, and the tests that it rests on."""

from enum import StrEnum


class Conclusion(StrEnum):
    """What a comparison of two arms concludes. BELOW_MARGIN: a difference is shown, but it counts as equal."""

    BETTER = "better"
    EQUAL = "equal"
    BELOW_MARGIN = "below margin"
    UNDECIDED = "undecided"


class Statement(StrEnum):
    """When a verdict's error probability holds: at one look after a planned number of seeds, or at every look."""

    FIXED_N = "fixed n"
    EVERY_LOOK = "every look"


class Test(StrEnum):
    """The tests of a verdict.

    With a fixed number of seeds a difference needs the first two, and equality the third (two one-sided t-tests). At
    every look the confidence sequence alone decides.
    """

    INTERVAL = "95 % interval"
    SIGN_FLIPS = "sign flips"
    TOST = "TOST"
    SEQUENCE = "confidence sequence"
