"""Windows a second from the flat tensor, and what memory training takes for more windows.

    python benchmarks/speed/gather.py [--windows 1000 10000 100000 1000000]

Gathering: L + H = 432 rows, batches of 256 at random starts, out of 100,000 rows (they stay in
cache) and out of 10 million (they do not). The floor is as many bytes copied from one place. Then
peak memory of a training epoch of at most 200 steps, each number of windows in a fresh process;
copies of all windows would take 1,728 bytes each.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial

import numpy as np
import torch
from measure import paired, reset_peak, resident_mib, verdict
from torch import Tensor

import vneuron as vn
from vneuron.forecasting.data.window_index import Listed
from vneuron.forecasting.data.windows import FlatSeries, Windows
from vneuron.forecasting.networks.network import TrajectoryNetwork
from vneuron.forecasting.task import TrajectoryTask
from vneuron.training.config import TrainingConfig
from vneuron.training.loop import Trainer

INPUT, HORIZON, BATCH = 336, 96, 256
SPAN = INPUT + HORIZON


def windows(count: int) -> Windows:
    """All windows of series of 10,000 rows, random numbers."""
    per_series = 10_000 - SPAN + 1
    series = -(-count // per_series)
    flat = FlatSeries(
        torch.randn(series * 10_000),
        None,
        np.arange(series + 1) * 10_000,
        tuple(str(i) for i in range(series)),
    )
    nth = torch.arange(count)
    which = nth // per_series
    return Windows(flat, Listed(which * 10_000 + nth % per_series, which), INPUT, HORIZON)


def speed(rounds: int) -> float:
    """Prints windows a second; returns that of the series which stay in cache."""
    rates = []
    for rows in (100_000, 10_000_000):
        data = windows(rows // 10_000 * (10_000 - SPAN + 1))
        chosen = torch.randint(len(data), (64, BATCH))
        turn = iter(range(10**9))
        source = torch.randn(BATCH, SPAN)
        target = torch.empty_like(source)

        def gather(data: Windows = data, chosen: Tensor = chosen, turn=turn) -> object:
            return data.gather(chosen[next(turn) % 64])

        found = paired(
            {"gather": gather, "copy": partial(target.copy_, source)},
            "copy",
            rounds=rounds,
            calls=100,
        )
        per_second = {name: BATCH / timing.milliseconds * 1e3 for name, timing in found.items()}
        rates.append(per_second["gather"])
        print(
            f"{rows:>10,} rows: {per_second['gather'] / 1e6:.2f} million windows a CPU-second; "
            f"floor (bytes copied in cache) {per_second['copy'] / 1e6:.2f}"
        )
    return rates[0]


def train(count: int) -> None:
    """Prints MiB resident before and at the peak of an epoch, above what the series take."""
    data = windows(count)
    network = TrajectoryNetwork(INPUT, HORIZON, units=vn.GaussianUnits(256, 32))
    some = data.take(torch.arange(1000))
    config = TrainingConfig(epochs=1, max_steps_per_epoch=200, quiet=True, device="cpu")
    reset_peak()
    Trainer(config).fit(TrajectoryTask(network, data, some))
    series = data.flat.values.numel() * 4 / 2**20
    print(resident_mib("VmHWM") - series)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--windows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000]
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train:
        train(options.train)
        return
    rate = speed(options.rounds)
    print(verdict("gather", rate / 1e6, 2.0, " million windows a CPU-second", least=True))
    peaks = []
    for count in options.windows:
        command = [sys.executable, __file__, "--train", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout.split()[-1]))
        series = -(-count // (10_000 - SPAN + 1)) * 10_000 * 4 / 2**20
        copies = count * SPAN * 4 / 2**20
        print(
            f"{count:>10,} windows: peak {peaks[-1]:.0f} MiB beside the series' own {series:.1f} "
            f"(copies of the windows would be {copies:,.0f} MiB)"
        )
    growth = (peaks[-1] - peaks[0]) * 2**20 / (options.windows[-1] - options.windows[0])
    print(f"growth: {growth:.0f} bytes a window (a copied window has {SPAN * 4})")
    print(verdict("peak of most to fewest windows", peaks[-1] / peaks[0], 1.1))


if __name__ == "__main__":
    main()
