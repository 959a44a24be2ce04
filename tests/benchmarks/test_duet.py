"""DUET's side of a comparison: settings from its scripts, every window scored, in its own scale."""

from __future__ import annotations

import re
import sys

import duet
import numpy as np
import pandas as pd
import pytest

STUB = """
import numpy as np
import torch

class Scaler:
    def transform(self, values):
        return (values - self.mean) / self.std

class Last(torch.nn.Module):
    def __init__(self, horizon):
        super().__init__()
        self.horizon = horizon
    def forward(self, seen):
        return seen[:, -1:].repeat(1, self.horizon, 1), None

class DUET:
    def __init__(self, **settings):
        self.settings = settings
        self.scaler, self.check_point = Scaler(), {}
    def forecast_fit(self, rows, train_ratio_in_tv):
        print("noise of training")
        train = rows.to_numpy()[: round(train_ratio_in_tv * len(rows))]
        self.scaler.mean, self.scaler.std = train.mean(0), train.std(0)
        self.model = Last(self.settings["horizon"])
"""


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    package = folder / "ts_benchmark" / "baselines" / "duet"
    package.mkdir(parents=True)
    (package / "duet.py").write_text(STUB)
    scripts = folder / "scripts" / "multivariate_forecast" / "waves_script"
    scripts.mkdir(parents=True)
    (scripts / "DUET.sh").write_text(
        'python x --model-hyper-params \'{"horizon": 12, "seq_len": 24, "lr": 0.1}\' --gpus 0\n'
        'python x --model-hyper-params \'{"horizon": 24, "seq_len": 48, "lr": 0.2}\' --gpus 0\n'
    )
    return folder


@pytest.fixture
def command(checkout, small_csv, monkeypatch):
    def run(*options):
        given = [str(checkout), str(small_csv), "--train-size", "200", "--val-size", "60"]
        monkeypatch.setattr(sys, "argv", ["duet.py", *given, "--test-size", "100", *options])
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name in [name for name in sys.modules if name.startswith("ts_benchmark")]:
            monkeypatch.delitem(sys.modules, name)
        duet.main()

    return run


def test_every_test_window_is_scored_as_an_own_loop_scores_it(command, small_csv, capsys):
    command("--horizons", "12", "24")
    lines = capsys.readouterr().out.splitlines()
    values = pd.read_csv(small_csv).iloc[:, 1:].to_numpy()
    values = (values - values[:200].mean(0)) / values[:200].std(0)
    for line, horizon, back in zip(lines, (12, 24), (24, 48), strict=True):
        errors = [values[t : t + horizon] - values[t - 1] for t in range(260, 360 - horizon + 1)]
        mse, mae, windows = re.search(r"MSE (.*), MAE (.*); (\d+) windows", line).groups()
        assert float(mse) == pytest.approx(np.square(errors).mean(), abs=1e-4)
        assert float(mae) == pytest.approx(np.abs(errors).mean(), abs=1e-4)
        assert int(windows) == len(errors)
        assert f"{horizon} steps, seed 0" in line
        assert f"look-back {back}" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--horizons", "13"], r"horizons \[12, 24\], not 13"),
        (["--settings", "tides"], r"tides_script.*no such file; give a checkout of DUET"),
        (["--train-size", "900"], r"400 rows, expected 1060: give smaller sizes"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line(command, options, message):
    with pytest.raises(SystemExit, match=message):
        command("--horizons", "12", *options)
