"""Tells people and programs what happened: events of the log, sent to webhooks and through Apprise, at least once.

The database keeps how far each receiver is. Addresses and secrets stay in a file of the person who runs this.
"""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from urllib.request import Request

from optbench.errors import StorageError
from optbench.service.outgoing import answered
from optbench.storage import Storage
from optbench.storage.event_log import EventKind, EventRecord, position, recent_events, set_position
from optbench.storage.pool import LostWorkers

log = logging.getLogger(__name__)
TIMEOUT = 10.0  # seconds that a receiver has to answer
FIRST, LONGEST = 1.0, 60.0  # seconds before a receiver that failed is tried again; twice as many after each failure
PAUSE = 2.0  # seconds between two looks at the log
OUTAGE = 30.0  # seconds without the database after which that is worth a message
BATCH = 100  # events
SIGNATURE = "X-Optbench-Signature"
USUAL = (EventKind.DONE, EventKind.FAILED, EventKind.WORKER_LOST, EventKind.OUTAGE)


class Channel(Protocol):
    """How a receiver is reached. It raises OSError if the event was not delivered."""

    def send(self, event: EventRecord) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A URL that gets each event as JSON in a POST request, signed with `secret` (see `signature`)."""

    url: str
    secret: str = field(repr=False)

    def send(self, event: EventRecord) -> None:
        """Raises OSError unless the answer is a success."""
        body = json.dumps({**vars(event), "at": f"{event.at.isoformat()}Z"}).encode()
        headers = {"Content-Type": "application/json", SIGNATURE: signature(self.secret, body, int(time.time()))}
        with answered(Request(self.url, body, headers, method="POST"), TIMEOUT):
            pass


@dataclass(frozen=True, kw_only=True)
class AppriseChannel:
    """Everything that Apprise speaks: chat, mail and more, by its URL."""

    url: str = field(repr=False)

    @property
    def known(self) -> bool:
        """Whether Apprise knows a service with such a URL."""
        import apprise

        return bool(apprise.Apprise().add(self.url))

    def send(self, event: EventRecord) -> None:
        """Raises OSError if Apprise could not deliver it."""
        import apprise

        sender = apprise.Apprise()
        sender.add(self.url)
        if not sender.notify(title=f"optbench: {event.kind}", body=in_words(event)):
            raise OSError("Apprise could not deliver it")


@dataclass(kw_only=True)
class Receiver:
    """Who gets which events, and when it is tried again after a failure."""

    name: str
    channel: Channel
    kinds: Sequence[EventKind] = USUAL
    wait: float = field(default=0.0, init=False)  # seconds before the next try, after a failure
    due: float = field(default=0.0, init=False)  # when that is, by the monotonic clock
    outages: list[EventRecord] = field(default_factory=list, init=False)  # not delivered yet; the log has none of them

    @property
    def failed(self) -> bool:
        """Whether it did not take the last event that it was sent."""
        return self.wait > 0

    @property
    def rests(self) -> bool:
        """Whether it is too early to try again after a failure."""
        return time.monotonic() < self.due

    def send(self, event: EventRecord) -> bool:
        """Whether the event was delivered. After a failure the receiver rests for a while."""
        try:
            self.channel.send(event)
        except OSError as problem:
            self.wait = min(2 * self.wait, LONGEST) if self.wait else FIRST
            self.due = time.monotonic() + self.wait
            why = f"{problem}; it is tried again in {self.wait:g} s or later"
            log.warning("%s did not take event %d: %s", self.name, event.id, why)
            return False
        self.wait = 0.0
        return True


class EventSender:
    """Sends the events of one database to its receivers, each event in order and at least once to each of them.

    A new receiver gets events from now on. It also notices workers whose heartbeats stop.
    """

    def __init__(self, storage: Storage, receivers: Sequence[Receiver]) -> None:
        self.storage, self.receivers, self.lost = storage, receivers, LostWorkers(storage)
        self.sent: dict[str, int] = {}  # the last event that each receiver has got, by its name
        self.stored: dict[str, int] = {}  # what the database knows of that
        self.answered = time.monotonic()  # when the database last answered
        self.told = False  # whether receivers are to know of the present outage

    def run(self, stop: Callable[[], object]) -> None:
        """Go on until `stop` returns a request."""
        while not stop():
            self.step()
            until = time.monotonic() + PAUSE
            while not stop() and time.monotonic() < until:
                time.sleep(0.1)

    def step(self) -> int:
        """The number of events that were delivered in one look at the log, or of outages if it cannot be read."""
        try:
            sent = self.look()
            self.answered, self.told = time.monotonic(), False
        except StorageError as problem:
            sent = 0
            self._without_database(problem)
        return sent + sum(_send_outages(receiver) for receiver in self.receivers)

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

    def _without_database(self, problem: StorageError) -> None:
        """Let receivers know once that the database does not answer, if it has not for a while.

        The log cannot hold this event. Its id is below 0, so that it is none of the log's: the seconds since 1970.
        """
        if self.told or time.monotonic() - self.answered < OUTAGE:
            return
        self.told, now = True, datetime.now(UTC)
        event = EventRecord(
            id=-int(now.timestamp()),
            at=now.replace(tzinfo=None),
            kind=EventKind.OUTAGE,
            study=None,
            worker=None,
            text=str(problem),
        )
        for receiver in self.receivers:
            if event.kind in receiver.kinds:
                receiver.outages.append(event)


def _send_outages(receiver: Receiver) -> int:
    """The number of outages that the receiver now knows of. Those that it does not take are kept for the next try."""
    sent = 0
    while receiver.outages and not receiver.rests and receiver.send(receiver.outages[0]):
        del receiver.outages[0]
        sent += 1
    return sent


def signature(secret: str, body: bytes, seconds: int) -> str:
    """The header that proves who sent `body` and when: t=SECONDS,v1=HEX.

    HEX is the HMAC-SHA256 of "SECONDS." and the body, with the secret as its key. SECONDS are since 1970.
    """
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def in_words(event: EventRecord) -> str:
    """The event as a sentence for people."""
    about = event.study or event.worker or "the database"
    return f"{about}: {event.kind}{f' ({event.text})' if event.text else ''}"
