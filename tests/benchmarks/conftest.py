"""The benchmark is a folder of scripts, not a package that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "forecasting"))


@pytest.fixture
def small_csv(tmp_path: Path) -> Path:
    """Two noisy hourly waves in a wide file."""
    hours = np.arange(400)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, (2, 400))
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2026-01-01", periods=400, freq="h"),
            "a": 5 + np.sin(2 * np.pi * hours / 24) + noise[0],
            "b": -20 + 9 * np.cos(2 * np.pi * hours / 24) + 4 * noise[1],
        }
    )
    path = tmp_path / "waves.csv"
    frame.to_csv(path, index=False)
    return path
