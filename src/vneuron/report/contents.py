"""What a run folder holds, as far as it goes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ..training.run_folder import RunFolder

__all__ = ["Contents", "read_contents"]


@dataclass(frozen=True)
class Contents:
    """All that a page is made of; None or empty where the run has not got there.

    Attributes:
        path: the run folder.
        config: `config.json`.
        events: the event log, in order.
        vitals: `vitals.parquet`, one row per unit and epoch.
        metrics: `metrics.json`.
        forecasts: `forecasts.parquet`, the rows of some windows.
        portrait: `portrait.npz` of an image model: atoms, examples, activity.
    """

    path: Path
    config: dict[str, Any]
    events: list[dict[str, Any]]
    vitals: pd.DataFrame | None
    metrics: dict[str, Any]
    forecasts: pd.DataFrame | None
    portrait: dict[str, NDArray[Any]] | None = None

    @property
    def is_of_images(self) -> bool:
        """Whether the model is one of images."""
        return "estimator" in self.config

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Test scores by model; empty without test rows."""
        return self.metrics.get("test") or {}

    @property
    def data(self) -> dict[str, Any]:
        """The part of the configuration about the data."""
        return self.config.get("data") or {}

    @property
    def model(self) -> dict[str, Any]:
        """The part of the configuration about the model: the forecaster's arguments."""
        return self.config.get("model") or {}


def read_contents(path: Path | str) -> Contents:
    """Read a run folder, checking it against its checksums.

    Raises:
        RunFolderError: it is not a run, or one of its files is damaged. A file that is merely
            not there yet is no error.
    """
    run = RunFolder.open(path)

    def frame(name: str) -> pd.DataFrame | None:
        if not run.exists(name):
            return None
        rows = run.read_parquet(name)
        return rows if len(rows) else None

    return Contents(
        path=run.path,
        config=run.read_json("config.json"),
        events=run.read_events(),
        vitals=frame("vitals.parquet"),
        metrics=run.read_json("metrics.json") if run.exists("metrics.json") else {},
        forecasts=frame("forecasts.parquet"),
        portrait=run.read_arrays("portrait.npz") if run.exists("portrait.npz") else None,
    )
