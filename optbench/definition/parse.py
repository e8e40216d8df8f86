"""Makes a Sweep from plain data, or says which key is wrong."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from optbench.definition.function import function_model
from optbench.definition.known import is_known, with_known
from optbench.definition.network import BuiltModel, MlpModel, Model
from optbench.definition.parse_data import data_of
from optbench.definition.parts import dimensions, fixed_trials
from optbench.definition.rounds import smallest, too_small, trainings
from optbench.definition.space import grid_size
from optbench.definition.sweep import Finals, Grid, Hyperband, NoPruner, Start, SuccessiveHalving, Sweep, Tpe
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import DROPOUT

if TYPE_CHECKING:
    from optbench.definition.models import BuiltTable, MlpTable, SweepTable

MAX_NAME = 300  # characters of a study's name
MAX_POINTS = 1_000_000  # of a grid
MAX_TRIALS = 1_000_000
MAX_WEIGHTS = 20_000_000  # of one network; every lane holds several times that in memory


def parse(table: Mapping[str, Any], where: str, flags: Collection[str] = ()) -> Sweep:
    """The sweep that plain data defines.

    Raises DefinitionError with one line that names `where` (or the flag, for the keys in `flags`, which came from the
    command line), the key, its value and what is expected.
    """
    from pydantic import ValidationError  # takes half a second, and is needed only here

    from optbench.definition.models import SweepTable
    from optbench.definition.problems import problem

    if not isinstance(table, Mapping):
        raise DefinitionError(f"{where}: expected a table of keys, got {table!r}")
    try:
        read = SweepTable.model_validate(dict(table))
    except ValidationError as error:
        raise problem(error.errors(include_url=False), table, where, flags) from None
    check_study_name(read.name, where)
    sweep = _sweep(read, where)
    _check_validation(sweep, where)
    _check_dropout(sweep, where)
    if sweep.searches:
        _check_search(sweep, where, flags)
    else:
        _check_list(read, sweep, where)
    return sweep


def check_study_name(name: str, where: str) -> None:
    """Raise DefinitionError for a name that a table, a shell or a URL would mangle."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable() or name.startswith("-"):
        raise DefinitionError(
            f"{where}: {name[:40]!r} cannot be a study's name; expected 1 to {MAX_NAME} printable characters, not only "
            "spaces, and no - at the beginning"
        )
    if {"", ".", ".."} & set(name.split("/")):
        raise DefinitionError(
            f"{where}: {name[:40]!r} cannot be a study's name, because names are part of URLs; expected no part "
            "between slashes that is empty, . or .."
        )


def _sweep(read: "SweepTable", where: str) -> Sweep:
    """The frozen record of a file in which each table is valid by itself."""
    from optbench.definition.strategies import left_out, pruner_of, sampler_of

    if read.space and read.optimizer is None:
        raise DefinitionError(
            f"{where}: [space] needs an optimizer; expected optimizer = one of {', '.join(OPTIMIZERS)}"
        )
    if read.space and read.trials is None:
        raise DefinitionError(f"{where}: 'trials' is missing; expected a whole number")
    space = dimensions(read.optimizer, read.space, f"{where} [space]")
    fixed = fixed_trials(read.trial, read.optimizer, space, read.batch, where)
    if space and read.known is not False:
        fixed = with_known(str(read.optimizer), space, read.batch, fixed)
    return Sweep(
        name=read.name,
        trials=len(fixed) if read.trials is None else read.trials,
        epochs=read.epochs,
        batch=read.batch,
        seed=read.seed,
        data=data_of(read.data),
        model=_model(read.model, f"{where} [model]"),
        sampler=sampler_of(read.sampler),
        pruner=pruner_of(read.pruner, read.epochs) if space else NoPruner(),
        optimizer=read.optimizer if space else None,
        space=space,
        fixed=fixed,
        lanes=read.lanes,
        start=None if read.start is None else Start(**read.start.model_dump()),
        left_out=left_out(read.pruner),
        known=read.known if space else False,
        finals=_finals(read) if space else None,
    )


def _model(read: "MlpTable | BuiltTable", where: str) -> Model:
    """The model of a file."""
    held = read.model_dump()
    if "build" in held:
        return function_model(held["build"], held["arguments"], where)
    check_weights(held["hidden"], 1, 1, where)  # worker/data.py knows how many inputs there are
    return MlpModel(tuple(held["hidden"]), held["activation"], held["dropout"])


def _finals(read: "SweepTable") -> Finals | None:
    """The finals of a file that says nothing about them, true, false, or how they are."""
    if read.finals is False:
        return None
    return Finals() if read.finals in (None, True) else Finals(**read.finals.model_dump())  # type: ignore[union-attr]


def check_weights(hidden: Sequence[int], inputs: int, classes: int, where: str) -> None:
    """Raise DefinitionError for a network that is too large for the memory of a lane."""
    weights = sum(a * b for a, b in pairwise([inputs, *hidden, classes]))
    if weights > MAX_WEIGHTS:
        raise DefinitionError(
            f"{where}: hidden = {list(hidden)!r} has {weights:,} weights; expected at most {MAX_WEIGHTS:,}"
        )


def _check_validation(sweep: Sweep, where: str) -> None:
    """Raise DefinitionError if a search has no validation examples, or if resplit is set where it is not allowed."""
    if sweep.searches and sweep.data.validation == 0:
        raise DefinitionError(f"{where}: [data] validation must be above 0 when there is a [space], for example 10000")
    if sweep.searches and sweep.data.resplit:
        raise DefinitionError(
            f"{where} [data]: resplit = true beside a [space]; expected false, because the trials of a search are "
            "compared on the same examples; resplit = true in [finals] draws others for the finals"
        )
    if sweep.data.resplit and sweep.data.validation == 0:
        raise DefinitionError(f"{where} [data]: resplit = true, but validation is 0; expected validation examples")


def _check_dropout(sweep: Sweep, where: str) -> None:
    """Raise DefinitionError if trials set a dropout that the model has no place for, or that it sets, too."""
    in_trials = DROPOUT in sweep.space or any(DROPOUT in trial.params for trial in sweep.fixed)
    if isinstance(sweep.model, MlpModel) and not sweep.model.hidden and (in_trials or sweep.model.dropout):
        raise DefinitionError(f"{where}: {DROPOUT} follows hidden layers, but hidden = []; leave {DROPOUT} out")
    if not in_trials:
        return
    if isinstance(sweep.model, BuiltModel):
        raise DefinitionError(
            f"{where}: {DROPOUT} is for [model] hidden; a function has dropout layers of its own: expected the rate in "
            "[model.arguments]"
        )
    if sweep.model.dropout:
        place = "[space]" if DROPOUT in sweep.space else "[[trial]]"
        raise DefinitionError(f"{where}: {DROPOUT} is both in {place} and in [model]; expected one of them")


def check_trials(sweep: Sweep, where: str, flags: Collection[str] = ()) -> None:
    """Raise DefinitionError if a search cannot have so many trials: the fixed ones count, and a grid has an end."""
    from optbench.definition.problems import refused

    if not 1 <= sweep.trials <= MAX_TRIALS:
        raise refused("trials", sweep.trials, f"a whole number from 1 to {MAX_TRIALS}", where, flags)
    fixed = len(sweep.fixed)
    if sweep.trials < fixed:
        known = sum(is_known(sweep, trial) for trial in sweep.fixed) if sweep.known is not False else 0
        which = f", {known} of them known settings (known = false leaves these out)" if known else ""
        raise refused("trials", sweep.trials, f"{fixed} or more: there are {fixed} fixed trials{which}", where, flags)
    if isinstance(sweep.sampler, Grid):
        size = grid_size(sweep.space, sweep.sampler.points)
        if size > MAX_POINTS:
            raise DefinitionError(
                f"{where} [sampler]: the grid has {size:,} points; expected at most {MAX_POINTS:,}; choose fewer points"
            )
        if sweep.trials - fixed > size:
            raise refused("trials", sweep.trials, f"{size + fixed} or less: the grid has {size} points", where, flags)


def _check_search(sweep: Sweep, where: str, flags: Collection[str]) -> None:
    """Raise DefinitionError if the trials, the finals, the start or the epochs do not fit the rest of the search."""
    from optbench.definition.problems import refused

    check_trials(sweep, where, flags)
    if sweep.finals is not None and sweep.finals.sized:
        _check_finals(sweep, sweep.finals, where)
    if sweep.start is not None and sweep.start.top is None and not isinstance(sweep.sampler, Tpe):
        raise DefinitionError(
            f"{where} [start]: sampler {sweep.sampler.name!r} learns nothing from the trials of {sweep.start.study!r}; "
            "expected sampler 'tpe', or top = 5 to run its best settings again"
        )
    min_resource = sweep.pruner.min_resource if isinstance(sweep.pruner, Hyperband | SuccessiveHalving) else 1
    if min_resource > sweep.epochs:
        if "epochs" in flags:
            raise refused("epochs", sweep.epochs, f"{min_resource} or more, the pruner's min_resource", where, flags)
        expected = f"{sweep.epochs} or less: a trial has {sweep.epochs} epochs"
        raise refused("min_resource", min_resource, expected, f"{where} [pruner]", ())


def _check_finals(sweep: Sweep, finals: Finals, where: str) -> None:
    """Raise DefinitionError if the finals that a file asks for cannot be, whatever the search finds."""
    if (finals.candidates or 2) > sweep.trials:
        raise DefinitionError(
            f"{where} [finals]: candidates = {finals.candidates}; expected {sweep.trials} or less, the number of trials"
        )
    candidates = finals.candidates or max(2, sum(is_known(sweep, trial) for trial in sweep.fixed) + 1)
    needed = smallest(candidates)
    if trainings(finals.budget, sweep.trials) < needed:
        raise DefinitionError(f"{where} [finals]: {too_small(finals.budget, sweep.trials, candidates, needed)}")


def _check_list(read: "SweepTable", sweep: Sweep, where: str) -> None:
    """Raise DefinitionError for anything that a list of fixed trials cannot have."""
    if not sweep.fixed:
        raise DefinitionError(f"{where}: nothing to run; expected a [space] to search or [[trial]] entries")
    for key in ("trials", "sampler", "pruner", "known", "finals", "start"):
        if key in read.model_fields_set:
            raise DefinitionError(
                f"{where}: {key!r} without a [space]: fixed trials all run, one after the other; leave it out"
            )
    settings = {trial.label: trial for trial in reversed(sweep.fixed)}
    for trial in sweep.fixed:  # results are averaged over a label's trials, so it must not name two settings
        first = settings[trial.label]
        if (first.optimizer, first.params) != (trial.optimizer, trial.params):
            raise DefinitionError(
                f"{where}: label {trial.label!r} names two settings; expected a label for each setting"
            )
    validation = sweep.data.validation
    if validation and any(trial.published_test_accuracy is not None for trial in sweep.fixed):
        raise DefinitionError(
            f"{where}: published_test_accuracy needs test examples, which are evaluated only where [data] validation "
            f"is 0; it is {validation}"
        )
