"""Training step and forecast of a same-size MLP in neuralforecast, against ours, in one run.

    python -m venv nf && nf/bin/pip install neuralforecast
    python benchmarks/speed/neuralforecast.py --python nf/bin/python

Each library runs in a process of its own environment, one thread; the two take turns. Seven
series of 11,520 hours, L = 336, H = 96, 256 windows a step, a Student t per step of the horizon.
Theirs: `MLP` with one hidden layer of 256 (160,000 weights). Ours: the model without units (a
linear mean and 256 features for the spread, 143,000 weights), and EVE with its 32 units beside it.
A step's time is the difference of two whole fits with different numbers of steps, so that what a
fit does once drops out. Forecasts go from a long frame of 1,000 series to a long frame with 80%
intervals. CPU time, medians of rounds. Skipped where there is no such environment.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

INPUT, HORIZON, WINDOWS, HIDDEN = 336, 96, 256, 256
SERIES, ROWS, MANY = 7, 11_520, 1_000
SHORT, LONG = {"theirs": 5, "linear": 50, "EVE": 50}, {"theirs": 35, "linear": 350, "EVE": 350}


def frame(series: int, rows: int) -> Any:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    y = np.sin(2 * np.pi * np.arange(rows) / 24) + rng.normal(0, 0.3, (series, rows))
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2025-01-01", periods=rows, freq="h"), series),
            "y": y.reshape(-1),
        }
    )


def theirs() -> dict[str, Callable[..., object]]:
    import logging

    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import DistributionLoss
    from neuralforecast.models import MLP

    data, many = frame(SERIES, ROWS), frame(MANY, INPUT)

    def fit(steps: int) -> Any:
        model = MLP(
            h=HORIZON,
            input_size=INPUT,
            num_layers=1,
            hidden_size=HIDDEN,
            loss=DistributionLoss("StudentT", level=[80]),
            max_steps=steps,
            windows_batch_size=WINDOWS,
            scaler_type="standard",
            val_check_steps=10**6,
            enable_progress_bar=False,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        forecaster = NeuralForecast(models=[model], freq="h")
        forecaster.fit(data)
        return forecaster

    fitted = fit(2)
    return {"theirs": fit, "theirs predict": lambda: fitted.predict(df=many, level=[80])}


def ours() -> dict[str, Callable[..., object]]:
    import torch

    import vneuron as vn
    from vneuron.forecasting.contenders import build_network, build_task
    from vneuron.forecasting.data.frame import Panel
    from vneuron.forecasting.material import prepare
    from vneuron.training.config import TrainingConfig
    from vneuron.training.loop import Trainer

    many = frame(MANY, INPUT)
    f = vn.EVEForecaster(
        HORIZON,
        INPUT,
        encoder="linear",
        second="none",
        hidden=HIDDEN,
        batch_size=WINDOWS,
        epochs=1,
        device="cpu",
        quiet=True,
    )
    material = prepare(Panel.from_frame(frame(SERIES, ROWS)), f.config)
    some = material.validation.take(torch.arange(8))

    def fit(contender: Any) -> Callable[[int], object]:
        def train(steps: int) -> object:
            network = build_network(contender, f.config, "mean", False)
            config = TrainingConfig(
                epochs=1,
                batch_size=WINDOWS,
                min_steps_per_epoch=steps,
                max_steps_per_epoch=steps,
                device="cpu",
                quiet=True,
            )
            return Trainer(config).fit(build_task(network, material.train, some))

        return train

    f.fit(frame(2, 1_200))
    works: dict[str, Callable[..., object]] = {name: fit(name) for name in ("linear", "EVE")}
    return {**works, "EVE predict": lambda: f.predict(many, level=[80])}


def work(side: str) -> None:
    """Answer each line, a name and maybe a number, with the CPU seconds that it took."""
    import torch

    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr
    works = {"theirs": theirs, "ours": ours}[side]()
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, *numbers = json.loads(line)
        began = time.process_time()
        works[name](*numbers)
        print(json.dumps(time.process_time() - began), file=answers, flush=True)


class Side:
    """A process of one library."""

    def __init__(self, python: str, side: str) -> None:
        one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [python, __file__, "--worker", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **one},
        )
        self.read()

    def read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the process ended: run this script's worker by hand to see why")
        return json.loads(line)

    def ask(self, *what: object) -> float:
        assert self.process.stdin is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return float(self.read())

    def step(self, name: str) -> float:
        """CPU seconds of a training step."""
        short, long = self.ask(name, SHORT[name]), self.ask(name, LONG[name])
        return (long - short) / (LONG[name] - SHORT[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="none", help="of an environment with neuralforecast")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        # this file's own name would hide the library
        sys.path = [place for place in sys.path if place != os.path.dirname(__file__)]
        work(options.worker)
        return
    from measure import verdict

    probe = [options.python, "-P", "-c", "import neuralforecast; print(neuralforecast.__version__)"]
    try:
        found = subprocess.run(probe, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        print(f"skipped: {options.python} has no neuralforecast; give --python")
        return
    print(f"neuralforecast {found.stdout.split()[-1]}")
    other, own = Side(options.python, "theirs"), Side(sys.executable, "ours")
    times: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        turn = {
            "theirs": other.step("theirs"),
            "linear": own.step("linear"),
            "EVE": own.step("EVE"),
            "theirs predict": other.ask("theirs predict"),
            "EVE predict": own.ask("EVE predict"),
        }
        for name, seconds in turn.items():
            times.setdefault(name, []).append(seconds)
    for name, seconds in times.items():
        print(f"{name:<16}{1e3 * statistics.median(seconds):>10.2f} ms")

    def ratio(slow: str, fast: str) -> float:
        return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))

    print(verdict("training step, same size", ratio("theirs", "linear"), 15.0, least=True))
    print(f"       training step, theirs over EVE's with 32 units: {ratio('theirs', 'EVE'):.1f}×")
    print(verdict("forecast", ratio("theirs predict", "EVE predict"), 10.0, least=True))


if __name__ == "__main__":
    main()
