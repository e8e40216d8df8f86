"""The recorded learning curves of the explore sweeps, on which benchmarks replay what a search would have done.

python -m tests.benchmarks.recorded STUDY [--storage URL]
"""

import argparse
from pathlib import Path

import numpy as np

from optbench.defaults import storage_url
from optbench.storage import curves, find_study, open_storage, trials

FOLDER = Path(__file__).parent / "curves"
SWEEPS = sorted(path.stem for path in FOLDER.glob("*.npz"))


def load(sweep):
    """The validation accuracies of a recorded sweep: a row for each trial, a column for each epoch."""
    return np.load(FOLDER / f"{sweep}.npz")["validation_accuracy"].astype(float)


def extract(storage, name):
    """The validation accuracies of a study whose trials all ran to their end or diverged, by trial and epoch."""
    study = find_study(storage, name)
    by_trial, epochs = curves(storage, study.study_id), study.sweep.epochs
    rows = []
    for trial in trials(storage, study.study_id):
        if trial.state not in ("complete", "diverged"):
            continue
        reached = [epoch.validation_accuracy if epoch.finite else epoch.chance for epoch in by_trial[trial.trial_id]]
        rows.append(reached + [0.1] * (epochs - len(reached)))
    return np.array(rows, np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--storage", default=storage_url())
    given = parser.parse_args()
    storage = open_storage(given.storage)
    found = extract(storage, given.study)
    storage.close()
    np.savez_compressed(FOLDER / f"{given.study}.npz", validation_accuracy=found)
    print(f"{given.study}: {found.shape[0]} trials of {found.shape[1]} epochs, best {found[:, -1].max():.2%}")


if __name__ == "__main__":
    main()
