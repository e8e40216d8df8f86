"""Writes an experiment to a folder for TensorBoard: only what it lacks there.

Every trial has a folder of its own, FOLDER/STUDY/trial-7, with one event file. The file's name has the study's token,
by which a later export finds it again and adds to it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optbench.errors import OutputError, StudyError
from optbench.exports.tracking.event_file import (
    SESSION_END,
    append,
    event_of,
    events_in,
    first_event,
    scalars,
    session_end,
    session_start,
    table,
)
from optbench.exports.tracking.records import Experiment, Run, Written
from optbench.storage import COUNTED

OURS = "events.out.tfevents.*.optbench.*"
SEED = "seed"
BEGINNING = 2  # events that every file begins with


def write_folder(place: str, experiment: Experiment) -> Written:
    """Write the experiment below the folder. Raises OutputError, and StudyError if another study is there."""
    folder = Path(place).expanduser() / _path(experiment.name)
    try:
        paths = {run.number: _file(folder / f"trial-{run.number}", experiment, run.start) for run in experiment.runs}
        start = min((run.start for run in experiment.runs), default=0.0)
        own = _file(folder, experiment, start)
        if len(events_in(own)[0]) < BEGINNING:
            append(own, [first_event(start), event_of(start, 0, table("study", experiment.about))], 0)
        created, epochs = 0, 0
        for run in experiment.runs:
            created += not paths[run.number].exists()
            epochs += _write(paths[run.number], run)
    except OSError as problem:
        raise OutputError(f"{folder} cannot be written: {problem.strerror}; choose another folder") from problem
    return Written(where=str(folder), runs=len(experiment.runs), created=created, epochs=epochs)


def _path(study: str) -> Path:
    """The study's folder: NAME/finals lies in NAME. Parts that would lead elsewhere are written otherwise."""
    return Path(*(part.replace(".", "_") if not part.strip(". ") else part for part in study.split("/") if part))


def _file(folder: Path, experiment: Experiment, start: float) -> Path:
    """The event file of the study or a trial in its folder. Raises StudyError if there is one of another study."""
    new = folder / f"events.out.tfevents.{int(start)}.optbench.{experiment.token}"
    for path in folder.glob(OURS):
        if path.name.endswith(f".{experiment.token}"):
            return path
        raise StudyError(
            f"{folder} holds another study that had the name {experiment.name!r}; remove that folder, or choose another"
        )
    return new


def _write(path: Path, run: Run) -> int:
    """Add to the run's file what it lacks; the number of epochs that it lacked."""
    held, size = events_in(path)
    written = max((event.step for event in held), default=0)
    ended = any(value.tag == SESSION_END for event in held for value in event.summary.value)
    if len(held) < BEGINNING:  # new, or what a killed export left
        size, events = 0, list(_beginning(run))
    else:
        events = list[Any]()
    new = [step for step in run.steps if step.epoch > written]
    events += [event_of(step.time, step.epoch, *scalars(step.metrics)) for step in new]
    if run.end is not None and not ended:
        events.append(_end(run, run.end))
    if events:
        append(path, events, size)
    return len(new)


def _beginning(run: Run) -> Iterator[Any]:
    hparams = {name: value for name, value in run.params.items() if name != SEED}  # it would be rounded there
    about = {name: value for name, value in run.params.items() if name == SEED} | run.about
    yield first_event(run.start)
    yield event_of(run.start, 0, session_start(hparams, run.start), table("trial", about))


def _end(run: Run, end: float) -> Any:
    """The event of a trial's end: its score, how it ended, and whether that counts as a result."""
    step = run.steps[-1].epoch if run.steps else 0
    outcome = table("outcome", run.outcome)
    return event_of(end, step, *scalars(run.result), outcome, session_end(run.state in COUNTED, end))
