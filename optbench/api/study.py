"""A study as a notebook uses it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from optbench.comparison.selection import in_finals
from optbench.defaults import storage_url
from optbench.definition.sweep import Sweep
from optbench.errors import DefinitionError
from optbench.optimizers.spelling import on_one_line
from optbench.scheduler.states import StudyState
from optbench.storage import (
    FinalsRecord,
    Storage,
    StudyRecord,
    TrialRecord,
    best_first,
    curves,
    find_study,
    open_storage,
    trials,
)
from optbench.storage import studies as study_records

if TYPE_CHECKING:
    import optuna

    from optbench.exports.frame import Table


@dataclass(frozen=True)
class Study:
    """A study, given by its name and the URL of its database. Every property reads the database again.

    It can be pickled and compared. If the study or its database no longer exists, properties raise StudyError or
    StorageError.
    """

    name: str
    storage: str = field(default_factory=storage_url)

    @property
    def state(self) -> StudyState:
        """Whether the study is running, done (it has its total of trials) or interrupted."""
        return _record(self).state

    @property
    def sweep(self) -> Sweep | None:
        """The definition of the study; None if another program made it."""
        return _record(self).sweep

    @property
    def best(self) -> TrialRecord | None:
        """The winner of the study's finals or, without finals that are done, the best single run; None before that.

        A single run is chosen by its validation accuracy among the complete trials. It is also None in a study that
        selects nothing, for example a confirmation, which is scored on test examples.
        """
        with opened(self.storage) as storage:
            record = find_study(storage, self.name)
            found = best_first(record.finals, trials(storage, record.study_id)) if record.searches else []
        return found[0] if found else None

    @property
    def finals(self) -> FinalsRecord | None:
        """The study's finals with their `winner`, whose `mean`, `interval`, `scores` by seed and `optimism` they give.

        None if it has none: its best then rests on one run.
        """
        return _record(self).finals

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """Every trial, by number, including running and failed ones."""
        with opened(self.storage) as storage:
            return trials(storage, find_study(storage, self.name).study_id)

    def table(self) -> "Table":
        """One row per trial, with columns for hyperparameters, state, value, seed, epochs, seconds and more."""
        from optbench.exports.frame import Table
        from optbench.exports.tables import trial_columns

        return Table(trial_columns(self.trials))

    def epochs(self) -> "Table":
        """One row per trained epoch: `trial`, `epoch`, losses and accuracies as fractions, and seconds."""
        from optbench.exports.frame import Table
        from optbench.exports.tables import epoch_columns

        with opened(self.storage) as storage:
            study_id = find_study(storage, self.name).study_id
            return Table(epoch_columns(trials(storage, study_id), curves(storage, study_id)))

    def export(self, form: str = "json", trial: int | None = None, top: int | None = None) -> str:
        """A configuration as text, in a format of `optbench export`: json, toml, keras, torch, optax or python.

        It is the trial of that number, or the `top` best ones. By default it is the winner of the study's confirmation
        or, without one, the best trial. Raises DefinitionError for an unknown format, StudyError if nothing can be
        exported, or if the file of the function that a script would import has changed.
        """
        from optbench.errors import DefinitionError, nearest
        from optbench.exports import Format, chosen, text_for_here

        if not isinstance(trial, int | None):
            raise DefinitionError(f"trial = {trial!r}; expected the number of a trial")
        if form not in set(Format):
            raise DefinitionError(f"format {form!r}: no such format; {nearest(form, Format)}")
        with opened(self.storage) as storage:
            record = find_study(storage, self.name)
            return text_for_here(chosen(storage, record, trial, top), Format(form))

    def optuna(self) -> "optuna.study.Study":
        """The same study as Optuna's own class, for its plots and importances. Only read it; optbench writes."""
        from optbench.storage import optuna_study

        return optuna_study(self.storage, self.name)

    def _repr_html_(self) -> str:
        record, best = _record(self), self.best
        lines = [f"<b>{escape(self.name)}</b>: {record.finished}/{record.total} trials, {record.state}"]
        if best is not None:
            settings = on_one_line(best.optimizer, best.hyperparameters, between=", ")
            winner = record.finals.winner if record.finals else None
            one_run = f"{record.metric} {100 * (record.best or 0):.2f} % in one run"
            accuracy = one_run if winner is None else in_finals(winner, record.metric)
            lines.append(f"best: {accuracy}, in trial {best.number} ({escape(settings)})")
        return "<br>".join(lines)


def _record(study: Study) -> StudyRecord:
    with opened(study.storage) as storage:
        return find_study(storage, study.name)


def open_study(name: str, storage: str | None = None) -> Study:
    """The study of that name. Raises StudyError, which names the nearest one, if there is none."""
    study = Study(name, storage_url(storage))
    with opened(study.storage) as opened_storage:
        find_study(opened_storage, name)
    return study


def studies(storage: str | None = None) -> list[Study]:
    """Every study of a database, oldest first. Raises StorageError if it cannot be read."""
    url = storage_url(storage)
    with opened(url) as opened_storage:
        return [Study(record.name, url) for record in study_records(opened_storage)]


@contextmanager
def opened(url: str, read_only: bool = True) -> Iterator[Storage]:
    """The database at a URL, closed after the `with` block; nothing is written unless `read_only` is false."""
    storage = open_storage(url, read_only=read_only)
    try:
        yield storage
    finally:
        storage.close()


def names_of(studies: "Sequence[Study | str]") -> list[str]:
    """The names of the studies. Raises DefinitionError for anything else, for example a list of them."""
    for study in studies:
        if not isinstance(study, Study | str):
            what = type(study).__name__
            raise DefinitionError(
                f"expected studies or their names, each as an argument of its own, got one of type {what}"
            )
    return [study.name if isinstance(study, Study) else study for study in studies]


def one_database(studies: "Sequence[Study | str]", storage: str | None) -> str:
    """The URL of the database that all studies are in. Raises DefinitionError if there are several."""
    urls = {study.storage for study in studies if isinstance(study, Study)} or {storage_url(storage)}
    if len(urls) > 1:
        raise DefinitionError("the studies are in several databases; expected one; `optbench copy` copies a study")
    return urls.pop()
