"""The series of a search as a file, for its workers and for whoever goes on with it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..forecasting.data.frame import Panel
from ..training.atomic import write_atomic

__all__ = ["fingerprint", "read_panel", "write_panel"]

FILE = "panel.parquet"


def write_panel(folder: Path, panel: Panel) -> None:
    """Write `panel.parquet`: series, stamp and value of each row."""
    frame = pd.DataFrame(
        {
            "unique_id": np.asarray(panel.ids, dtype=object)[panel.series],
            "ds": panel.times,
            "y": panel.values,  # noqa: PD011  of a panel
        }
    )
    frame.attrs = {}
    buffer = io.BytesIO()
    frame.assign(freq=str(panel.freq)).to_parquet(buffer, index=False)
    write_atomic(folder / FILE, buffer.getvalue())


def read_panel(folder: Path) -> Panel:
    """The panel that `write_panel` wrote."""
    frame = pd.read_parquet(folder / FILE)
    text = str(frame["freq"].iloc[0])
    freq: Any = int(text) if text.lstrip("-").isdigit() else text
    values = frame["y"].to_numpy(dtype=np.float64)
    rows = frame.drop(columns="freq").assign(y=0.0)
    return replace(Panel.from_frame(rows, freq=freq), values=values)


def fingerprint(panel: Panel) -> dict[str, Any]:
    """What tells these series from others: number, rows, and a hash of stamps and values."""
    digest = hashlib.sha256()
    for array in (panel.values, panel.times, panel.offsets):  # noqa: PD011  of a panel
        digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "series": len(panel),
        "rows": len(panel.times),
        "freq": str(panel.freq),
        "sha256": digest.hexdigest()[:16],
    }
