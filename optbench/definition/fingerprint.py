"""Stores a study's fingerprint, and says how two of them differ.

A fingerprint has everything that changes what a trial means, under flat dotted keys (see Sweep.fingerprint). Version 2
stores only what differs from its defaults, so that a new key with its default changes no older study. Version 1, which
has no version number, stored every key.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from optbench.optimizers import OPTIMIZERS

VERSION = 2

ALWAYS: Mapping[str, Any] = {
    "batch": 128,
    "seed": 0,
    "model.hidden": [128],
    "model.activation": "relu",
    "model.dropout": 0.0,
    "data.resplit": False,
}
SEARCHING: Mapping[str, Any] = {"sampler.name": "tpe", "pruner.name": "median"}
BY_NAME: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("sampler", "tpe"): {
        "multivariate": True,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "constant_liar": True,
    },
    ("sampler", "qmc"): {"qmc_type": "sobol", "scramble": True},
    ("sampler", "grid"): {"points": 5},
    ("pruner", "median"): {"n_startup_trials": 10, "interval_steps": 1, "n_min_trials": 5, "audit": 0.0},
    ("pruner", "hyperband"): {"min_resource": 1, "reduction_factor": 3, "audit": 0.0},
    ("pruner", "successive_halving"): {
        "min_resource": 1,
        "reduction_factor": 4,
        "min_early_stopping_rate": 0,
        "window": 0,
        "audit": 0.0,
    },
}
"""The defaults of version 2: what a stored fingerprint means by leaving a key out, whatever a sweep file means by it.

New keys may be added, but a change to these needs a new version.
"""


def compact(full: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint as a study stores it: its version and, in order of keys, what differs from the defaults."""
    defaults = _defaults(full)
    kept = {key: full[key] for key in sorted(full) if key not in defaults or full[key] != defaults[key]}
    return {"version": VERSION, **kept}


def expand(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Every key of a stored fingerprint of any version, including keys that have their defaults."""
    held = {key: value for key, value in stored.items() if key != "version"}
    full = {**_defaults(held), **held}
    if "trial" in full and not _searches(full):
        full["trial"] = [_whole(trial) for trial in full["trial"]]
    return full


def differences(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """How two fingerprints of any version differ, in a phrase for each key: "epochs is 2 there, 3 here"."""
    held, wanted, found = expand(held), expand(wanted), list[str]()
    for key in {**held, **wanted}:
        if held.get(key) != wanted.get(key):
            if key == "trial":
                found += list(_between_trials(held.get(key, []), wanted.get(key, [])))
            else:
                found.append(_phrase(key, held, wanted))
    return found


def _defaults(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of the keys that this fingerprint may leave out."""
    filled = dict(ALWAYS)
    if "model.function" in flat:
        filled = {key: value for key, value in filled.items() if not key.startswith("model.")}
    if not _searches(flat):
        return filled
    filled |= SEARCHING
    filled |= {f"{key.removesuffix('.low')}.log": False for key in flat if _in_space(key) and key.endswith(".low")}
    for role in ("sampler", "pruner"):
        name = flat.get(f"{role}.name", SEARCHING[f"{role}.name"])
        filled |= {f"{role}.{key}": value for key, value in BY_NAME.get((role, name), {}).items()}
        if name == "median":
            filled["pruner.n_warmup_steps"] = math.ceil(flat.get("epochs", 0) / 5)
    return filled


def _in_space(key: str) -> bool:
    return key.startswith("space.")


def _searches(flat: Mapping[str, Any]) -> bool:
    return any(map(_in_space, flat))


def _whole(trial: Mapping[str, Any]) -> dict[str, Any]:
    """A fixed trial with the hyperparameters that its optimizer got in later versions, at their defaults."""
    known = OPTIMIZERS.get(trial["optimizer"])
    return {**(known.written(known.defaults) if known else {}), **trial}


def _between_trials(held: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> Iterator[str]:
    """How two lists of fixed trials differ, trial by trial. A different length is one more difference."""
    for number, (old, new) in enumerate(zip(held, wanted, strict=False)):
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                yield _phrase(key, old, new, f"fixed trial {number}: ")
    if len(held) != len(wanted):
        yield f"it has {len(held)} fixed trials there, {len(wanted)} here"


def _phrase(key: str, held: Mapping[str, Any], wanted: Mapping[str, Any], where: str = "") -> str:
    return f"{where}{key} is {_shown(held, key)} there, {_shown(wanted, key)} here"


def _shown(found: Mapping[str, Any], key: str) -> str:
    return repr(found[key]) if key in found else "absent"
