"""Hyperparameters in the precision in which training computes."""

from typing import Any

import numpy as np

from optbench.optimizers.contract import ONE_MINUS, Hparams, Optimizer

NUMERICS = 3
"""The version of the arithmetic, kept in every trial's row.

Version 1 subtracted decay rates from 1 in single precision. Up to version 2, lanes were stepped in batches of two and
more, whose sums are rounded in another order.
"""


def arrays(optimizer: Optimizer, hparams: Hparams, dtype: Any = np.float32, numerics: int = NUMERICS) -> dict[str, Any]:
    """Every hyperparameter as `dtype`, and `one_minus_NAME` for every decay rate.

    1 - rho is computed in double precision and rounded afterwards, as Keras computes it. In single precision, 1 - rho
    has no correct digit left once it is 1e-7. Trials of version 1 are replayed as they were trained.
    """
    complete = optimizer.complete(hparams)
    found = {name: np.asarray(value, dtype) for name, value in complete.items()}
    for name, known in optimizer.hyperparameters.items():
        if known.decay:
            exact = np.asarray(one_minus(complete[name]), dtype)
            found[ONE_MINUS + name] = exact if numerics > 1 else np.asarray(1, dtype) - found[name]
    return found


def one_minus(value: float) -> float:
    """One minus the value, in double precision: 0.05 for 0.95, not 0.050000000000000044.

    Of all numbers x with 1 - x = value, it is the one with the fewest digits, because a person who wrote x wrote few.
    """
    exact = 1 - value
    shorter = (float(f"{exact:.{digits}g}") for digits in range(1, 17))
    return next((short for short in shorter if 1 - short == value), exact)
