"""Every optimizer, one file each. To add one:

 1. Write `optimizers/NAME.py` on the model of `sgd.py`; it imports only `optbench.optimizers.contract` and numpy.
 2. `update(ops, weight, gradient, state, hparams, step)` returns what to subtract from the weight, and the new state.
 3. `effective_lr(...)` returns what the gradient, or its running mean, is multiplied by after a step.
 4. Write both with `+ - * / **` and the functions of `ops` (sqrt, where, ...), as the paper's equations have them.
 5. List its hyperparameters with Keras' defaults and bounds; use `FLAG` for one that is true or false.
 6. Name its class in `keras.optimizers`, and its translations to `torch.optim` and `optax`, or None where it has none.
 7. Say in a translation's `difference` what differs there; leave it out if the algebra is the same.
 8. Add the optimizer to `_ALL` below. Sweep files, lanes, replays, exports and reports then know it.
 9. Add one or two settings to SETTINGS in tests/test_rules.py, which compares the rule with Keras', if there is one.
10. Add a sweep to `sweeps/`, and run `python -m tests.generate_docs`.
"""

from collections.abc import Mapping

from optbench.optimizers.adadelta import ADADELTA
from optbench.optimizers.adagrad import ADAGRAD
from optbench.optimizers.adam import ADAM
from optbench.optimizers.adamax import ADAMAX
from optbench.optimizers.adamw import ADAMW
from optbench.optimizers.contract import ONE_MINUS, Hyperparameter, Kind, Optimizer, Rule, Translation
from optbench.optimizers.ftrl import FTRL
from optbench.optimizers.knobs import with_knobs
from optbench.optimizers.lamb import LAMB
from optbench.optimizers.lion import LION
from optbench.optimizers.nadam import NADAM
from optbench.optimizers.precision import NUMERICS, one_minus
from optbench.optimizers.rmsprop import RMSPROP
from optbench.optimizers.sgd import SGD

# ScheduleFreeAdamW is left out: with TensorFlow, Keras 3.15 reads z after its update where the paper has it before.
_ALL = (ADADELTA, ADAGRAD, ADAM, ADAMAX, ADAMW, FTRL, LAMB, LION, NADAM, RMSPROP, SGD)

OPTIMIZERS: Mapping[str, Optimizer] = {optimizer.name: with_knobs(optimizer) for optimizer in _ALL}

__all__ = [
    "NUMERICS",
    "ONE_MINUS",
    "OPTIMIZERS",
    "Hyperparameter",
    "Kind",
    "Optimizer",
    "Rule",
    "Translation",
    "one_minus",
]
