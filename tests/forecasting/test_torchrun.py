"""A forecaster under torchrun: two hosts of one process each, and the command on one host."""

import json
import os
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

import vneuron as vn
from vneuron.training.run_folder import RunFolder

LAUNCH = [sys.executable, "-m", "torch.distributed.run"]
FIT = {
    "horizon": 6,
    "input_size": 24,
    "units": 3,
    "hidden": 12,
    "epochs": 2,
    "dropout": 0.0,
    "device": "cpu",
    "quiet": True,
}
SCRIPT = f"""
    import os, sys
    import pandas as pd
    import vneuron as vn

    f = vn.EVEForecaster(**{FIT!r}, batch_size=32)
    f.fit("panel.parquet", run_dir="run")
    f.predict(level=[80]).to_parquet(f"rank{{os.environ['RANK']}}.parquet")
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(folder, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*LAUNCH, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def panel(tmp_path):
    hours = np.arange(200)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], 200),
            "ds": np.tile(pd.Timestamp("2026-01-01") + hours * pd.Timedelta(hours=1), 2),
            "y": np.tile(np.sin(hours * np.pi / 12), 2) + rng.normal(0, 0.1, 400),
        }
    )
    frame.to_parquet(tmp_path / "panel.parquet", index=False)
    return tmp_path


@pytest.mark.slow
def test_two_hosts_train_one_model_and_the_first_alone_writes(panel):
    (panel / "script.py").write_text(textwrap.dedent(SCRIPT))
    meeting = f"--rdzv-endpoint=127.0.0.1:{free_port()}"
    host = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=1", meeting]
    hosts = [start(panel, *host, "script.py") for _ in range(2)]
    for process in hosts:
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    one, other = (pd.read_parquet(panel / f"rank{rank}.parquet") for rank in range(2))
    pd.testing.assert_frame_equal(one, other)
    events = RunFolder.open(panel / "run").read_events()
    assert [event["event"] for event in events].count("start") == 1
    assert events[0]["processes"] == 2
    loaded = vn.EVEForecaster.load(panel / "run")
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), one)


@pytest.mark.slow
def test_the_command_prints_and_reports_once(panel):
    options = ["--horizon", "6", "--input-size", "24", "--units", "3", "--hidden", "12"]
    more = ["--epochs", "1", "--device", "cpu", "--out", "run", "--json"]
    launch = ["--standalone", "--nproc-per-node=2", "-m", "vneuron"]
    process = start(panel, *launch, "fit", "panel.parquet", *options, *more)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out.count("\n") == 1
    assert json.loads(out)["test"]["EVE"]["crps"] > 0
    assert (panel / "run" / "report.html").exists()
