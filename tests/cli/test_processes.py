"""The command as a process of its own: streams, exit codes, and Ctrl-C in the middle of a fit."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import safetensors.torch

from vneuron.training.run_folder import RunFolder

COMMAND = [sys.executable, "-c", "from vneuron.cli.app import main; main()"]


def run(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def tensors(folder, name):
    found = safetensors.torch.load((folder / "checkpoints" / f"{name}.safetensors").read_bytes())
    return {name: tensor.numpy().tobytes() for name, tensor in found.items()}


def history(folder):
    """What happened, but for times, interruptions and resumptions."""
    return [
        {key: value for key, value in event.items() if key not in ("time", "seconds")}
        for event in RunFolder.open(folder).read_events()
        if event["event"] not in ("resume", "interrupted")
    ]


def test_a_fit_prints_one_object_and_nothing_else(fitted, small, place):
    done = run("fit", fitted.data, *small, "--no-baselines", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["test"]["EVE"] == fitted.said.json["test"]["EVE"]
    assert "Warning" not in done.stderr


def test_bad_input_ends_in_one_line_and_code_2(small, place):
    done = run("fit", "absent.csv", *small)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("vneuron: absent.csv: ")
    assert list(place.iterdir()) == []


def test_a_reader_that_has_seen_enough(fitted):
    process = subprocess.Popen(
        [*COMMAND, "forecast", str(fitted.run), "--paths", "2000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) in (0, -signal.SIGPIPE)
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def interrupt_after_an_epoch(arguments, folder):
    """Start the command, send what Ctrl-C sends once an epoch is written, and wait."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    events = folder / "events.jsonl"
    give_up = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < give_up:
        if events.exists() and '"event": "epoch"' in events.read_text().replace('":"', '": "'):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is delivered otherwise on Windows")
def test_ctrl_c_keeps_the_best_and_resume_ends_with_the_same_bits(vneuron, fitted, small, place):
    arguments = ["fit", fitted.data, *small, "--epochs", "12", "--patience", "0",
                 "--no-baselines", "--json"]  # fmt: skip
    code, out, err = interrupt_after_an_epoch([*arguments, "--out", "run"], place / "run")
    assert code == 130, err
    assert "Traceback" not in err
    found = json.loads(out)
    assert found["outcome"] == "interrupted"
    assert "--resume" in err
    epochs = json.loads((place / "run" / "checkpoints" / "last.json").read_text())["epoch"]
    assert 1 <= epochs < 12
    assert (place / "run" / "report.html").exists()
    assert vneuron("forecast", "run").code == 0

    resumed = vneuron(*arguments, "--out", "run", "--resume")
    assert resumed.code == 0, resumed.err
    whole = vneuron(*arguments, "--out", "whole")
    assert resumed.json["test"] == whole.json["test"]
    for name in ("best", "last"):
        assert tensors(place / "run", name) == tensors(place / "whole", name)
    assert history(place / "run") == history(place / "whole")


def test_ctrl_c_in_the_first_epoch_can_be_resumed(vneuron, fitted, small, place, monkeypatch):
    from vneuron.forecasting.task import TrajectoryTask

    real = TrajectoryTask.batch

    def interrupted(self, indices, device):
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, indices, device)

    arguments = ["fit", fitted.data, *small, "--no-baselines", "--out", "run", "--json", "-q"]
    with monkeypatch.context() as patched:
        patched.setattr(TrajectoryTask, "batch", interrupted)
        said = vneuron(*arguments)
    assert said.code == 130
    assert said.json["outcome"] == "interrupted"
    assert said.json["test"] == {}
    resumed = vneuron(*arguments, "--resume")
    assert resumed.code == 0, resumed.err
    assert resumed.json["test"]["EVE"] == fitted.said.json["test"]["EVE"]


def test_ctrl_c_in_a_baseline_can_be_resumed(vneuron, fitted, small, place, monkeypatch):
    from vneuron.forecasting.task import TrajectoryTask

    real = TrajectoryTask.batch

    def interrupted(self, indices, device):
        if self.network.units is None:  # the linear model, after EVE and the twin
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, indices, device)

    arguments = ["fit", fitted.data, *small, "--out", "run", "--json", "-q"]
    with monkeypatch.context() as patched:
        patched.setattr(TrajectoryTask, "batch", interrupted)
        assert vneuron(*arguments).code == 130
    weights = tensors(place / "run", "best")
    resumed = vneuron(*arguments, "--resume")
    assert resumed.code == 0, resumed.err
    assert resumed.json["test"] == fitted.said.json["test"]
    assert tensors(place / "run", "best") == weights


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is delivered otherwise on Windows")
@pytest.mark.parametrize(
    "learning", ["closed_form", pytest.param("through_time", marks=pytest.mark.slow)]
)
def test_ctrl_c_in_a_fit_of_images_and_resume_ends_with_the_same_bits(vneuron, place, learning):
    arguments = ["images", "fit", "digits", "--latents", "32", "--steps", "6", "--device", "cpu",
                 "--set", f"learning={learning}", "--epochs", "12", "--json"]  # fmt: skip
    code, out, err = interrupt_after_an_epoch([*arguments, "--out", "run"], place / "run")
    assert code == 130, err
    assert "Traceback" not in err
    found = json.loads(out)
    assert found["outcome"] == "interrupted"
    assert found["scores"] == []
    assert "--resume" in err
    assert (place / "run" / "report.html").exists()
    assert vneuron("images", "encode", "run", "digits", "--out", "codes.npz").code == 0

    resumed = vneuron(*arguments, "--out", "run", "--resume")
    assert resumed.code == 0, resumed.err
    whole = vneuron(*arguments, "--out", "whole")
    assert resumed.json["scores"] == whole.json["scores"]
    assert tensors(place / "run", "model") == tensors(place / "whole", "model")
    assert history(place / "run") == history(place / "whole")
