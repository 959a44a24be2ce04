"""The training loop: what it learns, how it ends, what it writes, and that seeds decide."""

import itertools
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_task import SmallTask, history, interrupt, new_run, poison
from torch import nn

import vneuron as vn
from vneuron.training.config import TrainingConfig
from vneuron.training.loop import MAIN_MODEL, Trainer
from vneuron.training.meter import Meter
from vneuron.training.order import ExampleOrder
from vneuron.training.outcome import StopReason
from vneuron.training.run_folder import RunFolderError
from vneuron.training.schedule import cosine
from vneuron.training.state import ResumeError, TrainingState

SHORT = {"batch_size": 16, "min_steps_per_epoch": 4, "quiet": True, "device": "cpu"}


def trainer(**changes):
    return Trainer(TrainingConfig(**{"epochs": 3, **SHORT, **changes}))


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a, b):
    # By bytes: some buffers are NaN until they are measured.
    return a.keys() == b.keys() and all(a[k].numpy().tobytes() == b[k].numpy().tobytes() for k in a)


# -- what it computes --------------------------------------------------------------------------


@pytest.mark.parametrize(("clip", "apart"), [(0.0, False), (0.05, False), (0.05, True)])
def test_steps_are_those_of_a_loop_written_by_hand(clip, apart):
    task, twin = SmallTask(draws=False), SmallTask(draws=False)
    if apart:
        own = [{**g, "params": list(g["params"])} for g in task.parameter_groups()]
        own[1]["clipped"] = "apart"
        task.parameter_groups = lambda: own
    trainer(epochs=2, gradient_clip=clip, warmup_steps=3, learning_rate=0.01).fit(task)

    groups = [{**g, "params": list(g["params"])} for g in twin.parameter_groups()]
    scales = [group.pop("lr_scale", 1.0) for group in groups]
    groups[1]["weight_decay"] = 0.0
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    order = ExampleOrder(64, 16, min_steps=4)
    assert [b.tolist() for b in task.batches] == torch.cat(
        [order.epoch(0), order.epoch(1)]
    ).tolist()
    for step, indices in enumerate(task.batches):
        for group, scale in zip(optimizer.param_groups, scales, strict=True):
            group["lr"] = 0.01 * scale * cosine(step, 8, 3)
        nll, terms, _, _ = twin.module(twin.x[indices], twin.y[indices])
        loss = nll.mean() + 0.1 * terms[0].kl.sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        if clip:
            parts = [[p for g in optimizer.param_groups for p in g["params"]]]
            if apart:
                second = optimizer.param_groups[1]["params"]
                parts = [[p for p in parts[0] if not any(p is q for q in second)], second]
            for part in parts:
                nn.utils.clip_grad_norm_(part, clip)
        optimizer.step()
        vn.control_step(twin.module, terms)
    with torch.no_grad():
        twin.validate(twin.module)
    twin.module.units.statistics.mark_reference()  # the last epoch is the best
    learned, expected = state(task.module), state(twin.module)
    for name in expected:
        torch.testing.assert_close(
            learned[name], expected[name], atol=1e-6, rtol=1e-5, equal_nan=True
        )


def settling_task(scores, gain=0.1, **options):
    """A task whose linear layer settles by a validation score of given values."""
    task = SmallTask(draws=False, scores=scores, **options)
    groups = [{**g, "params": list(g["params"])} for g in task.parameter_groups()]
    groups[1] |= {"settles_by": "val_nll", "settles_at": gain}
    task.parameter_groups = lambda: groups
    return task


def weights_by_step(scores, epochs=4, gain=0.1):
    """The settling layer's weights before each step of four an epoch."""
    task = settling_task(scores, gain)
    seen = []
    task.at = {
        n + 1: lambda own: seen.append(own.module.net.model[1].weight.detach().clone())
        for n in range(4 * epochs)
    }
    trainer(epochs=epochs, learning_rate=0.01, patience=0).fit(task)
    return seen


def moves(weights):
    return [not torch.equal(a, b) for a, b in itertools.pairwise(weights)]


def test_a_group_settles_once_its_score_has_stopped_falling(monkeypatch):
    monkeypatch.setattr("vneuron.training.schedule.LEAST_STEPS", 3)
    falling = weights_by_step([4.0, 3.0, 2.0, 1.0])
    assert all(moves(falling))
    # the second epoch brings too little: 4 more steps, the half of the run being over at 8
    stalled = weights_by_step([4.0, 3.95, 2.0, 1.0])
    assert moves(stalled) == [True] * 12 + [False] * 3
    assert all(torch.equal(a, b) for a, b in zip(falling[:9], stalled[:9], strict=True))
    # no second thoughts: what falls again later does not wake it; a smaller gain counts as asked
    assert all(moves(weights_by_step([4.0, 3.95, 3.9, 3.85], gain=0.01)))
    monkeypatch.setattr("vneuron.training.schedule.LEAST_STEPS", 1000)
    assert all(moves(weights_by_step([4.0, 3.95, 2.0, 1.0])))


def test_of_sixteen_epochs_one_without_a_gain_is_no_sign_and_two_are(monkeypatch):
    monkeypatch.setattr("vneuron.training.schedule.LEAST_STEPS", 3)
    falling = [16.0 - n for n in range(16)]
    assert all(moves(weights_by_step([*falling[:2], 15.5, *falling[3:]], epochs=16)))
    # gains that are too small one by one count together
    assert all(moves(weights_by_step([16.0 - 0.06 * n for n in range(16)], epochs=16)))
    # settling begins after the fourth epoch, and the half of the run is over at 32
    stalled = weights_by_step([*falling[:2], 15.5, 14.95, *falling[4:]], epochs=16)
    assert moves(stalled) == [True] * 32 + [False] * 31


def test_a_score_that_is_nan_has_not_fallen():
    state = TrainingState(step=10)
    for score in (math.nan, 4.0, math.nan, 3.0):
        state.watch({"nll": score}, {"nll": 0.1}, patience=2)
    assert (state.lowest, state.waited, state.settled) == ({"nll": 3.0}, {"nll": 0}, {})
    for _ in range(2):
        state.watch({"nll": math.nan}, {"nll": 0.1}, patience=2)
    assert state.settled == {"nll": 10}


@pytest.mark.parametrize(
    ("scores", "at"),
    [([4.0, 3.95, 2.0, 1.0], 11), ([16.0, 15.0, 15.5, 14.95, *[1.0] * 12], 14)],
    ids=["settled", "waiting"],
)
def test_resuming_a_run_that_settles_gives_the_same_bits(tmp_path, monkeypatch, scores, at):
    monkeypatch.setattr("vneuron.training.schedule.LEAST_STEPS", 3)
    whole, parts = settling_task(scores), settling_task(scores, at={at: interrupt})
    options = {"epochs": len(scores), "learning_rate": 0.01, "patience": 0}
    trainer(**options).fit(whole)
    run = new_run(tmp_path / "run")
    trainer(**options).fit(parts, run)
    again = settling_task(scores[(at - 1) // 4 :])
    trainer(**options).fit(again, run, resume=True)
    expected, found = whole.module.state_dict(), again.module.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, equal_nan=True)


def test_it_learns():
    task = SmallTask(256, draws=False)
    before = task.module(task.x, task.y)[0].mean().item()
    outcome = trainer(epochs=4, min_steps_per_epoch=50, learning_rate=0.03).fit(task)
    assert outcome.best_score < 0.2 * before
    assert outcome.reason is StopReason.COMPLETED
    assert (outcome.epochs, outcome.steps) == (4, 200)
    assert not task.module.training
    assert task.module.units.statistics.updates == 200
    assert outcome.seconds > 0
    assert outcome.cpu_seconds > 0


def test_the_seed_decides_and_the_callers_randomness_does_not():
    first, second, other = SmallTask(), SmallTask(), SmallTask()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    trainer().fit(first)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    trainer().fit(second)
    trainer(seed=1).fit(other)
    assert same(state(first.module), state(second.module))
    assert not same(state(first.module), state(other.module))


def test_mixed_precision_keeps_weights_and_statistics_single():
    task = SmallTask()
    outcome = trainer(precision="bf16-mixed").fit(task)
    assert math.isfinite(outcome.best_score)
    tensors = state(task.module)
    assert {v.dtype for v in tensors.values()} <= {torch.float32, torch.int64}


@pytest.mark.slow
def test_compiled_it_learns_the_same():
    plain, compiled = SmallTask(draws=False), SmallTask(draws=False)
    trainer(epochs=2).fit(plain)
    trainer(epochs=2, compile=True).fit(compiled)
    expected = state(plain.module)
    for name, value in state(compiled.module).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-5, equal_nan=True)


# -- how it ends -------------------------------------------------------------------------------


def test_the_best_weights_come_back():
    seen = []
    task = SmallTask(scores=[3.0, 1.0, 2.0])
    outcome = trainer().fit(task, on_epoch=lambda record: seen.append(state(task.module)))
    assert (outcome.best_score, outcome.best_epoch, outcome.epochs) == (1.0, 2, 3)
    assert same(state(task.module), seen[1])
    assert not same(seen[1], seen[2])


@pytest.mark.parametrize(
    ("patience", "epochs", "reason"),
    [(2, 4, StopReason.EARLY_STOPPED), (3, 6, StopReason.COMPLETED), (0, 6, StopReason.COMPLETED)],
)
def test_patience_counts_epochs_without_a_better_score(patience, epochs, reason):
    # A tie is no improvement; one just before the end starts the count anew.
    task = SmallTask(scores=[2.0, 1.0, 1.0, 1.5, 0.9, 1.0])
    outcome = trainer(epochs=6, patience=patience).fit(task)
    assert (outcome.epochs, outcome.reason) == (epochs, reason)


def test_divergence_is_an_outcome_that_keeps_the_best(tmp_path):
    run = new_run(tmp_path)
    task = SmallTask(at={6: poison})
    seen = []
    outcome = trainer().fit(task, run, on_epoch=lambda record: seen.append(state(task.module)))
    assert outcome.reason is StopReason.DIVERGED
    assert "learning_rate" in outcome.reason.message
    assert (outcome.epochs, outcome.steps, outcome.best_epoch) == (1, 4, 1)
    assert same(state(task.module), seen[0])
    assert history(run)[-1] == {
        "event": "stop",
        "model": "EVE",
        "reason": "diverged",
        "epoch": 2,
    }


def test_divergence_before_any_score_gives_the_first_weights_back():
    task = SmallTask(at={1: poison})
    before = state(task.module)
    outcome = trainer().fit(task)
    assert outcome.reason is StopReason.DIVERGED
    assert outcome.best_epoch == 0
    assert math.isnan(outcome.best_score)
    assert same(state(task.module), before)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_divergence(score):
    outcome = trainer().fit(SmallTask(scores=[1.0, score]))
    assert outcome.reason is StopReason.DIVERGED
    assert (outcome.best_epoch, outcome.best_score) == (1, 1.0)


def test_every_reason_has_a_message():
    assert all(reason.message.endswith(".") for reason in StopReason)


def test_an_error_in_the_callback_ends_training_and_reaches_the_caller(tmp_path):
    def prune(record):
        raise LookupError("pruned")

    with pytest.raises(LookupError, match="pruned"):
        trainer().fit(SmallTask(), new_run(tmp_path), on_epoch=prune)


# -- what it writes ----------------------------------------------------------------------------


def test_the_run_folder_holds_events_vitals_and_checkpoints(tmp_path):
    run = new_run(tmp_path)
    records = []
    trainer(epochs=2).fit(SmallTask(scores=[1.0, 2.0]), run, on_epoch=records.append)
    run.verify()
    events = run.read_events()
    assert [e["event"] for e in events] == ["start", "epoch", "best", "epoch", "stop"]
    assert {e["model"] for e in events} == {MAIN_MODEL}
    line = events[1]
    names = {"epoch", "step", "loss", "nll", "kl", "alive", "val_nll", "seconds", "error"}
    assert names <= line.keys()
    assert (line["epoch"], line["step"], line["val_nll"]) == (1, 4, 1.0)
    assert line["loss"] == pytest.approx(records[0].loss)
    assert line["controls"].keys() == {"0/kl", "0/energy", "0/alive"}
    vitals = run.read_parquet("vitals.parquet")
    assert list(zip(vitals["epoch"], vitals["unit"], strict=True)) == [
        (epoch, unit) for epoch in (1, 2) for unit in range(4)
    ]
    assert run.read_json("checkpoints/best.json")["epoch"] == 1
    assert run.read_json("checkpoints/last.json")["epoch"] == 2


def test_drift_is_counted_from_the_best_epoch_before(tmp_path):
    task, run, seen = SmallTask(scores=[2.0, 1.0, 3.0, 4.0], draws=False), new_run(tmp_path), []

    def look(record):
        found = task.module.units.statistics
        scale = (found.scale_square + found.loc_variance()).sqrt()
        seen.append(torch.distributions.Normal(found.loc_mean.clone(), scale.clone()))

    trainer(epochs=4, patience=0, learning_rate=0.05).fit(task, run, on_epoch=look)
    vitals = run.read_parquet("vitals.parquet")
    drift = vitals.pivot_table(index="epoch", columns="unit", values="drift")
    divergence = torch.distributions.kl_divergence
    for epoch, best in ((1, 1), (2, 1), (3, 2), (4, 2)):
        now, then = seen[epoch - 1], seen[best - 1]
        expected = 0.5 * (divergence(now, then) + divergence(then, now)).sum(-1)
        assert drift.loc[epoch].tolist() == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-6)
    assert (drift.loc[2] > 1e-4).all()
    assert (vn.health(task.module).units["drift"] == 0).all(), "the kept weights are their own mark"


def test_a_run_holds_several_models(tmp_path):
    run = new_run(tmp_path)
    trainer(epochs=2).fit(SmallTask(), run)
    trainer(epochs=1).fit(SmallTask(seed=1), run, "twin")
    stems = sorted(p.stem for p in (tmp_path / "checkpoints").glob("*.safetensors"))
    assert stems == ["best", "last", "twin-best", "twin-last"]
    vitals = run.read_parquet("vitals.parquet")
    assert vitals.groupby("model")["epoch"].max().to_dict() == {"EVE": 2, "twin": 1}
    assert [e["model"] for e in run.read_events() if e["event"] == "stop"] == ["EVE", "twin"]


def test_an_earlier_training_is_not_written_over(tmp_path):
    run = new_run(tmp_path)
    trainer(epochs=1).fit(SmallTask(), run)
    with pytest.raises(ResumeError, match=r"resume=True.*another run folder"):
        trainer(epochs=1).fit(SmallTask(), run)


def test_a_task_without_units_trains(tmp_path):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 1)

        def forward(self, x, y):
            nll = (y - self.linear(x)).square().sum(-1)
            return nll, (), torch.zeros(()), {}

    class PlainTask(SmallTask):
        def parameter_groups(self):
            return [{"params": self.module.parameters()}]

        def validate(self, module):
            return {"val_nll": float(module(self.x, self.y)[0].mean())}

        def vitals(self):
            return None

    task = PlainTask()
    task.module = Plain()
    run = new_run(tmp_path)
    trainer().fit(task, run, "linear")
    line = next(e for e in run.read_events() if e["event"] == "epoch")
    assert (line["kl"], line["alive"]) == (0.0, None)
    assert not run.exists("vitals.parquet")


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"gradient_clip": math.nan}, "gradient_clip is nan"),
        ({"patience": -1}, "patience is -1"),
        ({"max_steps_per_epoch": 3}, "max_steps_per_epoch is 3, expected at least 4"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"precision": "16"}, "precision is '16'"),
    ],
)
def test_a_wrong_configuration_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**{**SHORT, **change})


def test_resuming_needs_a_run_folder():
    with pytest.raises(ValueError, match="without a run folder"):
        trainer().fit(SmallTask(), resume=True)


def test_a_missing_score_and_a_taken_name_are_named():
    task = SmallTask()
    task.score = "val_mse"
    with pytest.raises(ValueError, match=r"\['val_nll'\].*'val_mse'"):
        trainer().fit(task)
    task = SmallTask()
    task.validate = lambda module: {"val_nll": 1.0, "loss": 2.0}
    with pytest.raises(ValueError, match=r"'loss'.*val_loss"):
        trainer().fit(task)


def test_a_group_with_its_own_learning_rate_is_refused():
    task = SmallTask()
    task.parameter_groups = lambda: [{"params": task.module.parameters(), "lr": 0.1}]
    with pytest.raises(ValueError, match=r"\['lr'\]"):
        trainer().fit(task)


def test_more_gpus_than_there_are_is_one_line():
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ValueError, match="0 are there") as error:
        trainer(device="cuda").fit(SmallTask())
    assert "\n" not in str(error.value)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    run = new_run(tmp_path)
    trainer(epochs=1).fit(SmallTask(), run)
    path = tmp_path / "checkpoints" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunFolderError, match="changed since it was written"):
        trainer(epochs=1).fit(SmallTask(), run, resume=True)


# -- the parts ---------------------------------------------------------------------------------


@given(
    examples=st.integers(1, 60),
    batch=st.integers(1, 20),
    world=st.integers(1, 3),
    least=st.integers(1, 7),
    most=st.integers(7, 9),
)
def test_epochs_are_cut_from_permutations_laid_end_to_end(examples, batch, world, least, most):
    if examples < world:
        with pytest.raises(ValueError, match="fewer devices"):
            ExampleOrder(examples, batch, world=world)
        return
    order = ExampleOrder(examples, batch, world=world, seed=3, min_steps=least, max_steps=most)
    assert least <= order.steps <= most
    shape = (order.steps, order.batch_size)
    stream = []
    for epoch in range(3):
        ranks = [order.epoch(epoch, rank) for rank in range(world)]
        assert all(part.shape == shape for part in ranks)
        # The batches of all ranks at a step, in turn, are the batch of one process.
        whole = torch.stack([part.flatten() for part in ranks], dim=1).flatten()
        alone = ExampleOrder(
            examples, order.batch_size * world, seed=3, min_steps=least, max_steps=most
        )
        assert torch.equal(whole, alone.epoch(epoch).flatten())
        stream.append(whole)
    counts = torch.bincount(torch.cat(stream), minlength=examples)
    assert counts.max() - counts.min() <= 1
    fresh = ExampleOrder(examples, batch, world=world, seed=3, min_steps=least, max_steps=most)
    assert torch.equal(fresh.epoch(2, world - 1), order.epoch(2, world - 1))


def test_another_seed_is_another_order():
    first, second = (ExampleOrder(100, 10, seed=seed, min_steps=1).epoch(0) for seed in (0, 1))
    assert not torch.equal(first, second)


@given(total=st.integers(1, 50), warmup=st.integers(0, 60))
def test_the_learning_rate_rises_then_falls_to_zero(total, warmup):
    factors = [cosine(step, total, warmup) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)
    rise = min(warmup, total)
    assert factors[:rise] == sorted(factors[:rise])
    assert factors[rise:] == sorted(factors[rise:], reverse=True)
    if warmup < total:
        assert factors[warmup] == 1.0
        assert cosine(total, total, warmup) == 0.0


def test_the_meter_finds_a_single_bad_step():
    meter = Meter()
    for value in (1.0, math.inf, 2.0):
        meter.add(torch.tensor(value), torch.tensor([value]), {"a": torch.tensor(1.0)})
    reading = meter.read()
    assert not math.isfinite(reading["loss"])
    assert reading["a"] == 1.0


def test_lightning_is_imported_only_to_train():
    code = "import sys, vneuron.training.loop; print('lightning_fabric' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
