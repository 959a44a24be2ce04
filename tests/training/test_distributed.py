"""Two processes over gloo do what one does with twice the batch, however they are started."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from small_task import SmallTask, history, new_run

from vneuron.training.config import TrainingConfig
from vneuron.training.launch import build_fabric
from vneuron.training.loop import Trainer
from vneuron.training.outcome import StopReason
from vneuron.training.run_folder import RunFolder

HERE = Path(__file__).parent
SHORT = {"epochs": 2, "min_steps_per_epoch": 4, "quiet": True, "device": "cpu"}
TOGETHER = {**SHORT, "batch_size": 8, "devices": 2}
ALONE = {**SHORT, "batch_size": 16}


def script(folder, body, *launcher):
    """A process that runs a script, in a process group of its own."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(body))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    return subprocess.Popen(
        [sys.executable, *launcher, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def assert_close(first, second):
    for name, value in first.items():
        torch.testing.assert_close(
            value,
            second[name],
            atol=1e-6,
            rtol=0,
            equal_nan=True,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    run, task = new_run(tmp_path_factory.mktemp("alone") / "run"), SmallTask(draws=False)
    return Trainer(TrainingConfig(**ALONE)).fit(task, run), task.module.state_dict(), run


def test_two_processes_equal_one_with_twice_the_batch(tmp_path, alone, capfd):
    expected, weights, expected_run = alone
    run, task = new_run(tmp_path / "run"), SmallTask(draws=False)
    port = os.environ.get("MASTER_PORT")
    outcome = Trainer(TrainingConfig(**TOGETHER)).fit(task, run)
    assert (outcome.reason, outcome.steps) == (StopReason.COMPLETED, 8)
    assert outcome.best_score == pytest.approx(expected.best_score, abs=1e-6)
    assert_close(task.module.state_dict(), weights)  # statistics too: they are buffers
    assert not task.module.training
    for got, wanted in zip(history(run)[1:], history(expected_run)[1:], strict=True):
        assert got.keys() == wanted.keys()
        for name in ("loss", "nll", "kl", "val_nll"):
            if name in wanted:
                assert got[name] == pytest.approx(wanted[name], abs=1e-5)
    assert os.environ.get("MASTER_PORT") == port
    assert capfd.readouterr() == ("", "")


def assert_same_bits(first, second):
    for name, value in first.items():
        assert value.numpy().tobytes() == second[name].numpy().tobytes(), name


def test_more_processes_than_cores_are_refused():
    cores = max(os.cpu_count() or 1, 2)
    with pytest.raises(ValueError, match=f"devices is {cores + 1}, .* expected at most {cores}:"):
        build_fabric(TrainingConfig(device="cpu", devices=cores + 1))
    assert build_fabric(TrainingConfig(device="cpu")).world_size == 1


@pytest.mark.slow
def test_draws_differ_between_processes_and_repeat_with_the_seed():
    def weights(config):
        task = SmallTask()
        # With one example repeated, two processes that drew the same would equal one of them.
        task.x[:], task.y[:] = task.x[:1].clone(), task.y[:1].clone()
        Trainer(TrainingConfig(**config)).fit(task)
        return task.module.state_dict()

    together = weights(TOGETHER)
    assert_same_bits(together, weights(TOGETHER))
    one = weights({**TOGETHER, "devices": 1, "min_steps_per_epoch": 4, "max_steps_per_epoch": 4})
    name = "net.model.1.weight"
    assert not torch.allclose(together[name], one[name], atol=1e-6)


@pytest.mark.slow
def test_torchrun(tmp_path, alone):
    _, weights, _ = alone
    body = f"""
        import os, safetensors.torch
        from small_task import SmallTask, new_run
        from vneuron.training.loop import Trainer, TrainingConfig
        from vneuron.training.run_folder import RunFolder
        path = {str(tmp_path / "run")!r}
        rank = os.environ["RANK"]
        task = SmallTask(draws=False)
        run = new_run(path) if rank == "0" else RunFolder(path)
        outcome = Trainer(TrainingConfig(**{ {**TOGETHER, "devices": 1}!r})).fit(task, run)
        weights = {{key: value.clone() for key, value in task.module.state_dict().items()}}
        safetensors.torch.save_file(weights, path + rank)
        again = Trainer(TrainingConfig(**{ {**TOGETHER, "devices": 1}!r})).fit(task, run, "twin")
        assert again.reason == outcome.reason == "completed"
    """
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    process = script(tmp_path, body, *launcher)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    for rank in range(2):
        assert_close(safetensors.torch.load_file(f"{tmp_path / 'run'}{rank}"), weights)
    assert [e["event"] for e in history(RunFolder.open(tmp_path / "run"))].count("start") == 2


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["group", "parent"])
def test_an_interruption_reaches_all_processes_and_the_run_resumes(tmp_path, whom):
    config = {**TOGETHER, "epochs": 3, "min_steps_per_epoch": 200, "quiet": False}
    body = f"""
        from small_task import SmallTask, new_run
        from vneuron.training.loop import Trainer, TrainingConfig
        from vneuron.training.run_folder import RunFolder
        if __name__ == "__main__":
            run = new_run({str(tmp_path / "run")!r})
            outcome = Trainer(TrainingConfig(**{config!r})).fit(SmallTask(), run)
            print(outcome.reason, outcome.epochs)
    """
    process = script(tmp_path, body)
    line = process.stderr.readline()
    assert line.startswith("EVE 1/3"), line + process.stderr.read()
    time.sleep(0.05)
    send = os.killpg if whom == "group" else os.kill
    send(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "interrupted" in out
    expected, resumed = SmallTask(), SmallTask()
    trainer = Trainer(TrainingConfig(**{**config, "quiet": True}))
    trainer.fit(resumed, RunFolder.open(tmp_path / "run"), resume=True)
    trainer.fit(expected)
    assert_same_bits(expected.module.state_dict(), resumed.module.state_dict())
