"""Reads the file that says who is to be told what (see channels.py)."""

import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from optbench.errors import DefinitionError, OutputError, nearest
from optbench.service.channels import USUAL, AppriseChannel, Channel, Receiver, Webhook
from optbench.service.outgoing import is_url
from optbench.service.secret_files import private_state
from optbench.storage.event_log import EventKind

SHORTEST_SECRET = 16  # characters
EXPECTED = {
    "receiver": "one or more tables [[receiver]]",
    "name": "a text of 1 to 100 characters in quotes",
    "webhook": "a URL in quotes",
    "secret": f"{SHORTEST_SECRET} or more characters in quotes",
    "apprise": "a URL of Apprise in quotes",
    "events": f"a list of one or more of {', '.join(map(repr, map(str, EventKind)))}",
}


class ReceiverTable(BaseModel):
    """A table [[receiver]]: its name, a webhook with a secret or an address of Apprise, and which events it gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    webhook: str | None = None
    secret: Annotated[str, Field(min_length=SHORTEST_SECRET)] | None = None
    apprise: str | None = None
    events: Annotated[list[EventKind], Field(min_length=1)] = list(USUAL)


class ReceiverFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    receiver: Annotated[list[ReceiverTable], Field(min_length=1)]


def read_receivers(path: Path) -> Sequence[Receiver]:
    """The receivers that the TOML file names. Raises DefinitionError, also if other users can read it, and OutputError
    where Apprise is missing."""
    try:
        private_state(path, str(path))
        tables = ReceiverFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).receiver
    except OSError as problem:
        raise DefinitionError(f"{path} cannot be read: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DefinitionError(f"{path} is not valid TOML: {problem}") from problem
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_input=False)
        raise DefinitionError(f"{path}: {_refusal(errors)}; see `optbench docs queue`") from None
    names = [table.name for table in tables]
    if len(set(names)) < len(names):
        raise DefinitionError(f"{path}: several receivers have the same name; expected different names")
    return [Receiver(name=table.name, channel=_channel(table, path), kinds=table.events) for table in tables]


def _refusal(errors: Sequence[ErrorDetails]) -> str:
    """What the first of pydantic's errors means. A value is never repeated, because it may be a secret."""
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    place, key = "", ""
    for part in first["loc"]:
        if isinstance(part, str):
            key = part
        elif key == "receiver":
            place = f"receiver {part + 1}: "
    if first["type"] == "extra_forbidden":
        return f"{place}unknown key {key!r}; {nearest(key, (ReceiverTable if place else ReceiverFile).model_fields)}"
    said = f"{key!r} is missing" if first["type"] == "missing" else f"{key!r} is not right"
    return f"{place}{said}; expected {EXPECTED[key]}"


def _channel(table: ReceiverTable, path: Path) -> Channel:
    where = f"{path}: receiver {table.name!r}"
    if (table.webhook is None) == (table.apprise is None):
        raise DefinitionError(f"{where} has both or neither of webhook and apprise; expected one of them")
    if table.apprise is not None:
        if find_spec("apprise") is None:
            raise OutputError(f"{where}: apprise is not installed; type `pip install 'optbench[apprise]'`")
        if not AppriseChannel(url=table.apprise).known:
            raise DefinitionError(f"{where}: Apprise does not know such a URL; expected one as in its manual")
        return AppriseChannel(url=table.apprise)
    assert table.webhook is not None, "one of them is there"
    if not is_url(table.webhook):
        raise DefinitionError(
            f"{where}: 'webhook' is not right; expected a URL without spaces and user names: https://HOST/PATH"
        )
    if table.secret is None:
        raise DefinitionError(f"{where} has no secret; expected {SHORTEST_SECRET} or more characters to sign with")
    return Webhook(url=table.webhook, secret=table.secret)
