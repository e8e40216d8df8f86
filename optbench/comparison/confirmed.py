"""Finds the configurations of a search that were confirmed, with their scores."""

from collections.abc import Sequence

from optbench.comparison.arms import Configuration, Source
from optbench.comparison.confirmation import source_trial
from optbench.scheduler.states import State, StudyState
from optbench.storage import Storage, StudyRecord, TrialRecord, best_first, studies, trials

ENDED = (State.COMPLETE, State.DIVERGED)  # a trial that was trained to its end: divergence is a result


def confirmations(storage: Storage, study: StudyRecord) -> list[Configuration]:
    """The confirmed configurations of one study, finalists in their order first, without their learning curves."""
    others = [other for other in studies(storage) if confirms(other, study)]
    sources = [Source(other, trials(storage, other.study_id)) for other in others]
    return confirmed(study, sources, trials(storage, study.study_id))


def confirms(study: StudyRecord, search: StudyRecord) -> bool:
    """Whether a study trains configurations of the search again."""
    return study.sweep is not None and study.confirms(search)


def confirmed(study: StudyRecord, sources: Sequence[Source], records: Sequence[TrialRecord]) -> list[Configuration]:
    """The study's confirmed configurations, finalists in their order first; `sources` may hold other studies, too.

    Of several confirmations of one configuration, one that is done is preferred to one that is not, then one with the
    search's own number of epochs, then one with more seeds, then the latest. A seed that diverged counts with the
    accuracy of guessing.
    """
    found: dict[int, Configuration] = {}
    own = [source for source in sources if confirms(source.study, study)]
    for source in sorted(own, key=lambda other: _rank(study, other)):
        found |= _configurations(source, {trial.number: trial for trial in records})
    order = {trial.number: rank for rank, trial in enumerate(best_first(study.finals, records))}
    return sorted(found.values(), key=lambda one: order.get(one.trial.number, len(order)))


def _configurations(source: Source, searched: dict[int, TrialRecord]) -> dict[int, Configuration]:
    """Every configuration of a confirmation, by the number of its trial in the search."""
    ended: dict[int, list[TrialRecord]] = {}
    firsts = {_setting(trial): number for number, trial in sorted(searched.items(), reverse=True)}
    for trial in source.trials:
        number = source_trial(trial)
        if number is None:  # a known setting, which the search may have tried, too
            number = firsts.get(_setting(trial))
        if number in searched and trial.state in ENDED and _same(trial, searched[number]):
            ended.setdefault(number, []).append(trial)
    found = {}
    for number, own in ended.items():
        scores = {t.seed: t.value for t in own if t.seed is not None and t.value is not None}
        if scores:
            found[number] = Configuration(
                trial=searched[number],
                study=source.study.name,
                epochs=source.sweep.epochs,
                done=source.study.state is StudyState.DONE,
                scores=scores,
                curves=[source.curves[t.trial_id] for t in own if t.trial_id in source.curves],
                diverged=sum(t.state is State.DIVERGED for t in own),
                until_decided=source.study.until_decided,
            )
    return found


def _rank(study: StudyRecord, source: Source) -> tuple[bool, bool, int, int]:
    """The rank of a confirmation among those of one configuration; the highest one counts."""
    same_length = study.sweep is not None and source.sweep.epochs == study.sweep.epochs
    seeds = len({trial.seed for trial in source.trials if trial.state in ENDED})
    return source.study.state is StudyState.DONE, same_length, seeds, source.study.study_id


def _same(one: TrialRecord, other: TrialRecord) -> bool:
    """Whether two trials have one configuration. A search that was made anew has other trials of the same numbers."""
    return _setting(one) == _setting(other)


def _setting(trial: TrialRecord) -> tuple[object, ...]:
    return trial.optimizer, *sorted(trial.hyperparameters.items())
