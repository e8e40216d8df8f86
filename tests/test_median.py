"""Our median pruner decides as Optuna's does, on generated studies."""

import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from optbench.scheduler.pruner import MedianPruner

values = st.sampled_from([0.1, 0.5, 0.6, 0.61, 0.7, 0.7000000000000001, 0.9])
ends = st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
curves = st.dictionaries(st.integers(1, 9), values, min_size=1, max_size=9)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(curves, ends), max_size=12),
    st.dictionaries(st.integers(1, 9), values, max_size=9),
    st.fixed_dictionaries(
        {
            "n_startup_trials": st.integers(0, 4),
            "n_warmup_steps": st.integers(0, 4),
            "interval_steps": st.integers(1, 4),
            "n_min_trials": st.integers(1, 4),
        }
    ),
)
def test_our_pruner_decides_as_optunas_does(ended, curve, arguments):
    ours, theirs = MedianPruner(**arguments), optuna.pruners.MedianPruner(**arguments)
    study = optuna.create_study(direction="maximize")
    for points, state in ended:
        value = 0.5 if state == TrialState.COMPLETE else None
        study.add_trial(create_trial(state=state, value=value, intermediate_values=points))
        if state == TrialState.COMPLETE:
            ours.learn(study.trials[-1])
    trial = create_trial(state=TrialState.RUNNING, intermediate_values=curve)
    assert ours.prune(study, trial) is bool(theirs.prune(study, trial))
