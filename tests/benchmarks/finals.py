"""What finals gain over picking the best of single runs, and what they cost: simulated on recorded results.

The true accuracies are the final ones of a recorded explore sweep, or the means of six seeds that were measured for the
eight best trials of Adam and Keras' defaults. Every run adds normal noise. A search runs each trial once. The best
`candidates` by that run are trained again on fresh seeds, in rounds: "8x1 4x1 2x2" trains eight candidates on one fresh
seed, the better four on one more, and the better two on two more. Candidates are ranked by the mean over their fresh
seeds; with "own run" the search's run counts as one more seed. "Regret" is by how much the chosen configuration is
truly below the best of all, in percentage points.

    python -m tests.benchmarks.finals [--searches 20000] [--deviation 0.08]
"""

import argparse

import numpy as np

from tests.benchmarks.recorded import SWEEPS, load

MEASURED = {  # mean of six seeds and their deviation, percent
    "means": [97.83, 97.74, 97.72, 97.70, 97.57, 97.57, 97.45, 97.45, 97.56],
    "deviations": [0.07, 0.08, 0.07, 0.13, 0.11, 0.10, 0.10, 0.10, 0.04],
}
EPOCHS, TRIALS = 50, 64
PLANS = {
    "the best single run": [],
    "uniform 4x2": [(4, 2)],
    "uniform 8x1": [(8, 1)],
    "uniform 4x3": [(4, 3)],
    "uniform 4x4": [(4, 4)],
    "uniform 8x2": [(8, 2)],
    "uniform 5x5": [(5, 5)],
    "uniform 8x3": [(8, 3)],
    "halving 4x1 2x2": [(4, 1), (2, 2)],
    "halving 5x1 2x2": [(5, 1), (2, 2)],
    "halving 6x1 3x1": [(6, 1), (3, 1)],
    "halving 6x1 2x2": [(6, 1), (2, 2)],
    "halving 6x1 3x1 2x1": [(6, 1), (3, 1), (2, 1)],
    "halving 8x1 4x1": [(8, 1), (4, 1)],
    "halving 8x1 2x2": [(8, 1), (2, 2)],
    "halving 4x2 2x2": [(4, 2), (2, 2)],
    "halving 8x1 4x1 2x2": [(8, 1), (4, 1), (2, 2)],
    "halving 10x1 4x1 2x1": [(10, 1), (4, 1), (2, 1)],
    "halving 12x1 2x2": [(12, 1), (2, 2)],
    "halving 8x1 4x2 2x4": [(8, 1), (4, 2), (2, 4)],
    "halving 12x1 6x1 3x2": [(12, 1), (6, 1), (3, 2)],
    "halving 16x1 4x1 2x2": [(16, 1), (4, 1), (2, 2)],
}


def worlds(deviation, searches, chance):
    """By name: the true accuracies of each search's trials in percent, and the deviation of each trial's runs."""
    found = {}
    for sweep in SWEEPS:
        means = np.tile(100 * load(sweep)[:, -1], (searches, 1))
        found[f"{sweep}, as recorded"] = means, np.full_like(means, deviation)
        best = np.sort(means[0])[-16:]
        near = chance.choice(best, means.shape) + chance.normal(0, 0.03, means.shape)
        found[f"{sweep}, near its best quarter, as TPE searches"] = near, np.full_like(means, deviation)
    measured = [np.tile(MEASURED[key], (searches, 1)) for key in ("means", "deviations")]
    found["eight settings of Adam and the defaults, as measured"] = measured
    return found


def regret(truth, deviation, plan, own, chance):
    """The mean regret of the chosen configurations, and how often the truly best one was chosen."""
    rows = np.arange(len(truth))[:, None]
    first = truth + chance.normal(0, 1, truth.shape) * deviation
    scores, counts = (first.copy(), np.ones(1)) if own else (np.zeros_like(first), np.zeros(1))
    ranked = np.argsort(-first, axis=1)
    total, counts = scores, float(counts[0])
    for size, seeds in plan:
        ranked = ranked[:, :size]
        for _ in range(seeds):
            noise = chance.normal(0, 1, ranked.shape) * deviation[rows, ranked]
            total[rows, ranked] += truth[rows, ranked] + noise
        counts += seeds
        ranked = ranked[rows, np.argsort(-total[rows, ranked], axis=1)]
    chosen = truth[rows[:, 0], ranked[:, 0]]
    return (truth.max(axis=1) - chosen).mean(), (truth.max(axis=1) == chosen).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=20_000, help="how many searches to simulate")
    parser.add_argument("--deviation", type=float, default=0.08, help="of runs of one configuration, in points")
    given = parser.parse_args()
    chance = np.random.default_rng(0)
    for world, (truth, deviation) in worlds(given.deviation, given.searches, chance).items():
        print(f"{world}\n\n| rule | trainings | epochs | of the search | regret | best chosen | regret, own run |")
        print("|" + " --- |" * 7)
        for rule, plan in PLANS.items():
            trainings = sum(size * seeds for size, seeds in plan)
            fraction = trainings / TRIALS
            fresh, often = regret(truth, deviation, plan, False, chance) if plan else (None, None)
            own, once = regret(truth, deviation, plan, True, chance)
            fresh, often = (own, once) if fresh is None else (fresh, often)
            print(
                f"| {rule} | {trainings} | {EPOCHS * trainings} | {fraction:.0%} "
                f"| {fresh:.3f} | {often:.0%} | {own:.3f} |"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
