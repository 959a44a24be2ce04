"""Parts whose score has risen go back to where it was lowest, if the whole loses less by it."""

import pytest
import torch
from small_task import SmallTask, interrupt, new_run

from vneuron.training.config import TrainingConfig
from vneuron.training.loop import Trainer
from vneuron.training.outcome import StopReason
from vneuron.training.retreat import Retreat

PUT_BACK = [(5.0, 3.0), (4.0, 2.0), (3.0, 2.5), (2.0, 2.6), (2.3, 2.0), (2.5, 2.0), (2.2, 2.0)]
"""Scores of the whole and of the part, call by call: the fifth is of the fourth epoch, put back."""

REFUSED = [(5.0, 3.0), (4.0, 2.0), (3.0, 2.5), (2.0, 2.6), (2.9, 2.0), (2.0, 2.6), (1.9, 2.4),
           (1.8, 2.3)]  # fmt: skip
"""The fifth is of the fourth epoch, put back, and the sixth of it as it was."""


class PartedTask(SmallTask):
    """The linear layer settles by a score that is not the task's."""

    score = "val_whole"
    gain = 0.1

    def parameter_groups(self):
        groups = [{**g, "params": list(g["params"])} for g in super().parameter_groups()]
        groups[1] |= {"settles_by": "val_part", "settles_at": self.gain}
        return groups

    def validate(self, module):
        self.validations += 1
        module.units.statistics.use.fill_(float(module(self.x, self.y)[0].mean()))
        whole, part = self.scores[self.validations - 1]
        return {"val_whole": whole, "val_part": part}

    @property
    def layer(self):
        return self.module.net.model[1].weight.detach().clone()


def trainer(**changes):
    options = {"epochs": 6, "patience": 2, "batch_size": 16, "min_steps_per_epoch": 4}
    options |= {"learning_rate": 0.01, "quiet": True, "device": "cpu"}
    return Trainer(TrainingConfig(**options | changes))


def fitted(scores, at=None, run=None, resume=False, gain=0.1, **changes):
    """The task after training, the layer at the start of each epoch, and the outcome."""
    layers = {}
    task = PartedTask(draws=False, scores=scores)
    task.gain = gain
    task.at = {
        4 * epoch + 1: lambda own, epoch=epoch: layers.setdefault(epoch, own.layer)
        for epoch in range(6)
    } | (at or {})
    outcome = trainer(**changes).fit(task, run, resume=resume)
    assert task.validations == len(scores) or outcome.reason is StopReason.INTERRUPTED
    return task, layers, outcome


def same(a, b):
    found = b.module.state_dict()
    for name, value in a.module.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, equal_nan=True)


def test_a_part_goes_back_and_rests_and_the_whole_is_judged_anew(tmp_path):
    run = new_run(tmp_path / "run")
    task, layers, outcome = fitted(PUT_BACK, run=run)
    assert not torch.equal(layers[2], layers[3])
    for later in (layers[4], layers[5], task.layer):
        assert torch.equal(later, layers[2])  # as it was after the second epoch
    # the fourth epoch's 2.0 was that of a worse part
    assert (outcome.best_epoch, outcome.best_score) == (6, 2.2)
    events = [e for e in run.read_events() if e["event"] in ("put_back", "epoch")]
    assert [e["event"] for e in events[3:5]] == ["put_back", "epoch"]
    assert (events[3]["score"], events[3]["risen"], events[3]["lowest"]) == ("val_part", 2.6, 2.0)
    assert events[4]["val_whole"] == 2.3


def test_an_epoch_that_was_best_with_the_same_part_stays_the_best(tmp_path):
    scores = [(5.0, 3.0), (1.0, 2.0), (3.0, 2.5), (2.0, 2.6), (2.3, 2.0), (2.2, 2.0)]
    run = new_run(tmp_path / "run")
    task, layers, outcome = fitted(scores, run=run)
    assert (outcome.best_epoch, outcome.best_score) == (2, 1.0)
    assert torch.equal(task.layer, layers[2])
    # and there is as much patience from there as from a best epoch
    assert (outcome.epochs, outcome.reason) == (5, StopReason.EARLY_STOPPED)


def test_an_epoch_whose_score_is_no_number_is_not_gone_back_to():
    scores = [*PUT_BACK[:2], (3.0, float("nan")), *PUT_BACK[3:]]
    task, layers, _ = fitted(scores)
    assert torch.equal(task.layer, layers[2])


def test_what_is_not_put_back_goes_on():
    task = fitted(PUT_BACK)[0]
    without = fitted([*PUT_BACK[:4], *PUT_BACK[5:]], gain=10.0)[0]
    assert not torch.equal(task.layer, without.layer)
    units, others = task.module.units.parameters(), without.module.units.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(units, others, strict=True))


def test_where_the_whole_loses_more_all_goes_on_as_it_was():
    task, _, outcome = fitted(REFUSED)
    without, _, _ = fitted([*REFUSED[:4], *REFUSED[6:]], gain=10.0)
    assert outcome.best_epoch == 6
    same(without, task)


def test_what_rests_goes_back_without_waiting(monkeypatch):
    monkeypatch.setattr("vneuron.training.schedule.LEAST_STEPS", 3)
    scores = [(5.0, 2.0), (4.0, 2.5), (3.0, 2.6), (3.1, 2.0), (2.9, 2.0), (2.8, 2.0), (2.7, 2.0)]
    task, layers, _ = fitted(scores, patience=0)
    assert torch.equal(task.layer, layers[1])
    assert not torch.equal(layers[2], layers[1])


@pytest.mark.parametrize("scores", [
    [(5.0, 3.0), (4.0, 2.0), (3.0, 2.09), (2.9, 2.09), (2.8, 2.09), (2.7, 2.09)],
    [(5.0, 3.0), (4.0, 2.0), (3.0, 2.5), (2.9, 1.8), (2.8, 2.5), (2.7, 1.6)],
    [(5.0, 3.0), (4.0, 2.0), (3.0, float("nan")), (2.9, 1.8), (2.8, 1.7), (2.7, 1.6)],
], ids=["by less than its gain", "and come down again", "or is not a number"])  # fmt: skip
def test_a_score_that_has_hardly_risen_changes_nothing(scores):
    same(fitted(scores, gain=10.0)[0], fitted(scores)[0])


@pytest.mark.parametrize(("at", "calls"), [(6, 1), (11, 2), (14, 3), (18, 5), (22, 6)])
@pytest.mark.parametrize("scores", [PUT_BACK, REFUSED], ids=["put back", "refused"])
def test_interrupted_and_resumed_is_not_interrupted(tmp_path, at, calls, scores):
    if scores is REFUSED and calls > 4:
        calls += 1
    whole = fitted(scores)[0]
    run = new_run(tmp_path / "run")
    fitted(scores, at={at: interrupt}, run=run)
    again, _, outcome = fitted(scores[calls:], run=run, resume=True)
    assert outcome.epochs == 6
    same(whole, again)


def test_a_run_of_an_earlier_version_goes_on_without(tmp_path, monkeypatch):
    run = new_run(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(Retreat, "state_dict", lambda self: {})
        fitted(PUT_BACK, at={11: interrupt}, run=run)
    scores = [(3.0, 2.5), (2.0, 2.6), (1.9, 2.6), (1.8, 2.6)]
    _, _, outcome = fitted(scores, run=run, resume=True)
    assert outcome.best_epoch == 6


def test_the_kept_are_copies_and_come_back_from_a_checkpoint():
    layer = torch.nn.Linear(2, 1)
    group = {"params": list(layer.parameters()), "settles_by": "val_nll"}
    retreat = Retreat(torch.optim.SGD([group], lr=0.1))
    assert "val_nll" not in retreat
    retreat.keep("val_nll")
    first = layer.weight.detach().clone()
    torch.nn.init.zeros_(layer.weight)
    other = Retreat(torch.optim.SGD([group], lr=0.1))
    other.load_state_dict(retreat.state_dict())
    other.exchange("val_nll")
    assert torch.equal(layer.weight, first)
