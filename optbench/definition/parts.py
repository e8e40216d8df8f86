"""Reads the parts of a definition that hold hyperparameters: the [space] and the [[trial]] entries."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from optbench.definition.space import Choice, Dimension, Float, check_range
from optbench.definition.sweep import FixedTrial
from optbench.errors import DefinitionError, nearest
from optbench.optimizers import ONE_MINUS, OPTIMIZERS
from optbench.optimizers.knobs import BATCH, FINAL, SCHEDULE, SCHEDULES, batch_of
from optbench.optimizers.spelling import on_one_line, spelled

if TYPE_CHECKING:
    from optbench.definition.models import RangeTable, TrialTable, Value

EXPONENTIAL = float(SCHEDULES.index("exponential"))


def dimensions(
    optimizer: str | None, tables: "Mapping[str, RangeTable | list[Value] | Value]", where: str
) -> dict[str, Dimension]:
    """The dimensions of a [space], by name, in alphabetical order whatever the order in the file is."""
    space = {name: _dimension(str(optimizer), name, tables[name], where) for name in sorted(tables)}
    _check_no_twins(space, where)
    schedule, final = space.get(SCHEDULE, Choice(())), space.get(FINAL, Choice((0.0,)))
    _check_schedules(schedule.values if isinstance(schedule, Choice) else (), 0.0 in final, where)
    return space


def _dimension(optimizer: str, name: str, given: "RangeTable | list[Value] | Value", where: str) -> Dimension:
    """A Float from a range, a Choice from a list, a fixed Choice from a number or a name."""
    if isinstance(given, (bool, int, float, str, list)):
        values = given if isinstance(given, list) else [given]
        what = "names" if OPTIMIZERS[optimizer].find(name, where).names else "numbers"
        if not values or len(set(values)) < len(values):
            raise DefinitionError(f"{where}: {name} = {given!r}; expected a list of different {what}")
        return Choice(tuple(_number(optimizer, name, value, where) for value in values))
    dimension = Float(given.low, given.high, given.log)
    if dimension.log and dimension.low <= 0:
        raise DefinitionError(f"{where}: {name} has log = true from low = {dimension.low!r}; expected low above 0")
    if not dimension.low < dimension.high or math.isinf(dimension.high):
        raise DefinitionError(
            f"{where}: {name} has low = {dimension.low!r}, high = {dimension.high!r}; expected low < high, both finite"
        )
    check_range(optimizer, name, dimension, where)
    return dimension


def _number(optimizer: str, name: str, value: "Value", where: str) -> float:
    """The value of a hyperparameter as a trial's row has it. Raises DefinitionError if it cannot take that."""
    own = OPTIMIZERS[optimizer]
    one = own.find(name, where)
    if isinstance(value, str) and not one.names:
        raise DefinitionError(f"{where}: {name} = {value!r}; expected {one.kind.value}, without quotes")
    own.check(name, value, where)
    return one.number(value)


def _check_no_twins(names: Iterable[str], where: str) -> None:
    for name in names:
        if ONE_MINUS + name in names:
            raise DefinitionError(f"{where}: both {name!r} and {ONE_MINUS + name!r}; expected one of them")


def _check_schedules(numbers: Collection[float], may_end_at_0: bool, where: str) -> None:
    if EXPONENTIAL in numbers and may_end_at_0:
        raise DefinitionError(
            f"{where}: an exponential {SCHEDULE} never falls to {FINAL} = 0, the default; expected {FINAL} above 0, "
            f"for example {FINAL} = 0.01"
        )


def fixed_trials(
    tables: "Sequence[TrialTable]", optimizer: str | None, space: Mapping[str, Dimension], batch: int, where: str
) -> tuple[FixedTrial, ...]:
    """Every fixed trial of the [[trial]] tables, one for each of their seeds."""
    return tuple(
        trial
        for index, table in enumerate(tables, start=1)
        for trial in _fixed_trial(table, optimizer, space, batch, f"{where} [[trial]] {index}")
    )


def _fixed_trial(
    table: "TrialTable", optimizer: str | None, space: Mapping[str, Dimension], batch: int, where: str
) -> list[FixedTrial]:
    own = table.optimizer or optimizer
    if own is None:
        raise DefinitionError(f"{where}: expected optimizer = one of {', '.join(OPTIMIZERS)}")
    if space and own != optimizer:
        raise DefinitionError(f"{where}: optimizer = {own!r}; expected {optimizer!r}, whose [space] this is")
    seeds: list[int | None] = [*table.seeds] if table.seeds else [None]
    if len(set(seeds)) < len(seeds):
        raise DefinitionError(f"{where}: seeds = {seeds!r}; expected a list of different whole numbers, 0 or more")
    published = table.published_test_accuracy
    if published is not None and space:
        raise DefinitionError(
            f"{where}: published_test_accuracy = {published} next to a [space]; expected it in a list of fixed trials"
        )
    given = {name: _number(own, name, value, where) for name, value in table.__pydantic_extra__.items()}
    _check_no_twins(given, where)
    _check_schedules([given[SCHEDULE]] if SCHEDULE in given else [], not given.get(FINAL), where)
    values = OPTIMIZERS[own].resolve(given)
    params = in_space(own, OPTIMIZERS[own].complete(values), given, space, batch, where) if space else values
    label = table.label
    if not space and label is None:
        label = f"{own} {on_one_line(own, values, digits=6)}"
    return [
        FixedTrial(
            optimizer=own, params=params, seed=seed, label=label, published_test_accuracy=published,
            source_trial=table.source_trial,
        )
        for seed in seeds
    ]  # fmt: skip


def in_space(
    optimizer: str,
    values: Mapping[str, float],
    given: Mapping[str, float],
    space: Mapping[str, Dimension],
    batch: int,
    where: str,
) -> dict[str, float]:
    """The values under the names of the space, each checked against its range. Raises DefinitionError.

    `batch` is the batch size of values that have none.
    """
    values = {**values, BATCH: float(batch_of(values, batch))}
    bases = {name.removeprefix(ONE_MINUS) for name in space}
    for name in given:
        if name.removeprefix(ONE_MINUS) not in bases:
            raise DefinitionError(f"{where}: {name} is not in the [space]; {nearest(name, space)}")
    params = {}
    for name, dimension in space.items():
        base = name.removeprefix(ONE_MINUS)
        value = given[name] if name in given else 1 - values[base] if name.startswith(ONE_MINUS) else values[base]
        value = _snapped(value, dimension)
        if name == FINAL and name not in given and not values.get(SCHEDULE):
            value = dimension.at(0.0)  # no value of it changes a constant learning rate
        if value not in dimension:
            shown = spelled(optimizer, {name: value})[name]
            raise DefinitionError(
                f"{where}: {name} = {shown!r} is outside the [space]: expected {_words(optimizer, name, dimension)}"
            )
        params[name] = value
    return params


def _snapped(value: float, dimension: Dimension) -> float:
    """The bound or the choice that `value` equals but for rounding: 1 - 0.95 is not quite 0.05."""
    marks = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
    return next((mark for mark in marks if math.isclose(value, mark, rel_tol=1e-9)), value)


def _words(optimizer: str, name: str, dimension: Dimension) -> str:
    if isinstance(dimension, Float):
        return f"{dimension.low!r} to {dimension.high!r}"
    return "one of " + ", ".join(repr(spelled(optimizer, {name: value})[name]) for value in dimension.values)
