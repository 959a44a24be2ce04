"""The vitals of all units over the epochs of a run, as one table on disk."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from .run_folder import RunFolder

__all__ = ["MORE_COLUMNS", "VITALS_COLUMNS", "VitalsTable"]

VITALS_COLUMNS = (
    "model",
    "epoch",
    "step",
    "layer",
    "unit",
    "kl",
    "energy",
    "rate",
    "loc_variance",
    "scale_mean",
    "beta",
    "use",
    "dynamic_use",
    "outcome_information",
    "alive",
    "active",
    "verdict",
)

MORE_COLUMNS = (
    "generalised_energy",
    "scale_min",
    "scale_max",
    "contraction",
    "alive_share",
    "persistence",
    "innovation",
    "scale_persistence",
    "phi",
    "transition_share",
    "drift",
    "band_low",
    "band_high",
    "original_band_low",
    "original_band_high",
)
"""Numbers that not every layer has; NaN where they are not given."""


class VitalsTable:
    """Rows of vitals, kept in memory and written as a whole to `vitals.parquet`.

    A Parquet file cannot be appended to; with one row per unit and epoch it stays small (a
    hundred epochs of 128 units: 13 thousand rows), so each epoch rewrites it.

    Args:
        run: the run folder.

    Example:
        >>> import tempfile
        >>> place = tempfile.TemporaryDirectory()
        >>> table = VitalsTable(RunFolder.create(place.name))
        >>> row = dict.fromkeys(VITALS_COLUMNS, 0.0) | {"model": "EVE", "epoch": 1, "layer": "u"}
        >>> table.append({**row, "unit": [0, 1], "kl": [0.2, 0.1]})
        >>> table.save()
        >>> len(table.frame())
        2
        >>> place.cleanup()
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._parts: list[pd.DataFrame] = []

    def append(self, columns: Mapping[str, Any]) -> None:
        """Add the rows of one layer at one epoch.

        Args:
            columns: for each of :data:`VITALS_COLUMNS` a value for all units, or one per unit
                (KL and rate in nats; scale_mean a standard deviation; NaN where unknown), and
                any of :data:`MORE_COLUMNS`.

        Raises:
            ValueError: columns are missing or unknown.
        """
        missing = [name for name in VITALS_COLUMNS if name not in columns]
        known = VITALS_COLUMNS + MORE_COLUMNS
        unknown = [name for name in columns if name not in known]
        if missing or unknown:
            raise ValueError(
                f"vitals have the columns {missing} missing and {unknown} unknown; expected "
                "VITALS_COLUMNS (NaN where unknown), and of MORE_COLUMNS what there is"
            )
        given = {name: columns.get(name, math.nan) for name in known}
        self._parts.append(pd.DataFrame(given))

    def frame(self) -> pd.DataFrame:
        """All rows so far."""
        if not self._parts:
            return pd.DataFrame(columns=list(VITALS_COLUMNS + MORE_COLUMNS))
        self._parts = [pd.concat(self._parts, ignore_index=True)]
        return self._parts[0]

    def save(self) -> None:
        """Rewrite `vitals.parquet` as a whole."""
        self._run.write_parquet("vitals.parquet", self.frame())
