"""Real worker processes for the fault suite and the soak: started, frozen, stopped, killed; and what must hold after.

python -m tests.crew [--kills 200] [--workers 3] [--trials 400] [--storage URL] [--seed S] [--light]
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
from optbench.storage import curve, find_study, open_storage
from optbench.storage.doctor import examine
from tests.conftest import ROOT, TINY, write_toml

COMMAND = [sys.executable, "-m", "optbench", "sweep"]
HEARTBEAT_TIMEOUT = 5
SWEEP = TINY | {"name": "crew", "epochs": 20, "model": {"hidden": [64]}, "pruner": {"name": "none"}}


class Crew:
    """Processes that run the same command on the same database; those left are killed at the end of `with`."""

    def __init__(self, folder: Path, url: str, total: int, *options: str, light: bool = False) -> None:
        self.folder, self.url, self.total, self.options, self.light = folder, url, total, options, light
        self.file = write_toml(folder / "crew.toml", SWEEP | {"trials": total})
        self.members: list[subprocess.Popen[bytes]] = []
        self.outputs: dict[int, Path] = {}
        self.hurt: set[int] = set()

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()
            member.wait()

    def start(self, *before: str) -> "subprocess.Popen[bytes]":
        """One more worker; `before` are words in front of the command."""
        timeout = f"--heartbeat-timeout={HEARTBEAT_TIMEOUT}"
        command = [*before, *COMMAND, str(self.file), timeout, "--lanes=2", *self.options]
        if self.light:
            command = [sys.executable, "-m", "tests.light", str(self.file), timeout]
        output = self.folder / f"member{len(self.members)}.txt"  # a pipe that nobody reads meanwhile would fill up
        with output.open("wb") as file:
            environment = os.environ | {"OPTBENCH_STORAGE": self.url}
            member = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment)
        self.members.append(member)
        self.outputs[member.pid] = output
        return member

    def said(self, member: "subprocess.Popen[bytes]", end: float | None = None) -> str:
        """What the worker has said so far; or, given `end`, once it has ended within so many seconds."""
        if end is not None:
            member.wait(end)
        return self.outputs[member.pid].read_text()

    def hit(self, member: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
        """Send the signal; its trials may be trained again by others."""
        self.hurt.add(member.pid)
        member.send_signal(number)

    def trials(self) -> list[FrozenTrial]:
        """Every trial of the study; none where there is no database or study yet."""
        try:
            storage = open_storage(self.url)
        except StorageError:
            return []
        try:
            return storage.optuna.get_all_trials(find_study(storage, "crew").study_id)
        except StudyError:
            return []
        finally:
            storage.close()

    def training(self, member: "subprocess.Popen[bytes]") -> bool:
        """Whether a trial of this worker has trained an epoch and goes on."""
        own = [t for t in self.trials() if t.state == TrialState.RUNNING and worker_pid(t) == member.pid]
        return any(t.intermediate_values for t in own)

    def wait(self, reached: Callable[[], bool], seconds: float = 120, ended: bool = False) -> None:
        """Wait until something is so. AssertionError if not in time, or, but for `ended`, if no worker is left."""
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end
            assert ended or any(member.poll() is None for member in self.members) or reached()
            time.sleep(0.2)

    def finish(self, seconds: float = 240) -> list[str]:
        """What the workers said, once all of them have ended; those that nobody ended must have done so with 0."""
        told = [self.said(member, seconds) for member in self.members]
        codes = {member.pid: member.returncode for member in self.members}
        unhurt = {pid: code for pid, code in codes.items() if pid not in self.hurt}
        assert set(unhurt.values()) <= {0}, (unhurt, told[-1][-2000:])
        assert not any("Traceback" in text or "database is locked" in text for text in told), told
        return told


def check(crew: Crew) -> dict[str, int]:
    """Whether the study holds all of its promises; returns what there is of it."""
    storage = open_storage(crew.url)
    try:
        assert examine(storage) == []
        record = find_study(storage, "crew")
        trials = storage.optuna.get_all_trials(record.study_id)
        finished = [t for t in trials if t.state.name in ("COMPLETE", "PRUNED")]
        failed = [t for t in trials if t.state.name == "FAIL"]
        assert len(finished) == crew.total
        assert len(finished) + len(failed) == len(trials)
        assert sorted(t.user_attrs["slot"] for t in finished) == list(range(crew.total))
        lengths = Counter(len(curve(storage, t._trial_id)) for t in finished if not t.user_attrs["diverged"])
        assert set(lengths) == {SWEEP["epochs"]}, lengths
        stray = {t.user_attrs["worker"] for t in failed if worker_pid(t) not in crew.hurt}
        assert stray == set(), "trials of workers that nobody hurt were taken from them"
        assert all(t.user_attrs["reason"] for t in failed)
        tried = defaultdict(list)
        for trial in [*failed, *finished]:
            if trial.params:
                tried[trial.user_attrs["slot"]].append(trial.params)
        assert not any(again[0] != params for again in tried.values() for params in again[1:3])
        return {"finished": len(finished), "trained again": len(failed)}
    finally:
        storage.close()


def worker_pid(trial: FrozenTrial) -> int:
    """The process that trains or trained the trial."""
    return int(trial.user_attrs["worker"].split("-")[-2])


def storm(crew: Crew, size: int, kills: int, seed: int) -> dict[str, int]:
    """So many workers at a time, some of them hurt at random moments, again and again; then left to finish.

    Each time some are killed, all of them at times; else one is frozen for less than its timeout, or told to stop.
    """
    chance, done = random.Random(seed), Counter()
    up = [crew.start() for _ in range(size)]
    while done["killed"] < kills:
        victims = chance.sample(range(size), chance.randint(1, size))
        if chance.random() < 0.8:
            crew.wait(lambda awaited=up[victims[0]]: awaited.poll() is not None or crew.training(awaited))
        time.sleep(chance.uniform(0, 1.5))
        if all(member.poll() == 0 for member in up):
            break  # the study has its total
        if chance.random() < 0.1:
            up[victims[0]].send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0.2, HEARTBEAT_TIMEOUT / 3))
            up[victims[0]].send_signal(signal.SIGCONT)
            done["frozen"] += 1
            continue
        how = signal.SIGKILL if chance.random() < 0.9 else signal.SIGTERM
        for place in victims:
            if up[place].poll() is None:
                crew.hit(up[place], how)
                done["killed" if how == signal.SIGKILL else "stopped"] += 1
                up[place] = crew.start()
    crew.finish()
    return dict(done)


def main() -> None:
    """The soak: a longer storm, told as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--light", action="store_true", help="workers that train nothing (see tests/light.py)")
    for option, default in {"kills": 200, "workers": 3, "trials": 400, "seed": int(time.time())}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--storage", help="a new, empty database [default: a SQLite file]")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    start = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        crew = stack.enter_context(
            Crew(folder, given.storage or f"sqlite:///{folder}/soak.db", given.trials, light=given.light)
        )
        done = storm(crew, given.workers, given.kills, given.seed)
        print(json.dumps(done | check(crew) | {"workers": given.workers, "seconds": round(time.monotonic() - start)}))


if __name__ == "__main__":
    main()
