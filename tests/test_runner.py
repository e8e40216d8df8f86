"""The training loop with a fake trainer and a fake study: refilled lanes, budget, order, interruption."""

import pytest

from optbench.errors import StorageError
from optbench.scheduler.states import Decision
from optbench.training.contract import Epoch, Job
from optbench.worker.events import EpochFinished, RoundFinished, TrialFinished, TrialLost, TrialStarted
from optbench.worker.loop import Loop
from optbench.worker.stop import StopRequest


class FakeTrainer:
    """A trainer whose accuracy is a tenth of the epoch's number, and whose test accuracy is 0.5."""

    name, device, threads, xla = "fake", "CPU", None, None

    def __init__(self, lanes):
        self.lanes, self.assigned, self.log = lanes, {}, []

    def assign(self, lane, job):
        assert lane not in self.assigned
        self.assigned[lane] = [job, 0]
        self.log.append((lane, job.number))

    def release(self, lane):
        del self.assigned[lane]

    def train(self):
        for trial in self.assigned.values():
            trial[1] += 1
        return {lane: Epoch(n, 1.0, n / 10, 1.0, n / 10, 0.0, 0.1) for lane, (_, n) in self.assigned.items()}

    def test(self, lane, images):
        return 0.5


class FakeStudy:
    """A study with trials of the given lengths. A trial with a negative length is pruned at its end."""

    def __init__(self, *lengths, lost=()):
        self.lengths, self.lost, self.asked, self.endings, self.rounds = lengths, set(lost), 0, {}, []

    def ask(self, optimizer, trainer):
        if self.asked == len(self.lengths):
            return None
        self.asked += 1
        return Job(self.asked - 1, optimizer, {}, 0, abs(self.lengths[self.asked - 1]))

    def decide(self, job, epoch):
        if epoch.epoch < job.epochs:
            return Decision.CONTINUE
        return Decision.COMPLETE if self.lengths[job.number] > 0 else Decision.PRUNED

    def record(self, trained, endings):
        self.rounds.append(sorted(trained))
        self.endings |= endings
        return self.lost & trained.keys()


def events_of(study, trainer, stop=lambda: None, **more):
    """The events of a run, from its start to its end."""
    events = []
    Loop(study=study, trainer=trainer, optimizer="adam", listener=events.append, **more).run(stop)
    return events


def test_a_trial_sends_events_from_its_start_to_its_end():
    kinds = [(type(event), getattr(event, "number", None)) for event in events_of(FakeStudy(2), FakeTrainer(2))]
    assert kinds == [
        (TrialStarted, None),
        (EpochFinished, 0),
        (RoundFinished, None),
        (EpochFinished, 0),
        (TrialFinished, 0),
        (RoundFinished, None),
    ]


def test_no_trial_is_left_running_after_a_listener_raises():
    def broken(event):
        if isinstance(event, RoundFinished):
            raise ValueError("no room")

    study, trainer = FakeStudy(9), FakeTrainer(2)
    with pytest.raises(ValueError, match="no room"):
        Loop(study=study, trainer=trainer, optimizer="adam", listener=broken).run(lambda: None)
    assert study.endings[0].reason == "ValueError: no room"
    assert not trainer.assigned


def test_a_freed_lane_is_refilled_in_the_next_round():
    study, trainer = FakeStudy(1, 3, -2, 1), FakeTrainer(2)
    events_of(study, trainer)
    assert study.rounds == [[0, 1], [1, 2], [1, 2], [3]]
    assert trainer.log == [(0, 0), (1, 1), (0, 2), (0, 3)]
    assert list(study.endings) == [0, 1, 2, 3]
    assert study.endings[2].decision is Decision.PRUNED
    assert study.endings[2].value == 0.2
    assert not trainer.assigned


def test_there_may_be_more_lanes_than_trials():
    study = FakeStudy(2, 2)
    events_of(study, FakeTrainer(8))
    assert study.rounds == [[0, 1], [0, 1]]


def test_stopping_now_interrupts_running_trials():
    study, trainer, requests = FakeStudy(9, 9, 9), FakeTrainer(2), iter([None, None, StopRequest.NOW])
    events_of(study, trainer, lambda: next(requests))
    assert {n: e.decision for n, e in study.endings.items()} == {0: Decision.INTERRUPTED, 1: Decision.INTERRUPTED}
    assert {(e.epochs, e.reason) for e in study.endings.values()} == {(2, "interrupted")}
    assert study.asked == 2
    assert not trainer.assigned


def test_draining_lets_running_trials_finish_and_starts_no_others():
    study, requests = FakeStudy(2, 3, 9), iter([None, *[StopRequest.DRAIN] * 3])
    events_of(study, FakeTrainer(2), lambda: next(requests))
    assert {n: e.decision for n, e in study.endings.items()} == {0: Decision.COMPLETE, 1: Decision.COMPLETE}


def test_no_trial_is_left_running_after_the_trainer_crashes():
    class Broken(FakeTrainer):
        def train(self):
            raise RuntimeError("no more memory")

    study = FakeStudy(2, 2)
    with pytest.raises(RuntimeError, match="no more memory"):
        events_of(study, Broken(2))
    assert {(e.decision, e.reason) for e in study.endings.values()} == {
        (Decision.INTERRUPTED, "RuntimeError: no more memory")
    }


def test_a_trial_that_another_worker_took_over_is_dropped_without_an_ending():
    study, trainer = FakeStudy(1, 1, lost={0}), FakeTrainer(2)
    lost = [event.number for event in events_of(study, trainer) if isinstance(event, TrialLost)]
    assert lost == [0]
    assert not trainer.assigned


def test_nothing_more_is_recorded_once_the_database_is_out_of_reach():
    class OutOfReach(FakeStudy):
        def record(self, trained, endings):
            assert not self.rounds
            self.rounds.append(trained)
            raise StorageError("out of reach")

    trainer = FakeTrainer(2)
    with pytest.raises(StorageError, match="out of reach"):
        events_of(OutOfReach(2, 2), trainer)


def test_only_complete_trials_are_scored_on_the_test_images():
    study = FakeStudy(1, -1)
    events_of(study, FakeTrainer(2), test_set=object())
    assert (study.endings[0].value, study.endings[1].value) == (0.5, 0.1)
