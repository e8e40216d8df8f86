"""The contract of a launcher's worker, as tests. To test your own with pytest:

    from optbench.testing.launchers import LauncherContract

    class TestMine(LauncherContract):
        def make(self, url, options):
            return MyWorker(url, options)

The worker takes studies from the queue at `url`, and loads no TensorFlow before there is one.
"""

import signal
import time
from collections.abc import Callable

from optbench.launchers import Status, WorkerProcess
from optbench.launchers.pool_options import PoolOptions
from optbench.storage import Storage, open_storage
from optbench.storage.pool import pool_workers


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Returns once the condition holds. Raises AssertionError if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


class LauncherContract:
    """Every test of the contract. A subclass makes the worker, and gives the URL of an empty database in `new`."""

    seconds = 90.0  # within which a worker starts or ends

    def make(self, url: str, options: PoolOptions) -> WorkerProcess:
        """A worker of the pool that was not started."""
        raise NotImplementedError

    def new(self) -> str:
        """The URL of an empty database that the worker reaches."""
        raise NotImplementedError

    def opened(self) -> Storage:
        """The database, with its tables."""
        return open_storage(self.new(), create=True)

    def started(self, storage: Storage, worker: WorkerProcess) -> None:
        """Starts the worker, and returns once it has told the database."""
        worker.start()
        until(lambda: bool(pool_workers(storage)), self.seconds)
        until(lambda: worker.status is Status.RUNNING, self.seconds)

    def ended(self, storage: Storage, worker: WorkerProcess) -> None:
        """Returns once the worker has ended, in order: it has told the database so."""
        until(lambda: worker.status is Status.ENDED, self.seconds)
        assert pool_workers(storage) == []

    def test_a_worker_is_created_runs_and_ends_when_it_is_idle(self) -> None:
        storage = self.opened()
        worker = self.make(_url(storage), PoolOptions(exit_when_idle=3.0))
        assert worker.status is Status.CREATED
        self.started(storage, worker)
        self.ended(storage, worker)
        until(lambda: "waits for studies in" in worker.logs(), self.seconds)
        storage.close()

    def test_sigterm_and_sigint_end_it_in_order(self) -> None:
        storage = self.opened()
        for number in (signal.SIGTERM, signal.SIGINT):
            worker = self.make(_url(storage), PoolOptions())
            self.started(storage, worker)
            worker.stop(number)
            self.ended(storage, worker)
            worker.stop(number)  # of a worker that has ended: nothing happens
        storage.close()

    def test_its_label_reaches_it_and_its_password_is_in_no_output(self) -> None:
        storage = self.opened()
        label = "it's a $label"
        worker = self.make(_url(storage), PoolOptions(label=label))
        self.started(storage, worker)
        assert [one.label for one in pool_workers(storage)] == [label]
        worker.stop(signal.SIGTERM)
        self.ended(storage, worker)
        assert storage.url.password is None or storage.url.password not in worker.logs()
        storage.close()

    def test_before_its_start_it_has_printed_nothing(self) -> None:
        worker = self.make("sqlite:///not-there.db", PoolOptions())
        assert worker.logs() == ""
        worker.stop(signal.SIGTERM)
        assert worker.status is Status.CREATED


def _url(storage: Storage) -> str:
    return storage.url.render_as_string(hide_password=False)
