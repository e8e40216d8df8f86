"""The program of a worker process: `OPTBENCH_STORAGE=URL python -m optbench.worker STUDY [options]`.

Launchers start it. It prints only problems, each in one line on standard error, and has the exit codes of `optbench
sweep`. The URL comes from the environment because it may contain a password.
"""

import argparse
import sys
from pathlib import Path

from optbench.choices import TrainerName
from optbench.defaults import storage_url
from optbench.errors import OptbenchError, StorageError
from optbench.logs import set_up
from optbench.storage import open_storage
from optbench.worker.session import Options, Session
from optbench.worker.stop import Stop


def main() -> int:
    """The exit code: 0, 2 (a problem, explained in one line), or 128 plus the number of the signal that stopped it."""
    given = _arguments()
    options = Options(
        trainer=TrainerName(given.trainer),
        lanes=given.lanes,
        data_dir=given.data_dir,
        trials=given.trials,
        heartbeat_timeout=given.heartbeat_timeout,
        retries=given.retries,
        allow_code=given.allow_code,
        code=given.code,
    )
    with Stop(given.timeout, drain=given.drain) as stop:
        try:
            set_up()
            storage = open_storage(storage_url())
            try:
                Session(storage, given.study, options).run(stop)
            finally:
                storage.close()
        except OptbenchError as problem:
            if not (stop.signal and isinstance(problem, StorageError)):
                print(f"optbench: {' '.join(str(problem).split())}", file=sys.stderr)
                return 2
    return 128 + stop.signal if stop.signal else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A worker of one study; `optbench sweep` starts it.")
    usual = Options()
    parser.add_argument("study")
    parser.add_argument("--trainer", default=usual.trainer)
    parser.add_argument("--lanes", type=int)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--heartbeat-timeout", type=int, default=usual.heartbeat_timeout)
    parser.add_argument("--retries", type=int, default=usual.retries)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--allow-code", action="store_true")
    parser.add_argument("--code")
    parser.add_argument("--drain", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
