"""A comparison as plain data, which `optbench compare --json` prints."""

from collections.abc import Sequence
from typing import Any

from optbench.comparison.arms import Comparison
from optbench.comparison.remarks import remarks
from optbench.comparison.rows import Gain, Row, gains
from optbench.comparison.selection import Selection, finalist_json
from optbench.comparison.verdict import Pair


def as_plain(
    comparison: Comparison, found: Sequence[Row], verdicts: Sequence[Pair], margin: float, place: str = ""
) -> dict[str, Any]:
    """The comparison as plain data with stable keys; `place` is the option that suggested commands need to find the
    database.
    """
    return {
        "arms": [_plain_row(row) for row in found],
        "pairs": [_plain_pair(pair) for pair in verdicts],
        "gains": [_plain_gain(gain) for gain in gains(found)],
        "equal_within_points": margin,
        "differences": list(comparison.differences),
        "left_out": dict(comparison.left_out),
        "remarks": remarks(comparison, place),
        "test_evaluations": dict(comparison.test_evaluations),
    }


def _plain_row(row: Row) -> dict[str, Any]:
    stages = {"default": row.default, "paper": row.paper, "tuned": row.tuned}
    return {
        "study": row.arm.name,
        "optimizer": row.arm.optimizer,
        "trials": row.arm.trials,
        "epochs": row.arm.consumed,
        "trial": row.arm.trial.number,
        "validation_accuracy": row.arm.selection.accuracy,
        "selection": _plain_selection(row.arm.selection),
        "single_run": row.arm.selection.single,
        "repeats": list(row.arm.spread),
        "hyperparameters": dict(row.arm.trial.settings),
        **{key: value and vars(value) for key, value in stages.items()},
        "optimism": row.optimism,
    }


def _plain_selection(found: Selection) -> dict[str, Any]:
    finals = None if found.finalist is None else finalist_json(found.finalist)
    return {"by": found.in_words, "seeds": found.seeds, "finals": finals}


def _plain_gain(gain: Gain) -> dict[str, Any]:
    return {
        "study": gain.row.arm.name,
        "over": gain.over,
        "difference": vars(gain.difference),
        "corrected_p": gain.p,
        "sentence": gain.sentence,
    }


def _plain_pair(pair: Pair) -> dict[str, Any]:
    return {
        "a": pair.a.name,
        "b": pair.b.name,
        "difference": vars(pair.difference),
        "equivalence": vars(pair.equal),
        "improvement": vars(pair.better),
        "corrected_p": pair.p,
        "statement": pair.statement,
        "sequence": pair.sequence and vars(pair.sequence),
        "conclusion": pair.conclusion,
        "winner": pair.winner.name if pair.winner else None,
        "failed_tests": list(pair.failed),
        "seeds_to_decide": pair.seeds_to_decide,
        "sentence": pair.sentence,
    }
