"""Intervals of series that have just begun: coverage, width and error by the values that are known.

A daily wave with noise, fitted on 1,500 hours with missing="mask", a context of 24 and 6 hours
ahead; forecast from the last k values of 40 origins. Beside it the same fit on whole windows alone,
of which none is cut short.

    python benchmarks/forecasting/cold_start.py [--seeds 0] [--encoder mlp]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from unittest import mock

import numpy as np
import pandas as pd
import torch

import vneuron as vn

KNOWN = (24, 12, 6, 3, 2, 1)
CONTEXT, HORIZON, ROWS, FITTED = 24, 6, 1900, 1500


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--encoder", default="mlp")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        {"cut short": cut, "seed": seed, **scores}
        for cut in (True, False)
        for seed in options.seeds
        for scores in forecasts(options.encoder, seed, cut=cut)
    ]
    table = pd.DataFrame(rows).groupby(["cut short", "known"], sort=False).mean()
    print(table.drop(columns="seed").to_string(float_format="%.2f"))


def forecasts(encoder: str, seed: int, *, cut: bool) -> list[dict[str, float]]:
    """Coverage and width of 80% intervals, and the root mean squared error, by known values."""
    step = np.arange(ROWS)
    noise = np.random.default_rng(seed).normal(size=ROWS)
    frame = pd.DataFrame(
        {
            "unique_id": "a",
            "ds": pd.date_range("2025-01-01", periods=ROWS, freq="h"),
            "y": 10 + 3 * np.sin(2 * np.pi * step / 24) + noise,
        }
    )
    forecaster = vn.EVEForecaster(
        HORIZON, CONTEXT, missing="mask", epochs=4, encoder=encoder, features="window",
        seed=seed, quiet=True,
    )  # fmt: skip
    whole = mock.patch("vneuron.forecasting.cold_start.SHARE", 0.0)
    if cut:
        forecaster.fit(frame.iloc[:FITTED], val_size=200)
    else:
        with whole:
            forecaster.fit(frame.iloc[:FITTED], val_size=200)
    return [{"known": known, **scored(forecaster, frame, known)} for known in KNOWN]


def scored(forecaster: vn.EVEForecaster, frame: pd.DataFrame, known: int) -> dict[str, float]:
    y = frame["y"].to_numpy()
    inside, width, error = [], [], []
    for origin in range(FITTED + 30, ROWS - 10, 9):
        ahead = forecaster.predict(frame.iloc[origin - known : origin], level=[80])
        low, high = ahead["EVE-lo-80"].to_numpy(), ahead["EVE-hi-80"].to_numpy()
        target = y[origin : origin + HORIZON]
        inside.append((low <= target) & (target <= high))
        width.append(high - low)
        error.append((ahead["EVE"].to_numpy() - target) ** 2)
    return {
        "coverage_80": float(np.mean(inside)),
        "width": float(np.mean(width)),
        "rmse": float(np.mean(error) ** 0.5),
    }


if __name__ == "__main__":
    main()
