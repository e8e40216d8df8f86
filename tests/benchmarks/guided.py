"""What each pruning rule costs in a search by TPE, simulated on a model of the recorded curves of an explore sweep.

A Gaussian process learns the learning curve at every point of the search space from the trials of the explore sweep.
TPE then searches on the model, with the known settings first, four trials side by side, and our own pruner decides
after each epoch which go on. "Best of 8" is the true accuracy of the best of the eight trials that came furthest,
from which the finals take their candidates.

    python -m tests.benchmarks.guided [--searches 20] [--sweeps adadelta adam]
"""

import argparse
import warnings

import numpy as np
import optuna
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from optbench.definition import load
from optbench.scheduler.in_memory import InMemoryStudy
from optbench.scheduler.plan import params_of
from optbench.scheduler.states import Decision, Ending
from tests.benchmarks import recorded
from tests.benchmarks.pruning import RULES

SHOWN = ("the former default", "the default", "epoch 3, factor 2", "epoch 5, factor 3")
BETWEEN_RUNS, BETWEEN_EPOCHS = 0.0006, 0.0005  # deviations of accuracies


class Model:
    """The learning curve at any point of a sweep's space."""

    def __init__(self, sweep):
        self.explored = load(f"{sweep}-explore", {"known": False})
        curves = recorded.load(f"{sweep}-explore")
        points = [self.place(params_of(self.explored, slot)) for slot in range(len(curves))]
        kernel = ConstantKernel(1) * Matern([0.5] * len(points[0]), nu=2.5) + WhiteKernel(0.01)
        self.process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        self.process.fit(points, np.log(1.0005 - curves))

    def place(self, params):
        """The point in the unit cube."""
        return [dimension.unit(params[name]) for name, dimension in self.explored.space.items()]

    def curve(self, params):
        """The accuracy after each epoch, without noise."""
        return 1.0005 - np.exp(self.process.predict([self.place(params)])[0])


def search(model, sweep, chance):
    """The epochs that a search trains, and the true accuracy of the best of the eight trials that came furthest."""
    study, running, ended, trained = InMemoryStudy(sweep, "guided"), {}, [], 0
    waiting = list(range(sweep.trials))
    while waiting or running:
        while waiting and len(running) < 4:
            slot = waiting.pop(0)
            trial = study.start(slot, params_of(sweep, slot))
            true = model.curve(trial.params)
            noise = chance.normal(0, BETWEEN_RUNS) + chance.normal(0, BETWEEN_EPOCHS, len(true))
            running[slot] = trial, [*(true + noise)], float(true[-1])
        for slot, (trial, coming, true) in list(running.items()):
            value = float(coming.pop(0))
            trained += 1
            trial.report(value, sweep.epochs - len(coming))
            decision = Decision.COMPLETE if not coming else Decision.CONTINUE
            if coming and slot >= len(sweep.fixed) and trial.should_prune():
                decision = Decision.PRUNED
            if decision is not Decision.CONTINUE:
                study.end(trial, Ending(decision, value, sweep.epochs - len(coming)))
                del running[slot]
                ended.append((sweep.epochs - len(coming), value, true))
    return trained, max(true for _, _, true in sorted(ended, reverse=True)[:8])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--searches", type=int, default=20, help="how many searches by each rule, with seeds of their own"
    )
    parser.add_argument("--sweeps", nargs="+", default=[name.removesuffix("-explore") for name in recorded.SWEEPS])
    parser.add_argument("--rules", nargs="+", default=SHOWN, metavar="WORDS", help="rules with these words only")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    for name in given.sweeps:
        model = Model(name)
        print(f"{name}\n\n| rule | epochs | of all | best of 8, percent | its standard error |\n|" + " --- |" * 5)
        for rule, pruner in RULES.items():
            if not any(words in rule for words in given.rules):
                continue
            sweeps = [load(name, {"seed": seed, "pruner": pruner}) for seed in range(given.searches)]
            found = np.array([search(model, one, np.random.default_rng(one.seed)) for one in sweeps])
            epochs, best = found.mean(axis=0)
            error = 100 * found[:, 1].std(ddof=1) / len(found) ** 0.5
            whole = sweeps[0].trials * sweeps[0].epochs
            print(f"| {rule} | {epochs:.0f} | {epochs / whole:.0%} | {100 * best:.3f} | {error:.3f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
