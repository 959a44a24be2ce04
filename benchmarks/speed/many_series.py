"""A million short series: what each stage takes, in CPU-seconds and memory.

    python benchmarks/speed/many_series.py [--series 10000 100000 1000000] [--rows 24]

Each number of series in a fresh process: a long frame of random walks is made, read into a panel,
prepared (split, scaled, cut into windows), trained on for 50 steps, and every series is forecast.
The exponent of each stage between the two largest numbers says whether it grows faster than the
series do; a loop in Python over a million series shows as seconds. Processes that would take more
than --most-gib (4) of data are refused by the system, and say so.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from measure import reset_peak, resident_mib

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.frames import prediction
from vneuron.forecasting.material import prepare
from vneuron.forecasting.memory import Memory
from vneuron.forecasting.model import FittedModel
from vneuron.training.loop import Trainer

HORIZON, INPUT, STEPS = 4, 8, 50


def frame_of(series: int, rows: int) -> pd.DataFrame:
    """Random walks, series after series."""
    y = np.random.default_rng(0).normal(size=(series, rows)).cumsum(1)
    ids = pd.Categorical.from_codes(
        np.repeat(np.arange(series), rows), [f"s{at}" for at in range(series)]
    )
    days = np.datetime64("2026-01-01", "ns") + np.arange(rows) * np.timedelta64(1, "D")
    return pd.DataFrame({"unique_id": ids, "ds": np.tile(days, series), "y": y.reshape(-1)})


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Prints CPU-seconds, and MiB at the peak of what happens inside."""
    reset_peak()
    began = time.process_time()
    yield
    spent = time.process_time() - began
    print(f"{name} {spent:.3f} {resident_mib('VmHWM'):.0f}", flush=True)


def run(series: int, rows: int) -> None:
    """All stages, one line each."""
    config = ForecasterConfig(
        horizon=HORIZON,
        input_size=INPUT,
        units=4,
        hidden=32,
        encoder="linear",
        second="none",
        device="cpu",
    )
    print(f"imports {time.process_time():.3f} {resident_mib():.0f}")
    with stage("frame"):
        frame = frame_of(series, rows)
    with stage("panel"):
        panel = Panel.from_frame(frame)
    del frame
    with stage("prepare"):
        material = prepare(panel, config, test_size=0)
    with stage("train"):
        model = FittedModel.untrained("EVE", material.config, Memory.of(material, config))
        few = material.validation.take(torch.arange(min(len(material.validation), 4096)))
        training = replace(config.training(quiet=True), epochs=1, max_steps_per_epoch=STEPS)
        Trainer(training).fit(build_task(model.network, material.train, few))
    with stage("forecast"):
        found = prediction(model, model.memory.context, (80,), False)
    assert len(found) == series * HORIZON
    print(f"windows {len(material.train)} 0")


def measured(series: int, rows: int, most_gib: float) -> dict[str, tuple[float, float]]:
    """CPU-seconds and MiB of each stage, in a process that may take so much memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(most_gib * 2**30),) * 2)

    command = [sys.executable, __file__, "--run", str(series), "--rows", str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=limit)
    if done.returncode:
        raise SystemExit(f"{series:,} series do not fit in {most_gib} GiB: {done.stdout}")
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: (float(seconds), float(mib)) for name, seconds, mib in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--most-gib", type=float, default=4.0)
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run:
        run(options.run, options.rows)
        return
    table = []
    for series in options.series:
        found = measured(series, options.rows, options.most_gib)
        windows = int(found.pop("windows")[0])
        table.append(found)
        print(f"{series:,} series of {options.rows} rows, {windows:,} training windows")
        for name, (seconds, mib) in found.items():
            line = f"  {name:<9}{seconds:>8.2f} CPU-s, peak {mib:>6,.0f} MiB"
            if len(table) > 1 and name != "imports":
                exponent = math.log(seconds / table[-2][name][0]) / math.log(
                    series / options.series[len(table) - 2]
                )
                line += f"   exponent {exponent:.2f}"
            print(line, flush=True)
    rows = options.series[-1] * options.rows
    peak = max(mib for _, mib in table[-1].values()) - table[-1]["imports"][1]
    print(f"bytes a row at the highest peak, without imports: {peak * 2**20 / rows:.0f}")


if __name__ == "__main__":
    main()
