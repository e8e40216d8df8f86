"""Reads what a comparison needs: the trials of the chosen searches and of related studies, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.comparison.arms import Source, explores
from optbench.comparison.comparable import Candidate, family
from optbench.scheduler.states import Metric, StudyState
from optbench.storage import Storage, StudyRecord, curves_of, trials_of


@dataclass(frozen=True)
class Library:
    """What was read: the searches, the studies on the test set, and explorations of the searches' spaces.

    `searches` are by study id, and `explored` by the id of the search whose space was explored.
    """

    searches: Mapping[int, Source]
    tested: Sequence[Source]
    explored: Mapping[int, Source]


def read(
    storage: Storage, chosen: Sequence[Candidate], known: Sequence[StudyRecord], with_curves: bool
) -> tuple[Library, list[str]]:
    """What the chosen searches need, and the names of confirmations that have lost their curves.

    Learning curves, where they are wanted, are read for the searches and for the studies on the test set.
    """
    searches = [study for one in chosen for study in one.studies]
    families = {family(study) for study in searches}
    related = [study for study in known if family(study) in families]
    scored = [study for study in related if tested(study)]
    explored = {study.study_id: other for study in searches if (other := _explored(study, related))}
    wanted = {study.study_id: study for study in [*searches, *scored, *explored.values()]}
    drawn = {study.study_id for study in [*searches, *scored]} if with_curves else set()
    trials, curves = trials_of(storage, wanted), curves_of(storage, drawn)
    sources = {
        key: Source(study, trials[key], {t.trial_id: curves[t.trial_id] for t in trials[key] if t.trial_id in curves})
        for key, study in wanted.items()
    }
    library = Library(
        searches={study.study_id: sources[study.study_id] for study in searches},
        tested=[sources[study.study_id] for study in scored],
        explored={search: sources[study.study_id] for search, study in explored.items()},
    )
    return library, [s.name for s in related if s.origin is not None and s.finished and not s.epochs]


def tested(study: StudyRecord) -> bool:
    """Whether the study holds fixed trials that were scored on the test set."""
    return not study.searches and study.metric == Metric.TEST_ACCURACY and bool(study.epochs)


def _explored(search: StudyRecord, related: Sequence[StudyRecord]) -> StudyRecord | None:
    """A finished search of the same space by independent draws."""
    done = (other for other in related if explores(other) and other.state is StudyState.DONE)
    return next((other for other in done if _same_space(search, other)), None)


def _same_space(one: StudyRecord, other: StudyRecord) -> bool:
    a, b = one.sweep, other.sweep
    if a is None or b is None:
        return False
    return (a.optimizer, a.space, a.epochs, family(one)) == (b.optimizer, b.space, b.epochs, family(other))
