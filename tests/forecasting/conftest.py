"""Small data and forecasters fitted once, shared by the tests of forecasting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting import EVEForecaster

TINY = {
    "horizon": 6,
    "input_size": 24,
    "units": 3,
    "hidden": 12,
    "epochs": 2,
    "batch_size": 64,
    "device": "cpu",
    "quiet": True,
}


def waves(series: int = 2, rows: int = 240, freq: str = "h", seed: int = 0) -> pd.DataFrame:
    """Daily waves of different level and size, with noise that wanders within the day."""
    rng = np.random.default_rng(seed)
    step = np.arange(rows)
    parts = []
    for number in range(series):
        noise = np.convolve(rng.normal(size=rows + 3), np.ones(4) / 2, "valid")
        y = 10.0 * number + (number + 1) * (np.sin(2 * np.pi * step / 24) + 0.3 * noise)
        times = pd.date_range("2026-01-01", periods=rows, freq=freq)
        parts.append(pd.DataFrame({"unique_id": f"s{number}", "ds": times, "y": y}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def make_waves():
    """The function that makes long frames of waves."""
    return waves


@pytest.fixture(scope="session")
def tiny() -> dict[str, object]:
    """Options of a forecaster that trains in a fraction of a second."""
    return dict(TINY)


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Two series of 240 hours."""
    return waves()


@pytest.fixture(scope="session")
def fitted(frame: pd.DataFrame) -> EVEForecaster:
    """A forecaster fitted on all but the last 48 hours; do not fit it again."""
    torch.manual_seed(0)
    return EVEForecaster(**TINY).fit(frame, test_size=48)
