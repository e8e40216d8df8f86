"""Whose a study is, and what people note of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from optbench.errors import DefinitionError
from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models

LONGEST_TAG, LONGEST_NOTE = 60, 1000


@dataclass(frozen=True, kw_only=True)
class About:
    """Who made a study (None: a study of an earlier version), its tags in their order, and a note."""

    owner: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None


def check_about(about: About) -> None:
    """Raise DefinitionError for tags and a note that no study can have."""
    for tag in about.tags:
        if not tag or len(tag) > LONGEST_TAG or any(part.isspace() or part == "," for part in tag):
            raise DefinitionError(f"--tag {tag!r}; expected up to {LONGEST_TAG} characters without spaces and commas")
    if about.note is not None and len(about.note) > LONGEST_NOTE:
        raise DefinitionError(f"--note has {len(about.note):,} characters; expected up to {LONGEST_NOTE:,}")


def read_about(held: Mapping[str, Any]) -> About:
    """What a study's attributes say."""
    return About(
        owner=held.get(StudyAttribute.OWNER),
        tags=tuple(held.get(StudyAttribute.TAGS, ())),
        note=held.get(StudyAttribute.NOTE),
    )


def describe(storage: Storage, study_id: int, about: About) -> None:
    """Add the tags to the study's, replace its note if there is one, and name its owner unless it has one."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        if study is None:
            return
        held = {row.key: json.loads(row.value_json) for row in study.user_attributes}
        before = read_about(held)
        wanted = {
            StudyAttribute.OWNER: before.owner or about.owner,
            StudyAttribute.TAGS: list(dict.fromkeys([*before.tags, *about.tags])),
            StudyAttribute.NOTE: about.note or before.note,
        }
        rows = {row.key: row for row in study.user_attributes}
        for key, value in wanted.items():
            if not value or held.get(key) == value:
                continue
            if key in rows:
                rows[key].value_json = json.dumps(value)
            else:
                study.user_attributes.append(
                    models.StudyUserAttributeModel(key=key.value, value_json=json.dumps(value))
                )

    storage.write(work)
