"""Edits the notes that optuna-dashboard shows of studies."""

import json
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models, note_attributes, note_keys, note_of


def edit_note(storage: Storage, study_id: int, edit: Callable[[str], str]) -> None:
    """Replace the text of a study's note by what `edit` makes of it, in one transaction.

    The note keeps its version, so that somebody who is editing it in the browser can still save. Reading and writing
    apart would bring back an old version and an old text if somebody saved in between.
    """
    held = models.StudySystemAttributeModel
    version, prefix = note_keys()

    def work(session: Session) -> None:
        key = (held.key == version) | held.key.startswith(prefix, autoescape=True)
        found = session.scalars(select(held).where(held.study_id == study_id, key).with_for_update())
        rows = {row.key: row for row in found}
        before = note_of({name: json.loads(row.value_json) for name, row in rows.items()})
        after = edit(before)
        if after == before:
            return
        wanted = {version: 0} if version not in rows else {}
        cleared = dict.fromkeys((name for name in rows if name != version), "")
        for name, value in {**wanted, **cleared, **note_attributes(after)}.items():
            row = rows.get(name) or held(study_id=study_id, key=name)
            row.value_json = json.dumps(value)
            session.add(row)

    storage.write(work)
