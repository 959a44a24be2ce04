"""Joint sample paths of many series, streamed into one file: CPU time and peak memory.

    python benchmarks/speed/paths.py [--series 10000] [--paths 100]

`vneuron forecast RUN DATA --paths N --out F.parquet` in a process of its own: imports, reading the
series (L = 336 rows each, Parquet), drawing H = 96 steps and writing are all in the figures. The
floor is the normal draws and matrix products alone, and as many bytes copied as the file's values
have. Then the latency of one series: `predict` on a fitted forecaster, one call after the other.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measure import paired, verdict

import vneuron as vn

INPUT, HORIZON, UNITS = 336, 96, 32


def waves(series: int, rows: int) -> pd.DataFrame:
    """Daily waves of many levels, with noise."""
    rng = np.random.default_rng(0)
    step = np.arange(rows)
    level = rng.normal(0, 10, (series, 1))
    y = level + np.sin(2 * np.pi * step / 24) + rng.normal(0, 0.3, (series, rows))
    names = pd.Categorical.from_codes(
        np.repeat(np.arange(series), rows), [f"s{i}" for i in range(series)]
    )
    stamps = pd.date_range("2026-01-01", periods=rows, freq="h")
    return pd.DataFrame(
        {"unique_id": names.astype(str), "ds": np.tile(stamps, series), "y": y.reshape(-1)}
    )


def command(*arguments: str) -> tuple[float, float]:
    """CPU seconds and peak MiB of a process that runs vneuron's command."""
    measured = (
        "import atexit, resource\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "atexit.register(lambda: print(peak()))\n"
        "from vneuron.cli.app import main\n"
        "raise SystemExit(main())"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", measured, *arguments], check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, float(done.stdout.splitlines()[-1])


def floor(series: int, paths: int) -> tuple[float, float]:
    """CPU seconds of the draws and products alone, and of copying the values."""
    loading = torch.randn(HORIZON, UNITS, dtype=torch.float64)
    at_once = 200
    began = time.process_time()
    for _ in range(0, series, at_once):
        noise = torch.randn(at_once * paths, HORIZON, dtype=torch.float64)
        units = torch.randn(at_once * paths, UNITS, dtype=torch.float64)
        torch.addmm(noise, units, loading.T)
    drawn = time.process_time() - began
    target = torch.empty_like(noise)
    began = time.process_time()
    for _ in range(0, series, at_once):
        target.copy_(noise)
    return drawn, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--paths", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        f = vn.EVEForecaster(
            HORIZON,
            INPUT,
            units=UNITS,
            epochs=1,
            device="cpu",
            quiet=True,
            location="mean",
            second="none",
        )
        f.fit(waves(4, 1200), run_dir=place / "run")
        for series in sorted({options.series // 10, options.series}):
            waves(series, INPUT).to_parquet(place / "data.parquet", index=False)
            out = place / "paths.parquet"
            arguments = ("forecast", str(place / "run"), str(place / "data.parquet"), "--quiet")
            found = [
                command(*arguments, "--paths", str(options.paths), "--out", str(out))
                for _ in range(options.rounds)
            ]
            cpu, peak = sorted(found)[len(found) // 2]
            drawn, copied = floor(series, options.paths)
            size = out.stat().st_size / 2**20
            print(
                f"{series} series × {options.paths} paths × {HORIZON}: {cpu:.1f} CPU-s, peak "
                f"{peak:.0f} MiB, file {size:.0f} MiB; floor {drawn:.2f} s draws and products "
                f"+ {copied:.2f} s bytes"
            )
        print(verdict("CPU seconds", cpu, 20.0, " s"))
        print(verdict("peak memory", peak, 1024.0, " MiB"))
        one = waves(1, INPUT)
        works = {
            "predict(df)": lambda: f.predict(one),
            "predict()": lambda: f.predict(),
            "sample(100, df)": lambda: f.sample(100, one),
            "network alone": lambda: f.model.forecast(
                next(f.model.last_windows(_panel(f, one)).batches(1))
            ),
        }
        timings = paired(works, "predict(df)", rounds=30)
        for name, timing in timings.items():
            print(f"one series, {name:<16}{timing.milliseconds:>7.2f} ms")


def _panel(f: vn.EVEForecaster, frame: pd.DataFrame) -> object:
    from vneuron.forecasting.reading import read_like_fit

    return read_like_fit(frame, f.model.config, "h")


if __name__ == "__main__":
    main()
