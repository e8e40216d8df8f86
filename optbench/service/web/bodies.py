"""What requests hold, as pydantic models. The OpenAPI document is made from them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from optbench.exports import Format
from optbench.scheduler.states import Need, Wish
from optbench.storage.about import LONGEST_NOTE, LONGEST_TAG
from optbench.worker.bounds import BOUNDS, LONGEST_LABEL, is_label

TAG = rf"^[^\s,]{{1,{LONGEST_TAG}}}$"


def _label(text: str) -> str:
    if not is_label(text):
        raise ValueError(f"expected 1 to {LONGEST_LABEL} printable characters")
    return text


def _tag(text: str) -> str:
    if not re.fullmatch(TAG, text):
        raise ValueError(f"expected up to {LONGEST_TAG} characters without spaces and commas")
    if not text.isprintable():
        raise ValueError("expected printable characters")
    return text


def _true(given: object) -> object:
    if given is not True:  # a literal would take 1
        raise ValueError("expected true")
    return given


LOW, HIGH = BOUNDS["priority"]
MOST_LINES = BOUNDS["lines"][1]
Priority = Annotated[int, Field(ge=LOW, le=HIGH, strict=True)]
Table = dict[str, JsonValue]
Label = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_LABEL}), AfterValidator(_label)]
Tag = Annotated[str, Field(json_schema_extra={"pattern": TAG}), AfterValidator(_tag)]
Closed = ConfigDict(extra="forbid")


class SubmitOptions(BaseModel):
    """How a study is to be worked on."""

    model_config = Closed
    study: str | None = Field(default=None, description="The study's name; the sweep's unless given.")
    priority: Priority | None = Field(
        default=None, description="Workers take a study with a higher number first; 0 unless given."
    )
    max_workers: Annotated[int, Field(ge=1, le=BOUNDS["max_workers"][1], strict=True)] | None = Field(
        default=None, description="At most this many workers."
    )
    label: Label | None = Field(default=None, description="Only workers with this label take it.")
    needs: Need | None = Field(default=None, description="What its workers must have.")
    trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="The total number of trials, in place of the definition's."
    )


class SubmitBody(SubmitOptions):
    """A sweep's definition, with how its study is to be worked on. In JSON; a definition in TOML is a body alone."""

    definition: Table = Field(description="The keys of a sweep file.")
    tags: Annotated[list[Tag], Field(max_length=100)] = Field(default=[], description="Tags, added to the study's.")
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] | None = Field(default=None, description="A note.")


class Change(BaseModel):
    """What is to change of a study in the queue. What is left out stays."""

    model_config = Closed
    wish: Wish | None = Field(default=None, description="What people want of it.")
    priority: Priority | None = Field(default=None, description="Its priority.")
    trials: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = Field(
        default=None, description="The total number of trials of a search."
    )


class WorkerChange(BaseModel):
    """What is to change of a worker: it can only be drained."""

    model_config = Closed
    draining: Annotated[Literal[True], BeforeValidator(_true)] = Field(
        description="It finishes its running trials and ends."
    )


class EventsQuery(BaseModel):
    """Which events are asked for."""

    model_config = Closed
    count: Annotated[int, Field(ge=1, le=MOST_LINES)] = Field(default=50, description="How many at most.")
    after: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, description="The first with larger ids; without it, the newest."
    )


class TrialsQuery(BaseModel):
    """Which trials are asked for."""

    model_config = Closed
    count: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1000, description="How many at most.")
    after: Annotated[int, Field(ge=-1, le=2**31 - 1)] = Field(
        default=-1, description="Only those with a larger number."
    )


class ShowQuery(BaseModel):
    """How much of a study is asked for."""

    model_config = Closed
    top: Annotated[int, Field(ge=1, le=10_000)] = Field(default=10, description="How many of its best trials.")


class ExportQuery(BaseModel):
    """Which configurations are asked for, and in which form."""

    model_config = Closed
    format: Format = Field(default=Format.JSON, description="The form.")
    trial: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, description="This trial; the best complete one unless given."
    )
    top: Annotated[int, Field(ge=1, le=10_000)] | None = Field(default=None, description="So many of the best.")


class NoQuery(BaseModel):
    """Nothing can be asked for."""

    model_config = Closed
