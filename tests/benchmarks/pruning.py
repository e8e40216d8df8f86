"""What each pruning rule saves, and what it costs: replayed on the recorded curves of the explore sweeps.

The trials of an explore sweep all ran to their end. Here they come again in many random orders, several side by side as
in lanes, and our own pruner decides after each epoch which go on. "Regret" is by how much the best trial that finished
is below the best of all, "best kept" how often it is that one. The finals of a search train its best candidates again,
so "among 8" says how often the best trial is one of the eight that came furthest.

    python -m tests.benchmarks.pruning [--orders 100] [--lanes 4] [--sweeps adadelta-explore adam-explore]
"""

import argparse
from dataclasses import dataclass

import numpy as np
import optuna

from optbench.scheduler.in_memory import InMemoryStudy
from optbench.scheduler.states import Decision, Ending
from tests.benchmarks.recorded import SWEEPS, load
from tests.conftest import sweep_of

HALVING = {"name": "successive_halving"}
RULES = {
    "no pruning": {"name": "none"},
    "median, the former default (10, 20 %, 5)": {"name": "median"},
    "median, Optuna's defaults (5, 0, 1)": {
        "name": "median", "n_startup_trials": 5, "n_warmup_steps": 0, "n_min_trials": 1,
    },
    "hyperband, Optuna's defaults (1, 3)": {"name": "hyperband"},
    "successive halving, Optuna's defaults (1, 4)": HALVING
    | {"min_resource": 1, "reduction_factor": 4, "window": 0},
    "the default: from epoch 3, factor 2, the last 8": HALVING,
} | {
    f"successive halving from epoch {first}, factor {factor}, {f'the last {window}' if window else 'all'}": HALVING
    | {"min_resource": first, "reduction_factor": factor, "window": window}
    for first, factor, window in [
        (3, 2, 16), (3, 2, 0), (2, 2, 8), (2, 2, 0), (4, 2, 8), (4, 2, 0), (2, 3, 0), (3, 3, 0), (5, 3, 0), (5, 4, 0),
    ]
}  # fmt: skip


@dataclass
class Replayed:
    """A search that was replayed: the epochs that it trained, and how far each trial came and stood there."""

    epochs: int
    reached: dict[int, tuple[int, float]]


def replay(curves, order, pruner, lanes):
    """The search that trains the trials in this order, with a pruner as a sweep file names it."""
    length = curves.shape[1]
    sweep = sweep_of(epochs=length, pruner=pruner, sampler={"name": "random"}, space={"learning_rate": 1.0})
    study = InMemoryStudy(sweep, "replayed")
    waiting, running, found = list(enumerate(order)), {}, Replayed(0, {})
    while waiting or running:
        while waiting and len(running) < lanes:
            number, row = waiting.pop(0)
            running[row] = study.start(number, {"learning_rate": 1.0}), 1
        for row, (trial, epoch) in list(running.items()):
            value = curves[row, epoch - 1]
            found.epochs += 1
            found.reached[row] = epoch, value
            trial.report(value, epoch)
            decision = Decision.COMPLETE if epoch == length else Decision.CONTINUE
            if epoch < length and trial.should_prune():
                decision = Decision.PRUNED
            if decision is Decision.CONTINUE:
                running[row] = trial, epoch + 1
            else:
                del running[row]
                study.end(trial, Ending(decision, value, epoch))
    return found


def measure(curves, pruner, orders, lanes):
    """A row of the table: the means over all orders."""
    final, best, length = curves[:, -1], curves[:, -1].max(), curves.shape[1]
    rows = []
    for order in orders:
        done = replay(curves, order, pruner, lanes)
        finished = [row for row, (epochs, _) in done.reached.items() if epochs == length]
        furthest = sorted(done.reached, key=done.reached.get, reverse=True)[:8]
        top = final[finished].max()
        rows.append((done.epochs / curves.size, 100 * (best - top), top == best, final[furthest].max() == best))
    return np.mean(rows, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=100, help="how many random orders of the trials")
    parser.add_argument("--lanes", type=int, default=4, help="how many trials train side by side")
    parser.add_argument("--sweeps", nargs="+", default=SWEEPS, choices=SWEEPS)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for sweep in given.sweeps:
        curves, chance = load(sweep), np.random.default_rng(0)
        orders = [chance.permutation(len(curves)) for _ in range(given.orders)]
        print(f"{sweep}\n\n| rule | epochs trained | mean regret, points | best kept | among 8 |\n|" + " --- |" * 5)
        for rule, pruner in RULES.items():
            found = measure(curves, pruner, orders, given.lanes)
            print(f"| {rule} | {found[0]:.0%} | {found[1]:.3f} | {found[2]:.0%} | {found[3]:.0%} |", flush=True)
        print()


if __name__ == "__main__":
    main()
