"""Ctrl-C: an outcome that keeps the best, and from which a run resumes to the same bits."""

import os
import signal
import threading

import pytest
from small_task import SmallTask, history, interrupt, new_run

from vneuron.training.config import TrainingConfig
from vneuron.training.interruption import Interruption
from vneuron.training.loop import Trainer
from vneuron.training.outcome import StopReason

SHORT = {"epochs": 3, "batch_size": 16, "min_steps_per_epoch": 4, "quiet": True, "device": "cpu"}


def trainer():
    return Trainer(TrainingConfig(**SHORT))


def tensors(module):
    return {name: value.numpy().tobytes() for name, value in module.state_dict().items()}


def test_it_stops_at_the_next_step_and_resumes_to_the_same_bits(tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    expected, whole = SmallTask(), new_run(tmp_path / "whole")
    trainer().fit(expected, whole)

    run = new_run(tmp_path / "run")
    task = SmallTask(at={6: interrupt})
    best = []
    outcome = trainer().fit(task, run, on_epoch=lambda record: best.append(tensors(task.module)))
    assert outcome.reason is StopReason.INTERRUPTED
    assert "Resume" in outcome.reason.message
    assert len(task.batches) == 6
    assert (outcome.epochs, outcome.steps, outcome.best_epoch) == (1, 4, 1)
    assert tensors(task.module) == best[0]
    assert history(run)[-1] == {"event": "interrupted", "model": "EVE", "epoch": 2}
    assert signal.getsignal(signal.SIGINT) is handler

    resumed = SmallTask()
    outcome = trainer().fit(resumed, run, resume=True)
    assert outcome.reason is StopReason.COMPLETED
    assert tensors(resumed.module) == tensors(expected.module)
    assert history(run) == history(whole)


def test_in_the_first_epoch_it_gives_the_first_weights_back():
    task = SmallTask(at={2: interrupt})
    before = tensors(task.module)
    outcome = trainer().fit(task)
    assert (outcome.reason, outcome.best_epoch) == (StopReason.INTERRUPTED, 0)
    assert tensors(task.module) == before


def test_during_validation_the_epoch_is_still_written(tmp_path):
    class Task(SmallTask):
        def validate(self, module):
            if self.validations == 0:
                interrupt(self)
            return super().validate(module)

    run = new_run(tmp_path)
    outcome = trainer().fit(Task(), run)
    assert (outcome.reason, outcome.epochs) == (StopReason.INTERRUPTED, 1)
    assert run.read_json("checkpoints/last.json")["epoch"] == 1


def test_a_second_one_is_a_keyboard_interrupt():
    def twice(task):
        interrupt(task)
        interrupt(task)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer().fit(SmallTask(at={2: twice}))
    assert signal.getsignal(signal.SIGINT) is handler


def test_in_another_thread_training_works_and_signals_are_left_alone():
    found = []
    thread = threading.Thread(target=lambda: found.append(trainer().fit(SmallTask())))
    thread.start()
    thread.join()
    assert found[0].reason is StopReason.COMPLETED


def test_a_request_is_heard_once():
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.requested
