"""What finals gain over picking the best of single runs, and what they cost: simulated on recorded results.

The true accuracies are the final ones of a recorded explore sweep, or the means of six seeds that were measured for the
eight best trials of Adam and Keras' defaults. Every run adds normal noise. A search runs each trial once. Its best by
that run, always with the known setting among them, are trained again on fresh seeds, in rounds: "8x1 4x1 2x2" trains
eight candidates on one fresh seed, the better four on one more, and the better two on two more. They are ranked by the
mean over their fresh seeds; with "own run" the search's run counts as one more seed. "Regret" is by how much the
chosen configuration is truly below the best of all, in percentage points.

    python -m tests.benchmarks.finals [--searches 20000] [--deviation 0.08]
"""

import argparse

import numpy as np

from optbench.definition.rounds import Round, fitting, rounds
from tests.benchmarks.recorded import SWEEPS, load

MEASURED = {  # mean of six seeds and their deviation, percent; the defaults are last
    "means": [97.83, 97.74, 97.72, 97.70, 97.57, 97.57, 97.45, 97.45, 97.56],
    "deviations": [0.07, 0.08, 0.07, 0.13, 0.11, 0.10, 0.10, 0.10, 0.04],
}
EPOCHS, TRIALS = 50, 64
UNIFORM = [(4, 2), (4, 3), (4, 4), (8, 1), (8, 2), (8, 3)]
HALVING = [(4, 12), (4, 16), (6, 16), (8, 16), (8, 25), (12, 25), (16, 36)]  # candidates, trainings
PLANNED = [6, 8, 9, 10, 11, 12, 14, 16, 20, 25]  # trainings; as many candidates as optbench takes


def plans():
    """The rounds of each rule, by its name."""
    found = {"the best single run": ()}
    found |= {f"uniform {_words([Round(*one)])}": (Round(*one),) for one in UNIFORM}
    found |= {f"halving {_words(one)}": one for one in (rounds(*numbers) for numbers in HALVING)}
    for budget in PLANNED:
        planned = rounds(fitting(8, budget), budget)
        found[f"optbench, {budget} trainings: {_words(planned)}"] = planned
    return found


def _words(planned):
    return " ".join(f"{one.candidates}x{one.seeds}" for one in planned)


def worlds(deviation, searches, chance):
    """By name: the true accuracies of each search's trials in percent, and the deviation of each trial's runs."""
    found = {}
    for sweep in SWEEPS:
        means = np.tile([*(100 * load(sweep)[:, -1]), MEASURED["means"][-1]], (searches, 1))
        found[f"{sweep}, as recorded"] = means, np.full_like(means, deviation)
        best = np.sort(means[0])[-16:]
        near = chance.choice(best, means.shape) + chance.normal(0, 0.03, means.shape)
        near[:, -1] = means[:, -1]
        found[f"{sweep}, near its best quarter, as TPE searches"] = near, np.full_like(means, deviation)
    measured = [np.tile(MEASURED[key], (searches, 1)) for key in ("means", "deviations")]
    found["eight settings of Adam and the defaults, as measured"] = measured
    return found


def regret(truth, deviation, plan, own, chance):
    """The mean regret of the chosen configurations, and how often the truly best one was chosen."""
    rows = np.arange(len(truth))[:, None]
    first = truth + chance.normal(0, 1, truth.shape) * deviation
    total = first.copy() if own else np.zeros_like(first)
    ranked = np.argsort(-first, axis=1)
    if plan:
        known = truth.shape[1] - 1
        others = ranked[ranked != known].reshape(len(truth), known)
        ranked = np.concatenate([others[:, : plan[0].candidates - 1], np.full_like(rows, known)], axis=1)
    for one in plan:
        ranked = ranked[:, : one.candidates]
        noise = chance.normal(0, 1, ranked.shape) * deviation[rows, ranked] / one.seeds**0.5
        total[rows, ranked] += one.seeds * (truth[rows, ranked] + noise)
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
        for rule, plan in plans().items():
            trainings = sum(one.trainings for one in plan)
            fraction = trainings / TRIALS
            fresh, often = regret(truth, deviation, plan, not plan, chance)
            own, _ = regret(truth, deviation, plan, True, chance)
            print(
                f"| {rule} | {trainings} | {EPOCHS * trainings} | {fraction:.0%} "
                f"| {fresh:.3f} | {often:.0%} | {own:.3f} |"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
