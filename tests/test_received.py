"""Records that are made again from their plain data: nothing of what is shown is lost."""

import json

import pytest

from optbench.exports.received import study_of, trial_of
from optbench.exports.records import finite, queued, shown, study_json, trial_json
from optbench.scheduler.states import Wish
from optbench.storage import open_storage, studies
from optbench.storage.queue import Submission
from optbench.storage.steering import steer
from optbench.worker.submission import submit
from tests.commands import in_process
from tests.conftest import sweep_of


def sent(plain):
    """The plain data as it comes out of an answer."""
    return json.loads(json.dumps(finite(plain), default=str))


@pytest.mark.parametrize("given", ["kept_folder", "comparison_url"])
def test_studies_and_trials_survive_the_way_through_json(given, request):
    held = request.getfixturevalue(given)
    storage = open_storage(held if given == "comparison_url" else f"sqlite:///{held}/storage/optbench.db")
    found = [shown(storage, one.name) for one in studies(storage)]
    storage.close()
    assert len(found) > 2
    for one in found:
        plain = sent(study_json(one.study, one.place))
        assert sent(study_json(*study_of(plain))) == plain
        for trial in one.records:
            plain = sent(trial_json(trial))
            assert sent(trial_json(trial_of(plain))) == plain


def test_a_study_in_the_queue_has_the_state_of_its_place(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    for name in ("waits", "rests"):
        found = submit(storage, sweep_of(), name, Submission(owner="ada"))
    steer(storage, found.study.study_id, by="ada", wish=Wish.PAUSE)
    assert {name: one.state for name, one in queued(storage).items()} == {"waits": "waiting", "rests": "paused"}
    storage.close()
    here = "--storage", f"sqlite:///{tmp_path}/x.db"
    assert [one["state"] for one in json.loads(in_process("studies", *here, "--json"))] == ["waiting", "paused"]
    for state, name in {"waiting": "waits", "paused": "rests"}.items():
        (one,) = json.loads(in_process("studies", *here, "--state", state, "--json"))
        assert (one["name"], one["queue"]["state"]) == (name, state)
        assert state in in_process("studies", *here, "--state", state)
        assert f"0/6 trials, {state} (" in in_process("show", name, *here)
        assert json.loads(in_process("show", name, *here, "--json"))["state"] == state
    assert json.loads(in_process("resume", "rests", *here, "--json"))["state"] == "waiting"
    refused = in_process("studies", *here, "--state", "asleep", code=2)
    assert "--state asleep; expected one of running, done, interrupted, waiting, pausing, paused" in refused
