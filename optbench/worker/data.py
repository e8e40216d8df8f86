"""The examples that a study's trials are trained and tested on, and the digests that identify them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from optbench.data import Examples, Split
from optbench.data.dataset import Facts
from optbench.definition.network import BuiltModel, Model
from optbench.definition.parse import check_weights
from optbench.definition.space import Choice
from optbench.definition.sweep import Sweep
from optbench.errors import DefinitionError, counted
from optbench.optimizers.knobs import BATCH, batch_of
from optbench.worker.code import check_code


@dataclass(frozen=True)
class StudyData:
    """The data of a study's trials. `test_set` is None if the trials are scored on validation examples."""

    split: Split
    test_set: Examples | None = None

    @property
    def facts(self) -> Facts:
        """What the study has to know about its data set."""
        return replace(self.split.facts, test=None if self.test_set is None else len(self.test_set))

    @property
    def digests(self) -> Mapping[str, str]:
        """Short hashes of the examples and of the split, for the study's fingerprint."""
        if self.test_set is None:
            return self.split.digests
        from optbench.data import digest

        return {**self.split.digests, "test.sha256": digest(self.test_set)}


def load_data(sweep: Sweep, trainer: str, data_dir: Path | None, allow_code: bool = False) -> StudyData:
    """The data of a sweep, after checking that its model and its batches fit it.

    Raises DataError, DefinitionError if a batch is larger than the training set or the model does not go with the data,
    and StudyError if the model's function may not run here (see check_code).
    """
    from optbench.data import load, load_test
    from optbench.data.splits import needs_tensorflow
    from optbench.worker.loading import load_tensorflow

    if needs_tensorflow(sweep.data):
        load_tensorflow(trainer)
    check_code(sweep.model, allow_code)
    split = load(sweep.data, sweep.seed, data_dir)
    _check_model(sweep.model, split.facts, trainer)
    if (batch := _largest_batch(sweep)) > len(split.train):
        raise DefinitionError(
            f"batch = {batch}, but {sweep.data.name} leaves {counted(len(split.train), 'training example')}; "
            "expected at most that number"
        )
    tests = sweep.data.validation == 0 and not sweep.searches
    return StudyData(split, load_test(sweep.data, data_dir) if tests else None)


def _largest_batch(sweep: Sweep) -> int:
    """The largest batch size that a trial may have: of the sweep, or of its confirmation, which has the sweep's own."""
    sizes = [batch_of(trial.params, sweep.batch) for trial in sweep.fixed]
    if sweep.searches:
        searched = sweep.space.get(BATCH, Choice(()))
        sizes += [sweep.batch, *(map(int, searched.values) if isinstance(searched, Choice) else ())]
    return max(sizes)


def _check_model(model: Model, facts: Facts, trainer: str) -> None:
    """Raise DefinitionError for a model that does not go with the data. Loads TensorFlow for a function's networks."""
    if isinstance(model, BuiltModel):
        from optbench.worker.loading import load_tensorflow

        load_tensorflow(trainer)
        from optbench.training.tensorflow.keras_model import keras_model

        keras_model(model, facts)
        return
    inputs, classes = math.prod(facts.shape), len(facts.classes)
    check_weights(model.hidden, inputs, classes, f"[model] on {inputs} inputs and {classes} classes")
