"""A soak of the queue: studies with priorities, workers that come and go, kills, pauses, and a database that restarts.

python -m tests.soak [--studies 20] [--workers 8] [--trials 30] [--disturbances 60] [--seed S] [--database KIND]

Nothing is trained (see tests/light). At the end every study must have exactly its total, no trial may run, and the
doctor must find nothing; no worker may be taken for lost that was not killed. It prints what happened as JSON.
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
from collections import Counter
from contextlib import closing
from pathlib import Path

from optbench.errors import StorageError, StudyError
from optbench.scheduler.states import State, StudyState, Wish
from optbench.storage import Storage, open_storage, studies
from optbench.storage.doctor import examine
from optbench.storage.event_log import recent_events
from optbench.storage.pool import PoolState, pool_workers
from optbench.storage.queue import Submission, places
from optbench.storage.steering import steer
from optbench.worker.submission import submit
from tests.conftest import sweep_of
from tests.light import environment
from tests.servers import KINDS

TIMEOUT = 5  # seconds without a heartbeat
OUTAGE = 3.0 * TIMEOUT  # seconds without the database: no heartbeat is young after it, and nobody has died
COMMAND = [sys.executable, "-m", "optbench", "worker", f"--heartbeat-timeout={TIMEOUT}", "--grace=1"]
LONGEST = 900  # seconds until the queue must be empty


class Soak:
    """The workers, and everything that is done to them and to the studies."""

    def __init__(self, storage: Storage, folder: Path, size: int, seed: int) -> None:
        self.storage, self.folder, self.chance = storage, folder, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.workers = [self.start() for _ in range(size)]

    def start(self) -> "subprocess.Popen[bytes]":
        held = environment() | {"OPTBENCH_STORAGE": self.storage.url.render_as_string(hide_password=False)}
        self.done["workers started"] += 1
        with (self.folder / f"worker{self.done['workers started']}.txt").open("wb") as output:
            return subprocess.Popen(COMMAND, env=held, stdout=output, stderr=subprocess.STDOUT)

    def disturb(self) -> None:
        """Do one random thing that workers and studies have to survive."""
        self.chance.choice([self.kill, self.kill, self.replace, self.pause, self.interrupt, self.reorder])()

    def kill(self) -> None:
        """Kill a worker's process. Its supervisor starts another one."""
        if found := pool_workers(self.storage):
            with_pid = self.chance.choice(found).process
            try:
                os.kill(with_pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.done["kills"] += 1

    def replace(self) -> None:
        """Let a worker and its supervisor end, and start new ones."""
        place = self.chance.randrange(len(self.workers))
        self.workers[place].terminate()
        self.workers[place].wait(120)
        self.workers[place] = self.start()
        self.done["replaced"] += 1

    def pause(self) -> None:
        self._wish(Wish.PAUSE, "pauses")

    def interrupt(self) -> None:
        self._wish(Wish.STOP, "stops")

    def reorder(self) -> None:
        """Change a study's priority."""
        if waiting := places(self.storage):
            steer(self.storage, self.chance.choice(waiting).study_id, by="soak", priority=self.chance.randint(-5, 5))
            self.done["priorities"] += 1

    def resume_all(self) -> None:
        for place in places(self.storage):
            if place.wish is not Wish.RUN:
                steer(self.storage, place.study_id, by="soak", wish=Wish.RUN)

    def _wish(self, wish: Wish, name: str) -> None:
        if waiting := places(self.storage):
            steer(self.storage, self.chance.choice(waiting).study_id, by="soak", wish=wish)
            self.done[name] += 1

    def end(self) -> None:
        for one in self.workers:
            one.terminate()
        for one in self.workers:
            one.wait(120)


def run(soak: Soak, disturbances: int, restart: "object") -> None:
    """Disturb the workers so many times, restart the database once, and wait until the queue is empty."""
    for number in range(disturbances):
        time.sleep(soak.chance.uniform(0, 1))
        if number == disturbances // 2 and restart is not None:
            restart.restart(OUTAGE)  # type: ignore[attr-defined]
            soak.done["database restarts"] += 1
        try:
            soak.disturb()
            if number % 5 == 4:
                soak.resume_all()
        except (StorageError, StudyError):  # the study has just been finished, or the database restarts
            soak.done["too late"] += 1
    end = time.monotonic() + LONGEST
    while True:
        try:
            soak.resume_all()
            if not places(soak.storage):
                return
        except (StorageError, StudyError):
            pass
        assert time.monotonic() < end, [place.study for place in places(soak.storage)]
        time.sleep(0.5)


def check(storage: Storage, total: int, kills: int) -> dict[str, int]:
    """What the studies hold, after checking that each has exactly its total and that nothing runs."""
    assert not (found := examine(storage)), found
    counts: Counter[State] = Counter()
    for study in studies(storage):
        assert (study.state, study.finished, study.total) == (StudyState.DONE, total, total), study.name
        counts.update(study.counts)
    time.sleep(TIMEOUT + 1)  # the last ones that were killed are still listed, until another worker removes them
    assert {one.state for one in pool_workers(storage)} <= {PoolState.LOST}
    events = Counter(str(event.kind) for event in recent_events(storage, count=10_000))
    assert events["done"] == len(studies(storage)), events
    assert events["worker lost"] <= kills, (kills, events)
    return {str(state): count for state, count in counts.items()} | {"taken": events["taken"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = {"studies": 20, "workers": 8, "trials": 30, "disturbances": 60, "seed": int(time.time())}
    for option, default in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--database", choices=["sqlite", *KINDS], default="postgresql")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    server, begin = None, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if given.database != "sqlite":
            server = KINDS[given.database]()
            server.start()
        url = server.url("soak") if server else f"sqlite:///{folder}/soak.db"
        try:
            with closing(open_storage(url, create=True)) as storage:
                storage.outage = lambda problem: True
                sweep = sweep_of(trials=given.trials, epochs=20, pruner={"name": "none"})
                for number in range(given.studies):
                    submit(storage, sweep, f"study {number:02d}", Submission(owner="soak", priority=number % 4))
                soak = Soak(storage, Path(folder), given.workers, given.seed)
                try:
                    run(soak, given.disturbances, server)
                finally:
                    soak.end()
                for file in Path(folder).glob("worker*.txt"):
                    assert "Traceback" not in file.read_text(), file.read_text()
                found = check(storage, given.trials, soak.done["kills"])
        finally:
            if server:
                server.stop()
    print(json.dumps(dict(soak.done) | found | {"seconds": round(time.monotonic() - begin)}))


if __name__ == "__main__":
    main()
