"""Real worker processes for the fault tests: start them, freeze, stop and kill them, and check the study afterwards.

As a program it is a soak test, which kills workers at random for as long as you like:
python -m tests.workers [--kills 200] [--workers 3] [--trials 400] [--storage URL] [--seed S] [--light]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from optbench.errors import StorageError, StudyError
from optbench.storage import Storage, curve, find_study, open_storage
from optbench.storage.doctor import examine
from tests.conftest import ROOT, TINY, write_toml
from tests.light import environment as light_environment

COMMAND = [sys.executable, "-m", "optbench", "sweep"]
HEARTBEAT_TIMEOUT = 5
STUDY = "faults"
SWEEP = TINY | {"name": STUDY, "epochs": 20, "model": {"hidden": [64]}, "pruner": {"name": "none"}}


class Workers:
    """Processes that run the same sweep on the same database. The end of `with` kills those that still run.

    Unless `light` is false, they have a fake trainer (see tests/light).
    """

    def __init__(self, folder: Path, url: str, total: int, *options: str, light: bool = True) -> None:
        self.folder, self.url, self.total, self.options, self.light = folder, url, total, options, light
        self.file = write_toml(folder / f"{STUDY}.toml", SWEEP | {"trials": total})
        self.processes: list[subprocess.Popen[bytes]] = []
        self.output_files: dict[int, Path] = {}
        self.signalled: set[int] = set()
        self.storage: Storage | None = None  # opened once the database is there: every opening costs processor time

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        if self.storage is not None:
            self.storage.close()

    def start(self, *prefix: str) -> "subprocess.Popen[bytes]":
        """One more worker process. The words of `prefix` go in front of its command."""
        timeout = f"--heartbeat-timeout={HEARTBEAT_TIMEOUT}"
        command = [*prefix, *COMMAND, str(self.file), timeout, "--lanes=2", *self.options]
        environment = (light_environment() if self.light else os.environ) | {"OPTBENCH_STORAGE": self.url}
        # A file, because a pipe that nobody reads fills up and blocks the process.
        output_file = self.folder / f"worker{len(self.processes)}.txt"
        with output_file.open("wb") as file:
            process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment)
        self.processes.append(process)
        self.output_files[process.pid] = output_file
        return process

    def output(self, process: "subprocess.Popen[bytes]", end_within: float | None = None) -> str:
        """What the process has printed so far. `end_within` first waits that many seconds for it to end."""
        if end_within is not None:
            process.wait(end_within)
        return self.output_files[process.pid].read_text()

    def send(self, process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
        """Send a signal to the process and remember it, because other workers may train its trials again."""
        self.signalled.add(process.pid)
        process.send_signal(number)

    def trials(self) -> list[FrozenTrial]:
        """All trials of the study; an empty list while there is no database or no study."""
        try:
            self.storage = self.storage or open_storage(self.url)
            return self.storage.optuna.get_all_trials(find_study(self.storage, STUDY).study_id)
        except (StorageError, StudyError):
            return []

    def is_training(self, process: "subprocess.Popen[bytes]") -> bool:
        """True once a running trial of this process has finished an epoch."""
        own = [t for t in self.trials() if t.state == TrialState.RUNNING and worker_pid(t) == process.pid]
        return any(t.intermediate_values for t in own)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 120, may_end: bool = False) -> None:
        """Wait until the condition holds.

        Fails after so many seconds, or as soon as no worker process is left (unless `may_end`).
        """
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            assert may_end or any(process.poll() is None for process in self.processes) or condition()
            time.sleep(0.2)

    def finish(self, seconds: float = 240) -> list[str]:
        """The output of each process, once all have ended; fails if one ended badly without having got a signal."""
        outputs = [self.output(process, seconds) for process in self.processes]
        codes = {process.pid: process.returncode for process in self.processes}
        undisturbed = {pid: code for pid, code in codes.items() if pid not in self.signalled}
        assert set(undisturbed.values()) <= {0}, (undisturbed, outputs[-1][-2000:])
        assert not any("Traceback" in text or "database is locked" in text for text in outputs), outputs
        return outputs


def check(workers: Workers) -> dict[str, int]:
    """How many trials finished and how many were trained again, after checking that the finished study is sound."""
    storage = open_storage(workers.url)
    try:
        assert examine(storage) == []
        record = find_study(storage, STUDY)
        trials = storage.optuna.get_all_trials(record.study_id)
        finished = [t for t in trials if t.state.name in ("COMPLETE", "PRUNED")]
        failed = [t for t in trials if t.state.name == "FAIL"]
        assert len(finished) == workers.total
        assert len(finished) + len(failed) == len(trials)
        assert sorted(t.user_attrs["slot"] for t in finished) == list(range(workers.total))
        lengths = Counter(len(curve(storage, t._trial_id)) for t in finished if not t.user_attrs["diverged"])
        assert set(lengths) == {SWEEP["epochs"]}, lengths
        wronged = {t.user_attrs["worker"] for t in failed if worker_pid(t) not in workers.signalled}
        assert wronged == set(), "workers that got no signal lost trials"
        assert all(t.user_attrs["reason"] for t in failed)
        params_by_slot = defaultdict(list)
        for trial in [*failed, *finished]:
            if trial.params:
                params_by_slot[trial.user_attrs["slot"]].append(trial.params)
        assert not any(again[0] != params for again in params_by_slot.values() for params in again[1:3])
        return {"finished": len(finished), "trained again": len(failed)}
    finally:
        storage.close()


def worker_pid(trial: FrozenTrial) -> int:
    """The process that trains or trained the trial."""
    return int(trial.user_attrs["worker"].split("-")[-2])


def disturb(workers: Workers, size: int, kills: int, seed: int) -> dict[str, int]:
    """How many workers were killed, stopped and frozen at random moments, before the rest finished the study.

    `size` workers run at a time. Each round picks some or all of them. It usually kills them, sometimes stops them with
    SIGTERM, and sometimes freezes one for less than its heartbeat timeout. New workers replace those that it ended.
    """
    chance, done = random.Random(seed), Counter()
    running = [workers.start() for _ in range(size)]
    while done["killed"] < kills:
        victims = chance.sample(range(size), chance.randint(1, size))
        if chance.random() < 0.8:
            workers.wait_until(
                lambda awaited=running[victims[0]]: awaited.poll() is not None or workers.is_training(awaited)
            )
        time.sleep(chance.uniform(0, 1.5))
        if all(process.poll() == 0 for process in running):
            break  # the study is done
        if chance.random() < 0.1:
            running[victims[0]].send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0.2, HEARTBEAT_TIMEOUT / 3))
            running[victims[0]].send_signal(signal.SIGCONT)
            done["frozen"] += 1
            continue
        number = signal.SIGKILL if chance.random() < 0.9 else signal.SIGTERM
        for place in victims:
            if running[place].poll() is None:
                workers.send(running[place], number)
                done["killed" if number == signal.SIGKILL else "stopped"] += 1
                running[place] = workers.start()
    workers.finish()
    return dict(done)


def main() -> None:
    """Run the soak test and print its counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--light", action="store_true", help="workers with a fake trainer (see tests/light)")
    for option, default in {"kills": 200, "workers": 3, "trials": 400, "seed": int(time.time())}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--storage", help="a new, empty database [default: a SQLite file]")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    start = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = stack.enter_context(
            Workers(folder, given.storage or f"sqlite:///{folder}/soak.db", given.trials, light=given.light)
        )
        done = disturb(workers, given.workers, given.kills, given.seed)
        seconds = round(time.monotonic() - start)
        print(json.dumps(done | check(workers) | {"workers": given.workers, "seconds": seconds}))


if __name__ == "__main__":
    main()
