"""Studies with made-up results, for tests of comparisons and reports: searches, confirmations, a baseline."""

import numpy as np

from optbench.comparison.confirmation import confirmation, plan
from optbench.definition import parse
from optbench.definition.sweep import Finals
from optbench.optimizers import OPTIMIZERS
from optbench.scheduler.scheduler import Scheduler
from optbench.scheduler.states import Decision, Ending
from optbench.storage import Writer, append_fixed, find_study, open_storage, open_study, studies, trials
from optbench.training.contract import Epoch
from optbench.worker.finals import advance, open_finals
from tests.conftest import OF_A_SEARCH, TINY, sweep_of
from tests.test_study import TRAINER

LANES = 8
SPACES = {
    "adadelta": {
        "learning_rate": {"low": 0.01, "high": 10.0, "log": True},
        "epsilon": {"low": 1e-9, "high": 1e-3, "log": True},
    },
    "adam": {
        "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
        "epsilon": {"low": 1e-9, "high": 1e-3, "log": True},
    },
}
FIXED = [
    {"optimizer": "adadelta", "label": "AdaDelta, Keras", "seeds": [0, 1], "published_test_accuracy": 0.8653}
    | OPTIMIZERS["adadelta"].resolve({}),
    {"optimizer": "adadelta", "label": "AdaDelta, paper", "learning_rate": 1.0, "epsilon": 1e-6, "seeds": [0, 1]},
    {"optimizer": "adam", "label": "Adam, Keras", "seeds": [0, 1], "published_test_accuracy": 0.9811},
]


def run(storage, sweep, name, score, origin=None, test_set=False):
    """Create a study and fill it without training. `score` is the same as for `fill`."""
    fingerprint = sweep.fingerprint({"data.sha256": "d"})
    attributes = {"definition": sweep.definition(), "fingerprint": fingerprint, "trials": sweep.trials}
    if origin:
        attributes["origin"] = origin
    open_study(storage, name, "test accuracy" if test_set else "validation accuracy", attributes)
    fill(storage, find_study(storage, name), score, test_set)


def fill(storage, study, score, test_set=False):
    """Fill a study without training, `LANES` trials at a time.

    `score(job)` is the final accuracy of a trial; NaN makes the trial diverge.
    """
    sweep, writer = study.sweep, Writer(storage, study.study_id, study.name)
    scheduler = Scheduler(sweep, writer)
    for optimizer in sweep.optimizers:
        running = {}  # the job and its epochs, by number
        while True:
            while len(running) < LANES and (job := scheduler.ask(optimizer, TRAINER)) is not None:
                running[job.number] = job, 0
            if not running:
                break
            running = {number: (job, n + 1) for number, (job, n) in running.items()}
            ends = {number: float(np.clip(score(job), 0, 1)) for number, (job, _) in running.items()}
            rows = {number: made_up(ends[number], n, test_set) for number, (_, n) in running.items()}
            endings = {}
            for number, row in rows.items():
                decision = scheduler.decide(running[number][0], row)
                if decision is not Decision.CONTINUE:
                    final = ends[number] if decision is Decision.COMPLETE else row.train_accuracy
                    endings[number] = Ending(decision, final, row.epoch, tested=test_set)
            scheduler.record(rows, endings)
            running = {number: place for number, place in running.items() if number not in endings}
    writer.leave()


def made_up(end, n, test_set):
    """Epoch n of a trial with the final accuracy `end`."""
    value = end * (1 - 0.5**n) if end == end else 0.1
    return Epoch(
        epoch=n,
        train_loss=0.5 + 0 * end,
        train_accuracy=value,
        validation_loss=None if test_set else 0.5,
        validation_accuracy=None if test_set else value,
        seconds=0.1,
        chance=0.1,
        effective_lr=1e-3 * n,
        weight_distance=0.2 * n,
    )


def search(name="adadelta", **changes):
    """The definition of a search. The first word of its name is the optimizer, unless `optimizer` says otherwise."""
    optimizer = changes.pop("optimizer", name.split("-")[0].split("/")[0])
    keys = {"name": name, "optimizer": optimizer, "space": SPACES[optimizer], "trials": 30, "epochs": 6}
    return sweep_of(**(keys | {"pruner": {"name": "median", "audit": 0.5}} | changes))


def peak(job):
    """The accuracy of a job: it peaks at learning rate 1 (AdaDelta) or 0.01 (Adam)."""
    best = {"adadelta": 1.0, "adam": 0.01}[job.optimizer]
    return 0.95 - 0.05 * abs(np.log10(job.hparams["learning_rate"] / best))


def confirm(storage, name, level, seeds=10, noise=0.001):
    """Confirm the two best trials of a search with made-up test accuracies around `level`."""
    study = find_study(storage, name)
    sweep = confirmation(study, trials(storage, study.study_id), 2, seeds, None)
    score = lambda job: level + noise * np.random.default_rng([job.seed, len(job.optimizer)]).normal()  # noqa: E731
    extend(storage, sweep, study, score)


def extend(storage, sweep, searched, score):
    """Make the confirmation of a search, or extend it; `score` as in `fill`."""
    found = plan(sweep, searched, studies(storage))
    if found.extends is None:
        run(storage, found.sweep, found.name, score, searched.name, test_set=True)
        return
    known = len(found.extends.sweep.fixed)
    append_fixed(storage, found.extends.study_id, known, found.sweep.fixed[known:])
    fill(storage, find_study(storage, found.name), score, test_set=True)


def comparison_database(folder):
    """The URL of a database with a whole comparison: two confirmed searches, their exploration, and a baseline."""
    url = f"sqlite:///{folder}/x.db"
    storage = open_storage(url, create=True)
    for name in ("adadelta", "adam"):
        run(storage, search(name), name, peak)
        explore = search(f"{name}-explore", sampler={"name": "qmc"}, pruner={"name": "none"}, trials=64)
        run(storage, explore, f"{name}-explore", peak)
    fixed = {k: v for k, v in TINY.items() if k not in OF_A_SEARCH}
    fixed |= {"name": "base", "epochs": 6, "data": {"name": "digits", "validation": 0}, "trial": FIXED}
    levels = {"adadelta": 0.87, "adam": 0.98}
    run(storage, parse(fixed, "base"), "base", lambda job: levels[job.optimizer], test_set=True)
    confirm(storage, "adadelta", 0.981)
    confirm(storage, "adam", 0.970)
    storage.close()
    return url


def race(storage, name, score):
    """Hold the finals of a search without training, round by round; `score` as in `fill`."""
    finals = open_finals(storage, find_study(storage, name), Finals(), {"data.sha256": "d"}).name
    while True:
        before = find_study(storage, finals)
        fill(storage, before, score)
        if len(advance(storage, finals).fixed) == len(before.sweep.fixed):
            return
