"""Makes the study of a sweep in a database, or joins it if it exists and has the same fingerprint.

The process that makes a study has loaded the data, and stores the data's digests in the fingerprint. Every worker that
joins computes the digests from its own copy of the data and compares them.
"""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Literal

from optbench.data.dataset import Facts
from optbench.definition.fingerprint import compact, differences
from optbench.definition.known import known_as
from optbench.definition.stored import as_begun
from optbench.definition.sweep import Sweep
from optbench.errors import NameTakenError, StudyError
from optbench.scheduler.attributes import StudyAttribute
from optbench.scheduler.finals import FinalsPlan
from optbench.scheduler.states import Metric, Role
from optbench.storage import (
    PENDING,
    NewTotal,
    Storage,
    StudyRecord,
    UntilDecided,
    append_fixed,
    complete_study,
    find_study,
    glance,
    note_until_decided,
    open_study,
    past_attributes,
    set_total,
    studies,
    sweep_of,
    write_plan,
)
from optbench.worker.start import begin

OTHER_DATA = "restore the data, or sweep the new data under another name, with --study"
VERSIONS = ("optbench", "optuna", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Relations:
    """How a study is related to other studies.

    `role` says what it is for (None: a search, or the list of a file), and `origin` is the name of the search whose
    configurations it trains again. `until_decided` says how far a confirmation is asked to go if its seeds are added
    until a comparison is decided. `repeat_of` is the name that the repeats of one sweep share. `plan` is that of
    finals.
    """

    role: Role | None = None
    origin: str | None = None
    until_decided: UntilDecided | None = None
    repeat_of: str | None = None
    plan: FinalsPlan | None = None


def create_study(
    storage: Storage,
    sweep: Sweep,
    name: str,
    digests: Mapping[str, str],
    relations: Relations | None = None,
    facts: Facts | None = None,
) -> StudyRecord:
    """The study `name`, with the sweep's definition and total; made if there is none.

    `digests` and `facts` are those of the data (see StudyData). Without facts it has 28x28 images in ten classes. A
    study that already has the sweep's total is not changed. A confirmation whose list of fixed trials is the beginning
    of the sweep's is extended.

    Raises StudyError if a study of that name has another fingerprint. The message names the keys that differ.
    """
    relations = relations or Relations()
    study_id, held = make_study(storage, sweep, name, digests, relations, facts)
    if held.get(StudyAttribute.DATASET) == PENDING and facts is not None:
        complete_study(storage, study_id, digests, facts)
        held[StudyAttribute.FINGERPRINT] = find_study(storage, name).fingerprint
    if relations.role is Role.CONFIRMATION and StudyAttribute.FINGERPRINT in held:
        held[StudyAttribute.FINGERPRINT] = _extend(storage, name, sweep, digests, relations.until_decided).fingerprint
    study = find_study(storage, name)
    sweep = known_as(as_begun(sweep, study.sweep), study.sweep)
    remedy = f"choose another name with --study, or continue it as it is: `optbench resume {shlex.quote(name)}`"
    compare_fingerprints(name, held.get(StudyAttribute.FINGERPRINT), sweep.fingerprint(digests), remedy)
    continue_to(storage, study, sweep)
    return find_study(storage, name)


def continue_to(storage: Storage, study: StudyRecord, sweep: Sweep) -> bool:
    """Whether live workers let the study have the sweep's total of trials. It stays if the study has finished more."""
    new = new_total(study, sweep)
    return new is None or set_total(storage, study.study_id, new)


def new_total(study: StudyRecord, sweep: Sweep) -> NewTotal | None:
    """What is to be written to give the study the sweep's total; None if it has that, or has finished more."""
    if study.finished < sweep.trials:
        return NewTotal(sweep.trials, {str(key): value for key, value in _changing(sweep).items()})
    return NewTotal(sweep.trials) if study.finished == sweep.trials != study.total else None  # a larger was given up


def make_study(
    storage: Storage,
    sweep: Sweep,
    name: str,
    digests: Mapping[str, str],
    relations: Relations,
    facts: Facts | Literal["pending"] | None = None,
) -> tuple[int, dict[str, Any]]:
    """The id and the attributes of the study `name`, made from the sweep if there is none.

    `facts` are "pending" until a worker loads the data (see `complete_study`).
    """
    _check_origin(storage, relations.origin, digests)
    validates = sweep.searches or sweep.data.validation > 0
    metric = Metric.VALIDATION_ACCURACY if validates else Metric.TEST_ACCURACY
    begun = begin(storage, sweep, name, digests)
    sweep = begun.sweep
    attributes: dict[str, Any] = glance(None) | {
        **_changing(sweep),
        StudyAttribute.FINGERPRINT: compact(sweep.fingerprint(digests)),
        StudyAttribute.OPTIMIZER: ", ".join(sweep.optimizers),
        StudyAttribute.SWEEP: sweep.name,
        StudyAttribute.TRIALS: sweep.trials,
    }
    named = {
        StudyAttribute.DATASET: facts.plain() if isinstance(facts, Facts) else facts,
        StudyAttribute.ROLE: relations.role or (Role.SEARCH if sweep.searches else Role.FIXED),
        StudyAttribute.ORIGIN: relations.origin,
        StudyAttribute.REPEAT_OF: relations.repeat_of,
        StudyAttribute.FINALS: None if relations.plan is None else write_plan(relations.plan),
    }
    attributes |= {key: value for key, value in named.items() if value is not None}
    held = {str(key): value for key, value in attributes.items()}
    return open_study(storage, name, metric, held, past_attributes(begun.past))


def _check_origin(storage: Storage, origin: str | None, digests: Mapping[str, str]) -> None:
    """Raise StudyError if the data is no longer that of the search whose configurations are trained again."""
    search = next((study for study in studies(storage) if study.name == origin), None) if origin else None
    held = search.fingerprint.get("data.sha256") if search else None
    if held is not None and digests.get("data.sha256", held) != held:
        raise StudyError(
            f"the data differs from that of the search {origin!r}: data.sha256 is {held!r} there, "
            f"{digests['data.sha256']!r} here; {OTHER_DATA}"
        )


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The name if it is free, else the first free one of NAME-2, NAME-3 and so on. Raises StudyError."""
    for name in (wanted, *(f"{wanted}-{index}" for index in range(2, 10_000))):
        if name not in taken:
            return name
    raise StudyError(f"{wanted!r} and 9,998 more names are taken")


def _extend(
    storage: Storage, name: str, sweep: Sweep, digests: Mapping[str, str], asked: UntilDecided | None
) -> StudyRecord:
    """The confirmation, after appending the trials that the sweep has beyond those of its list, and noting why."""
    study = find_study(storage, name)
    if asked is not None:
        note_until_decided(storage, study.study_id, asked)
    known = len(study.sweep.fixed) if study.sweep else 0
    if known >= len(sweep.fixed):
        return study
    beginning = replace(sweep, fixed=sweep.fixed[:known])
    compare_fingerprints(name, study.fingerprint, beginning.fingerprint(digests), "rename or delete it")
    append_fixed(storage, study.study_id, known, sweep.fixed[known:])
    return find_study(storage, name)


def check_fingerprint(study: StudyRecord, digests: Mapping[str, str]) -> None:
    """Raises StudyError if this worker's data or libraries are not those that the study was made with."""
    compare_fingerprints(
        study.name, study.fingerprint, sweep_of(study).fingerprint(digests), "choose another name with --study"
    )


def _changing(sweep: Sweep) -> dict[str, Any]:
    """The attributes of a study that are written again when it is continued."""
    return {
        StudyAttribute.DEFINITION: sweep.kept(),
        StudyAttribute.VERSIONS: {package: version(package) for package in VERSIONS},
    }


def compare_fingerprints(name: str, held: Any, wanted: Mapping[str, Any], remedy: str) -> None:
    """Raise NameTakenError, which names the keys that differ, unless the fingerprints are the same."""
    if held is None:
        raise NameTakenError(f"study {name!r} was not made by optbench; choose another name with --study")
    differing = differences(held, wanted)
    if differing:
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        same_data = held.get("data.sha256") == wanted.get("data.sha256")
        what, advice = ("another definition", remedy) if same_data else ("other data", OTHER_DATA)
        raise NameTakenError(f"study {name!r} has {what}: {'; '.join(differing[:3])}{more}; {advice}")
