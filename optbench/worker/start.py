"""Lets a search start from another study: from its best settings, or with its trials known to the sampler."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from optbench.definition.fingerprint import differences
from optbench.definition.known import params_inside
from optbench.definition.sweep import FixedTrial, Start, Sweep
from optbench.errors import StudyError
from optbench.optimizers.knobs import BATCH
from optbench.randomness import Purpose, seed
from optbench.scheduler.contract import PastTrial
from optbench.scheduler.states import State
from optbench.storage import Storage, StudyRecord, TrialRecord, best_first, distinct, find_study, studies, trials

SHARED = ("batch", "data.", "epochs", "model.", "optimizer")
"""The keys of the fingerprint, or their beginnings, in which a study agrees whose accuracies count in a search."""


@dataclass(frozen=True)
class Begun:
    """A sweep with the fixed trials that its [start] gives it, and the past trials that its sampler knows."""

    sweep: Sweep
    past: tuple[PastTrial, ...] = ()


def begin(storage: Storage, sweep: Sweep, name: str, digests: Mapping[str, str]) -> Begun:
    """What the study `name` of the sweep begins with; nothing new if it exists. `digests` are those of its data.

    Raises StudyError where the study that it starts from does not exist, does not agree, has too few trials, or trials
    outside the space.
    """
    if sweep.start is None or name in {study.name for study in studies(storage)}:
        return Begun(sweep)
    source = find_study(storage, sweep.start.study)
    where = f"[start] study = {source.name!r}"
    _check(source, sweep, digests, where)
    records = _with_batch(trials(storage, source.study_id), source, sweep)
    if sweep.start.top is None:
        return Begun(sweep, tuple(_past(records, sweep, where)))
    again = _again(best_first(source.finals, records), sweep, sweep.start.top, where)
    if len(sweep.fixed) + len(again) > sweep.trials:
        raise StudyError(
            f"{where}, top = {sweep.start.top}: with {len(sweep.fixed)} other fixed trials that is more than "
            f"trials = {sweep.trials}"
        )
    return Begun(replace(sweep, fixed=(*sweep.fixed, *again)))


def _check(source: StudyRecord, sweep: Sweep, digests: Mapping[str, str], where: str) -> None:
    """Raise StudyError if the source is no search, or does not agree. Settings alone need the same optimizer only."""
    if source.sweep is None or not source.searches:
        raise StudyError(f"{where} is not a search; `optbench studies` lists the searches")
    keys = SHARED if sweep.start == Start(source.name) else ("optimizer",)
    held, wanted = source.fingerprint, sweep.fingerprint(digests)
    found = differences(*({k: v for k, v in one.items() if k.startswith(keys)} for one in (held, wanted)))
    if found:
        hint = "" if keys == ("optimizer",) or source.optimizer != sweep.optimizer else "; top = 5 needs no agreement"
        raise StudyError(f"{where} does not agree: {'; '.join(found)}{hint}")


def _with_batch(records: list[TrialRecord], source: StudyRecord, sweep: Sweep) -> list[TrialRecord]:
    """The source's trials with the batch sizes that their rows leave to its sweep, if either space has batch sizes."""
    if source.sweep is None or not ({BATCH} & (source.sweep.space.keys() | sweep.space.keys())):
        return records
    usual = {BATCH: float(source.sweep.batch)}
    return [replace(record, hyperparameters=usual | dict(record.hyperparameters)) for record in records]


def _again(ranked: list[TrialRecord], sweep: Sweep, top: int, where: str) -> list[FixedTrial]:
    """The best settings as fixed trials, on seeds that no other trial has."""
    best = distinct(ranked)
    if top > len(best):
        raise StudyError(f"{where}, top = {top}: it has {len(best)} different complete settings; expected that or less")
    return [
        FixedTrial(
            optimizer=record.optimizer,
            params=params,
            seed=seed(Purpose.START, sweep.seed, index),
            label=f"{sweep.start.study} trial {record.number}" if sweep.start else None,
        )
        for index, (record, params) in enumerate(_inside(best[:top], sweep, where))
    ]


def _past(records: list[TrialRecord], sweep: Sweep, where: str) -> Iterator[PastTrial]:
    """The finished trials as the sampler is to know them. Diverged ones count: it learns from these, too."""
    kinds = (State.COMPLETE, State.DIVERGED, State.PRUNED)
    finished = [one for one in records if one.state in kinds and one.slot is not None and one.last is not None]
    for record, params in _inside(finished, sweep, where):
        pruned = record.state is State.PRUNED
        value = record.last if pruned or record.value is None else record.value
        assert value is not None
        yield PastTrial(params, value, record.epochs if pruned else None)


def _inside(records: list[TrialRecord], sweep: Sweep, where: str) -> list[tuple[TrialRecord, dict[str, float]]]:
    """Each trial with its parameters in the sweep's space. Raises StudyError if some lie outside."""
    found = [
        (record, params_inside(record.optimizer, record.hyperparameters, sweep.space, sweep.batch))
        for record in records
    ]
    inside = [(record, params) for record, params in found if params is not None]
    outside = len(found) - len(inside)
    if outside:
        raise StudyError(
            f"{where}: {outside} of {len(found)} trials lie outside the [space]; expected a [space] that has them all"
        )
    return inside
