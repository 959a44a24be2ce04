"""A run that was stopped at any moment and resumed is the run that was not: bit for bit."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import safetensors.torch
import torch
from small_task import SmallTask, history, new_run

from vneuron.training.config import TrainingConfig
from vneuron.training.journal import Journal
from vneuron.training.loop import Trainer
from vneuron.training.outcome import StopReason
from vneuron.training.run_folder import RunFolder, RunFolderError
from vneuron.training.state import ResumeError

SHORT = {"epochs": 3, "batch_size": 16, "min_steps_per_epoch": 4, "quiet": True, "device": "cpu"}


class Killed(BaseException):
    """Stands for the end of the process, where the moment of it has to be met."""


def trainer(**changes):
    return Trainer(TrainingConfig(**{**SHORT, **changes}))


def checkpoint(run, name):
    return safetensors.torch.load(run.read_bytes(f"checkpoints/{name}.safetensors"))


def assert_same_run(run, other, models=("",)):
    for prefix in models:
        for kind in ("best", "last"):
            first, second = (checkpoint(r, f"{prefix}{kind}") for r in (run, other))
            assert first.keys() == second.keys()
            for name, tensor in first.items():
                assert tensor.numpy().tobytes() == second[name].numpy().tobytes(), name
    assert history(run) == history(other)
    assert run.read_parquet("vitals.parquet").equals(other.read_parquet("vitals.parquet"))
    run.verify()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happened to."""
    run = new_run(tmp_path_factory.mktemp("runs") / "whole")
    trainer().fit(SmallTask(), run)
    return run


def killed_run(path, monkeypatch, method, after):
    """A run whose process ends on entering a method of the journal for the nth time."""
    real, calls = getattr(Journal, method), []

    def dying(self, *args, **kwargs):
        calls.append(method)
        if len(calls) > after:
            raise Killed
        return real(self, *args, **kwargs)

    run = new_run(path)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, method, dying)
        with pytest.raises(Killed):
            trainer().fit(SmallTask(), run)
    return run


def test_a_kill_in_the_middle_of_an_epoch(tmp_path, whole):
    # In the sixth step, the second epoch of four steps is half done. Nothing gets to clean up.
    code = f"""
        import torch
        torch.set_num_threads(1)
        from small_task import SmallTask, die, new_run
        from vneuron.training.loop import Trainer, TrainingConfig
        run, task = new_run({str(tmp_path)!r}), SmallTask(at={{6: die}})
        Trainer(TrainingConfig(**{SHORT!r})).fit(task, run)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    run = RunFolder.open(tmp_path)
    assert run.read_json("checkpoints/last.json")["epoch"] == 1
    task = SmallTask()
    outcome = trainer().fit(task, run, resume=True)
    assert len(task.batches) == 8
    assert (outcome.epochs, outcome.steps, outcome.reason) == (3, 12, StopReason.COMPLETED)
    assert_same_run(run, whole)
    assert [e["epoch"] for e in run.read_events() if e["event"] == "resume"] == [1]


@pytest.mark.parametrize(
    ("method", "after"),
    [
        ("vitals", 0),  # before anything of the first epoch is written
        ("vitals", 1),
        ("save_best", 0),  # after its line in the log
        ("save_best", 1),
        ("save_last", 0),  # after the best, before the last
        ("save_last", 1),
        ("save_last", 2),  # after the line that says why it stopped
    ],
)
def test_a_kill_while_an_epoch_is_written(tmp_path, monkeypatch, whole, method, after):
    run = killed_run(tmp_path / "run", monkeypatch, method, after)
    trainer().fit(SmallTask(), run, resume=True)
    assert_same_run(run, whole)


def test_resuming_twice(tmp_path, monkeypatch, whole):
    run = killed_run(tmp_path / "run", monkeypatch, "vitals", 1)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "save_best", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            trainer().fit(SmallTask(), run, resume=True)
    trainer().fit(SmallTask(), run, resume=True)
    assert_same_run(run, whole)


def test_early_stopping_counts_on_after_a_resumption(tmp_path):
    def stop(task):
        raise Killed

    run = new_run(tmp_path)
    with pytest.raises(Killed):  # in the third epoch; the second was no better than the first
        trainer(patience=2, epochs=5).fit(SmallTask(scores=[1.0, 2.0], at={10: stop}), run)
    resumed = SmallTask(scores=[1.5])
    outcome = trainer(patience=2, epochs=5).fit(resumed, run, resume=True)
    assert (outcome.epochs, outcome.best_epoch, outcome.best_score) == (3, 1, 1.0)
    assert outcome.reason is StopReason.EARLY_STOPPED
    assert resumed.module.units.statistics.updates == 4


def test_a_model_that_follows_another_is_resumed_alone(tmp_path):
    """Neither its first epoch nor a later one is lost on the model before it."""

    def train(run, at=0, resume=False):
        trainer().fit(SmallTask(), run, resume=resume)

        def stop(task):
            raise Killed

        trainer().fit(SmallTask(seed=1, at={at: stop}), run, "twin", resume=resume)

    expected = new_run(tmp_path / "expected")
    train(expected)
    run = new_run(tmp_path / "run")
    for at in (3, 7):  # in its first epoch, then, resumed, in its second
        with pytest.raises(Killed):
            train(run, at, resume=run.has_checkpoint)
    train(run, resume=True)
    assert_same_run(run, expected, models=("", "twin-"))


@pytest.mark.parametrize("changes", [{}, {"patience": 1}])
def test_a_run_that_has_ended_is_only_read(tmp_path, changes):
    run = new_run(tmp_path)
    task = SmallTask(scores=[1.0, 2.0, 3.0])
    first = trainer(**changes).fit(task, run)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    again = SmallTask()
    second = trainer(**changes, quiet=False).fit(again, run, resume=True)
    assert (second.reason, second.best_score, second.epochs) == (
        first.reason,
        first.best_score,
        first.epochs,
    )
    assert (again.batches, again.validations) == ([], 0)
    for name, value in task.module.state_dict().items():
        assert torch.equal(value.nan_to_num(), again.module.state_dict()[name].nan_to_num())
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_resuming_what_was_never_begun_begins(tmp_path, whole):
    run = new_run(tmp_path / "run")
    trainer().fit(SmallTask(), run, resume=True)
    assert_same_run(run, whole)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"epochs": 4}, "epochs = 3"),
        ({"batch_size": 8}, "batch_size = 16"),
        ({"learning_rate": 0.1}, "learning_rate = 0.001"),
        ({"seed": 1}, "seed = 0"),
        ({"devices": 2}, "devices = 1"),
    ],
)
def test_another_configuration_is_refused_by_the_name_of_its_field(whole, changes, field):
    task = SmallTask()
    before = task.module.net.model[1].weight.clone()
    with pytest.raises(ResumeError, match=field) as error:
        trainer(**changes).fit(task, whole, resume=True)
    assert "\n" not in str(error.value)
    assert torch.equal(task.module.net.model[1].weight, before)


def test_other_data_and_another_model_are_refused(whole):
    with pytest.raises(ResumeError, match="examples = 64.*65"):
        trainer().fit(SmallTask(65), whole, resume=True)
    task = SmallTask()
    task.module.extra = torch.nn.Linear(1, 1)
    with pytest.raises(RunFolderError, match="'extra.weight' is missing"):
        trainer().fit(task, whole, resume=True)
