"""Tells people and programs what happened: events of the log, sent to their receivers, at least once.

The database keeps how far each receiver is. Addresses and secrets stay in a file of the person who runs this.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from optbench.errors import StorageError
from optbench.service.channels import Receiver
from optbench.storage import Storage, open_storage
from optbench.storage.event_log import EventKind, EventRecord, position, recent_events, set_position
from optbench.storage.pool import LostWorkers
from optbench.worker.stop import wait

log = logging.getLogger(__name__)
PAUSE = 2.0  # seconds between two looks at the log
OUTAGE = 30.0  # seconds without the database after which that is worth a message
BATCH = 100  # events


class EventSender:
    """Sends the events of one database to its receivers, each event in order and at least once to each of them.

    A new receiver gets events from now on. It also notices workers whose heartbeats stop.
    """

    def __init__(self, storage: Storage, receivers: Sequence[Receiver], outages: "Outages | None" = None) -> None:
        self.storage, self.receivers, self.lost = storage, receivers, LostWorkers(storage)
        self.sent: dict[str, int] = {}  # the last event that each receiver has got, by its name
        self.stored: dict[str, int] = {}  # what the database knows of that
        self.outages = outages or Outages(receivers)

    def run(self, stop: Callable[[], object]) -> None:
        """Go on until `stop` returns a request."""
        while not stop():
            self.step()
            wait(stop, PAUSE)

    def step(self) -> int:
        """The number of events that were delivered in one look at the log, or of outages if it cannot be read."""
        try:
            sent = self.look()
        except StorageError as problem:
            return self.outages.look(problem)
        return sent + self.outages.look(None)

    def look(self) -> int:
        """The number of events that were delivered in one look at the log. Nothing is written if nothing happened.

        Raises StorageError.
        """
        self.lost.look()
        return sum(self._send_new(receiver) for receiver in self.receivers if not receiver.rests)

    def _send_new(self, receiver: Receiver) -> int:
        name, sent = receiver.name, 0
        if name not in self.sent:
            self.sent[name] = self.stored[name] = position(self.storage, name)
        for event in self._new(self.sent[name]):
            if event.kind in receiver.kinds:
                if not receiver.send(event):
                    break
                sent += 1
            self.sent[name] = event.id
        if self.sent[name] != self.stored[name]:
            set_position(self.storage, name, self.sent[name])
            self.stored[name] = self.sent[name]
        return sent

    def _new(self, after: int) -> Iterator[EventRecord]:
        while found := recent_events(self.storage, count=BATCH, after=after):
            yield from found
            after = found[-1].id


class Outages:
    """Lets receivers know once that the database does not answer, if it has not for a while, and when it does again.

    The log cannot hold these events. Their ids are below 0, so that they are none of the log's: the seconds since 1970.
    """

    def __init__(self, receivers: Sequence[Receiver]) -> None:
        self.receivers = receivers
        self.answered = time.monotonic()  # when the database last answered
        self.told = False  # whether receivers are to know of the present outage

    def look(self, problem: StorageError | None) -> int:
        """The number of events that were delivered, after a try to read the database: its problem; None if it answered.

        Those that a receiver does not take are kept for the next try.
        """
        if problem is None:
            if self.told:
                log.warning("the database answers again")
                self._add(EventKind.RECOVERED, "the database answers again")
            self.answered, self.told = time.monotonic(), False
        elif not self.told and time.monotonic() - self.answered >= OUTAGE:
            log.warning("%s; waiting for it", problem)
            self._add(EventKind.OUTAGE, "the database does not answer")  # receivers need not know where it is
            self.told = True
        return sum(_send_unlogged(receiver) for receiver in self.receivers)

    def _add(self, kind: EventKind, text: str) -> None:
        now = datetime.now(UTC)
        event = EventRecord(
            id=-int(now.timestamp()),
            at=now.replace(tzinfo=None),
            kind=kind,
            study=None,
            worker=None,
            text=text,
        )
        for receiver in self.receivers:
            if event.kind in receiver.kinds:
                receiver.unlogged.append(event)


def _send_unlogged(receiver: Receiver) -> int:
    """How many of these events the receiver took."""
    sent = 0
    while receiver.unlogged and not receiver.rests and receiver.send(receiver.unlogged[0]):
        del receiver.unlogged[0]
        sent += 1
    return sent


def open_patiently(url: str, outages: Outages, stop: Callable[[], object]) -> Storage | None:
    """The database, once it answers; None if `stop` returns a request before that.

    Raises StorageError for a problem that does not pass.
    """
    said = False
    while not stop():
        try:
            return open_storage(url)
        except StorageError as problem:
            if not problem.passing:
                raise
            if not said:
                log.warning("%s; waiting for it", problem)
                said = True
            outages.look(problem)
        wait(stop, PAUSE)
    return None
