"""What a claim and a heartbeat cost while many workers train one study that nothing is trained in.

A database is filled with workers, each with running trials that have reached some epochs. Then some of the workers
claim further trials, first one after the other and then several processes at once, and all write heartbeats. The trials
that were claimed are ended between the measurements.

    python -m tests.benchmarks.claiming [--workers 4 64 256] [--lanes 4] [--kinds postgresql sqlite] [--claimers 2]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from optbench.definition import parse
from optbench.scheduler.attributes import TrialAttribute
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.storage import Writer, open_storage, open_study
from tests.benchmarks.storing import DRAWN, EPOCHS, SWEEP, databases, epoch

AT_ONCE, HEARTBEATS = 20, 100


class Claimer:
    """A worker that claims the slots after those that it knows to be taken, as a scheduler does."""

    def __init__(self, storage):
        sweep = parse(SWEEP, "benchmark")
        study_id, _ = open_study(storage, sweep.name, "validation accuracy", {"definition": sweep.definition()})
        self.writer = Writer(storage, study_id, sweep.name, heartbeat_timeout=3600)
        self.taken = -1

    def choose(self, updates):
        for trial in updates:
            self.taken = max(self.taken, trial.user_attrs[TrialAttribute.SLOT])
        return self.taken + 1

    def claim(self):
        return self.writer.claim(self.choose).trial_id

    def end(self, trial_ids):
        """End claimed trials as Ctrl-C would."""
        self.writer.record({}, dict.fromkeys(trial_ids, Ending(Decision.INTERRUPTED, None, 0, STOPPED)), {})

    def train(self):
        """Give this worker a running trial with half of its epochs."""
        trial_id = self.claim()
        self.writer.begin(trial_id, dict.fromkeys(DRAWN, 0.5), DRAWN, {"optimizer": "adadelta"})
        for n in range(1, EPOCHS // 2 + 1):
            self.writer.record({trial_id: epoch(n, 0.5)}, {}, {})


def claims(url, go):
    """One process of several that claim at once: its seconds."""
    with closing(open_storage(url)) as storage:
        claimer = Claimer(storage)
        claimer.writer.updates()
        print("ready", flush=True)
        while not go.exists():
            time.sleep(0.001)
        begin = time.perf_counter()
        claimed = [claimer.claim() for _ in range(AT_ONCE)]
        print(time.perf_counter() - begin, flush=True)
        claimer.end(claimed)
        claimer.writer.leave()


def together(url, count, folder):
    """Claims per second of so many processes at once."""
    go = Path(folder) / f"go-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "tests.benchmarks.claiming", "--claim", url, str(go)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for process in processes:
        process.stdout.readline()
    go.touch()
    return count * AT_ONCE / max(float(process.communicate()[0]) for process in processes)


def milliseconds(call, times):
    """The median of so many calls; `call` gets the number of each."""
    spent = []
    for number in range(times):
        begin = time.perf_counter()
        call(number)
        spent.append(1000 * (time.perf_counter() - begin))
    return statistics.median(spent)


def measure(url, sizes, lanes, claimers, folder):
    print("| workers | running trials | claim ms | claims per second | heartbeat ms | longest |\n" + "| --- " * 6 + "|")
    with closing(open_storage(url, create=True)) as storage:
        present = []
        for size in sizes:
            while len(present) < size:
                present.append(Claimer(storage))
                for _ in range(lanes):
                    present[-1].train()
            for worker in present:
                worker.writer.heartbeat()
            first = present[0]
            first.writer.updates()
            claimed = []
            claim = milliseconds(lambda _, worker=first, claimed=claimed: claimed.append(worker.claim()), AT_ONCE)
            first.end(claimed)
            rate = together(url, claimers, folder)
            longest = [0.0]

            def beat(number, workers=present, longest=longest):
                begin = time.perf_counter()
                workers[number % len(workers)].writer.heartbeat()
                longest[0] = max(longest[0], 1000 * (time.perf_counter() - begin))

            median = milliseconds(beat, max(HEARTBEATS, size))
            print(
                f"| {size} | {size * lanes} | {claim:.1f} | {rate:.0f} | {median:.1f} | {longest[0]:.0f} |", flush=True
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 64, 256])
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", default=["postgresql"])
    parser.add_argument("--claimers", type=int, default=2)
    parser.add_argument("--claim", nargs=2, metavar=("URL", "GO"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.claim:
        claims(given.claim[0], Path(given.claim[1]))
        return
    for kind in given.kinds:
        with tempfile.TemporaryDirectory() as folder, databases(kind, folder) as new:
            print(f"\n{kind}, {given.claimers} processes claim at once")
            measure(new("claiming"), sorted(given.workers), given.lanes, given.claimers, folder)


if __name__ == "__main__":
    main()
