"""A Parquet file with more rows than memory: what reading, preparing and training keep in memory.

    python benchmarks/speed/larger_than_memory.py [--rows 1000000 10000000 100000000]

Hourly series of 10,000 rows each, 24 bytes a row once read, are written to a Parquet file, which a
fresh process then takes by its path: read in pieces, split, scaled, cut into windows, trained on
for 50 steps, and every series forecast from. *Anonymous* memory is what has to stay in memory
(RssAnon, looked at every five milliseconds); pages of the temporary files leave it when others need
the room. --most-mib lets the system refuse more of it than that (RLIMIT_DATA).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import resident_mib, verdict

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import build_task
from vneuron.forecasting.data import pieces
from vneuron.forecasting.frames import prediction
from vneuron.forecasting.material import prepare
from vneuron.forecasting.memory import Memory
from vneuron.forecasting.model import FittedModel
from vneuron.forecasting.reading import read_frame
from vneuron.training.loop import Trainer

LENGTH, INPUT, HORIZON, STEPS = 10_000, 168, 24, 50


def write(path: Path, rows: int) -> None:
    """Series after series, a hundred at a time."""
    rng = np.random.default_rng(0)
    hours = np.datetime64("2020-01-01", "us") + np.arange(LENGTH) * np.timedelta64(1, "h")
    schema = pa.schema([("unique_id", "string"), ("ds", pa.timestamp("us")), ("y", "float64")])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows // LENGTH, 100):
            some = range(first, min(first + 100, rows // LENGTH))
            ids = pa.DictionaryArray.from_arrays(
                np.repeat(np.arange(len(some), dtype=np.int32), LENGTH), [f"s{at}" for at in some]
            )
            y = rng.standard_normal((len(some), LENGTH), dtype=np.float32).cumsum(1).reshape(-1)
            columns = [ids.cast("string"), np.tile(hours, len(some)), y.astype(np.float64)]
            writer.write_table(pa.table(columns, schema=schema))


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Prints CPU-seconds, and anonymous MiB at the peak of what happens inside."""
    peak, done = [resident_mib("RssAnon")], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak.append(max(peak.pop(), resident_mib("RssAnon")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.process_time()
    yield
    spent = time.process_time() - began
    done.set()
    watcher.join()
    print(f"{name} {spent:.2f} {peak[0]:.0f}", flush=True)


def run(path: Path) -> None:
    """All stages, one line each."""
    pieces.IN_PIECES_FROM = 1  # at every size, so that sizes can be compared
    config = ForecasterConfig(
        horizon=HORIZON,
        input_size=INPUT,
        units=8,
        hidden=64,
        encoder="linear",
        features="full",
        device="cpu",
    )
    torch.ones(1) @ torch.ones(1)
    print(f"imports {time.process_time():.2f} {resident_mib('RssAnon'):.0f}")
    with stage("read"):
        panel = read_frame(path, config)
    with stage("prepare"):
        material = prepare(panel, config, test_size=0)
    with stage("train"):
        model = FittedModel.untrained("EVE", material.config, Memory.of(material, config))
        few = material.validation.take(torch.arange(min(len(material.validation), 4096)))
        training = replace(config.training(quiet=True), epochs=1, max_steps_per_epoch=STEPS)
        Trainer(training).fit(build_task(model.network, material.train, few))
    with stage("forecast"):
        prediction(model, model.memory.context, (80,), False)
    print(f"windows {len(material.train)} 0")


def measured(rows: int, folder: Path, most_mib: int) -> dict[str, tuple[float, float]]:
    """CPU-seconds and MiB of each stage, in a process of its own."""
    path = folder / "panel.parquet"
    write(path, rows)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (most_mib * 2**20,) * 2)

    command = [sys.executable, __file__, "--run", str(path)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=limit if most_mib else None
    )
    if done.returncode:
        raise SystemExit(f"{rows:,} rows did not get through: {done.stdout}")
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: (float(seconds), float(mib)) for name, seconds, mib in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--most-mib", type=int, default=0, help="0 for no limit")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run:
        run(options.run)
        return
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            found = measured(rows, Path(folder), options.most_mib)
            windows = int(found.pop("windows")[0])
            print(f"{rows:,} rows ({rows * 24 / 2**20:,.0f} MiB), {windows:,} training windows")
            for name, (seconds, mib) in found.items():
                print(f"  {name:<9}{seconds:>8.2f} CPU-s, anonymous memory {mib:>6,.0f} MiB")
            peaks.append(max(mib for _, mib in found.values()))
    if len(peaks) > 1:
        label = f"anonymous memory of {options.rows[-1]:,} rows over {options.rows[-2]:,}"
        print(verdict(label, peaks[-1] / peaks[-2], 1.1))


if __name__ == "__main__":
    main()
