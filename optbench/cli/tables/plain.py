"""A replay as plain data for JSON, with stable keys; accuracies are fractions."""

from typing import Any

from optbench.worker.replay import Replay


def replay_json(result: Replay) -> dict[str, Any]:
    """The replay as plain data."""
    return {
        "same": result.same,
        "tolerance": result.tolerance,
        "epochs": [{"before": vars(a), "after": vars(b)} for a, b in zip(result.before, result.after, strict=True)],
        "test_accuracy": None if result.tested is None else {"before": result.tested[0], "after": result.tested[1]},
    }
