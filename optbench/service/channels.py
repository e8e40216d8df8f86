"""How receivers are reached: signed webhooks, and through Apprise everything that it speaks."""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.request import Request

from optbench.service.outgoing import answered
from optbench.storage.event_log import EventKind, EventRecord

log = logging.getLogger(__name__)
TIMEOUT = 10.0  # seconds that a receiver has to answer
FIRST, LONGEST = 1.0, 60.0  # seconds before a receiver that failed is tried again; twice as many after each failure
SIGNATURE = "X-Optbench-Signature"
APPRISE_TYPES = {
    EventKind.DONE: "success",
    EventKind.FAILED: "failure",
    EventKind.CRASHED: "warning",
    EventKind.WORKER_LOST: "warning",
    EventKind.OUTAGE: "failure",
    EventKind.RECOVERED: "success",
}
USUAL = (EventKind.DONE, EventKind.FAILED, EventKind.WORKER_LOST, EventKind.OUTAGE, EventKind.RECOVERED)


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
        kind = APPRISE_TYPES.get(event.kind, "info")
        if not sender.notify(title=f"optbench: {event.kind}", body=in_words(event), notify_type=kind):
            raise OSError("Apprise could not deliver it")


@dataclass(kw_only=True)
class Receiver:
    """Who gets which events, and when it is tried again after a failure."""

    name: str
    channel: Channel
    kinds: Sequence[EventKind] = USUAL
    wait: float = field(default=0.0, init=False)  # seconds before the next try, after a failure
    due: float = field(default=0.0, init=False)  # when that is, by the monotonic clock
    unlogged: list[EventRecord] = field(default_factory=list, init=False)  # not delivered yet, and not in the log

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


def signature(secret: str, body: bytes, seconds: int) -> str:
    """The header that proves who sent `body` and when: t=SECONDS,v1=HEX.

    HEX is the HMAC-SHA256 of "SECONDS." and the body, with the secret as its key. SECONDS are since 1970.
    """
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def in_words(event: EventRecord) -> str:
    """The event as a sentence for people."""
    about = event.study or event.worker
    if about is None:
        return event.text
    return f"{about}: {event.kind}{f' ({event.text})' if event.text else ''}"
