"""Where rows of a user's frame about a forecast belong: which series, which of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from .data.errors import DataError
from .data.frame import Panel
from .data.rows import Ints, name_some
from .data.stamps import read_stamps

__all__ = ["RowPlace"]


class RowPlace:
    """Where a row of a user's frame belongs: which series, which step of its forecast."""

    def __init__(self, panel: Panel, horizon: int) -> None:
        self.panel = panel
        self.horizon = horizon
        self.future = panel.future_times(horizon).view(np.int64)

    def name(self, series: int, step: int) -> str:
        """A step for messages."""
        return f"series {self.panel.ids[series]!r}, {self._clock(self.future[series, step])}"

    def table(self, frame: object, what: str, columns: Sequence[str]) -> nw.DataFrame[Any]:
        """A frame with these columns, and unique_id unless there is one series alone."""
        native = nw.from_native(frame, pass_through=True)
        if isinstance(native, nw.LazyFrame):
            native = native.collect()
        if not isinstance(native, nw.DataFrame):
            raise DataError(
                f"{what} is a {type(frame).__name__}, expected a pandas or polars frame with "
                f"columns {name_some(('unique_id', *columns), 10)}"
            )
        needed = columns if len(self.panel) == 1 else ("unique_id", *columns)
        absent = [name for name in needed if name not in native.columns]
        if absent:
            raise DataError(
                f"{what} has no column {name_some(absent)} but {name_some(native.columns, 10)}: "
                "rename its columns"
            )
        return native

    def series(self, table: nw.DataFrame[Any], what: str) -> Ints:
        """Positions in the panel, [rows]."""
        if "unique_id" not in table.columns:
            return np.zeros(len(table), dtype=np.int64)
        return np.array([self.position(own, what) for own in table["unique_id"].to_list()], int)

    def position(self, series: object, what: str) -> int:
        """Of one id."""
        if str(series) not in self.panel.ids:
            raise DataError(
                f"{what} names series {str(series)!r}, which is not forecast; there are "
                f"{name_some(self.panel.ids)}: drop it"
            )
        return self.panel.ids.index(str(series))

    def rows(self, table: nw.DataFrame[Any], what: str) -> tuple[Ints, Ints]:
        """Series and step of each row, [rows] each, no two the same.

        Raises:
            DataError: a step that is told twice.
        """
        series, steps = self.series(table, what), self.steps(table, "ds", what)
        cells = series * self.horizon + steps
        if len(np.unique(cells)) < len(cells):
            taken, counts = np.unique(cells, return_counts=True)
            at, step = divmod(int(taken[np.argmax(counts > 1)]), self.horizon)
            raise DataError(f"{self.name(at, step)}: {what} holds this step twice: drop one row")
        return series, steps

    def steps(self, table: nw.DataFrame[Any], column: str, what: str) -> Ints:
        """Steps of the forecast, from 0, [rows]."""
        own = self.panel.time_kind
        # 05/06/2026 alone does not say which is the day; the steps of the forecast do.
        expected = None if own.kind == "integer" else np.unique(self.future)
        stamps, kind = read_stamps(table[column], column, expected=expected)
        if (kind.kind == "integer") != (own.kind == "integer") or (
            (kind.zone is None) != (own.zone is None)
        ):
            raise DataError(
                f"{what}: the times of {column!r} are of another kind ({kind.kind}, zone "
                f"{kind.zone}) than the series' ({own.kind}, zone {own.zone}): convert them"
            )
        ahead = self.future[self.series(table, what)]
        same = ahead == stamps[:, None]
        if not same.any(-1).all():
            row = int(np.argmin(same.any(-1)))
            first, last = self._clock(ahead[row, 0]), self._clock(ahead[row, -1])
            raise DataError(
                f"{what}, row {row} (counted from 0): {self._clock(stamps[row])} is no step of "
                f"the forecast, which goes from {first} to {last}: drop such rows (older values "
                "belong to the context, predict's df)"
            )
        return np.asarray(same.argmax(-1))

    def _clock(self, stamp: np.int64) -> str:
        if self.panel.time_kind.kind == "integer":
            return str(stamp)
        clock = pd.Timestamp(int(stamp), unit="ns").floor("s")
        zone = self.panel.time_kind.zone
        return (clock if zone is None else clock.tz_localize("UTC").tz_convert(zone)).isoformat()
