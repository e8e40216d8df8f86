"""The metrics for Prometheus, made from a snapshot of the database at each scrape."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from optbench.exports.records import LOST
from optbench.service.web.snapshot import Snapshot
from optbench.storage.candidates import QueueState
from optbench.storage.pool import PoolState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Collector:
    """The metrics of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield from self._studies()
        yield from self._queue()
        workers = GaugeMetricFamily("optbench_workers", "Workers of the pool by state.", labels=["state"])
        counted = Counter(one.state for one in self.snapshot.workers)
        for state in PoolState:
            workers.add_metric([state], counted[state])
        yield workers
        yield GaugeMetricFamily(
            "optbench_database_read_seconds", "How long the database took for these metrics.", self.snapshot.seconds
        )

    def _studies(self) -> Iterator[Metric]:
        trials = GaugeMetricFamily("optbench_trials", "Trials by study and state.", labels=["study", "state"])
        epochs = CounterMetricFamily("optbench_epochs", "Epochs that were trained.", labels=["study"])
        lost = "Trials that are interrupted or failed, so that their slots are trained again."
        # No counter: a trial whose worker seems dead is interrupted, and runs again if the worker comes back.
        retries = GaugeMetricFamily("optbench_retries", lost, labels=["study"])
        best = GaugeMetricFamily("optbench_best_value", "The best value of a search.", labels=["study"])
        for study in self.snapshot.studies:
            for state, count in study.counts.items():
                trials.add_metric([study.name, state], count)
            epochs.add_metric([study.name], study.epochs)
            retries.add_metric([study.name], sum(study.counts[state] for state in LOST))
            if study.best is not None:
                best.add_metric([study.name], study.best)
        yield from (trials, epochs, retries, best)

    def _queue(self) -> Iterator[Metric]:
        queue = GaugeMetricFamily("optbench_queue_studies", "Studies in the queue by state.", labels=["state"])
        counted = Counter(one.state for one in self.snapshot.queue)
        for state in QueueState:
            queue.add_metric([state], counted[state])
        yield queue
        yield GaugeMetricFamily("optbench_queue_length", "Studies in the queue.", len(self.snapshot.queue))
        yield GaugeMetricFamily(
            "optbench_queue_oldest_waiting_seconds",
            "Seconds since the longest-waiting study was submitted or resumed; 0 if none waits.",
            self.snapshot.oldest_wait,
        )


def metrics(snapshot: Snapshot) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(snapshot))
    return generate_latest(registry)
