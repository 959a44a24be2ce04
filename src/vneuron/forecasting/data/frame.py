"""The panel: many series of unequal length in flat arrays, from a long frame and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from .columns import eager_frame, factorise, read_values
from .errors import DataError
from .frequency import Frequency
from .ordering import order_rows
from .rows import PORTION, FlatRows, Floats, Ints, name_some
from .stamps import TimeKind, native_stamps, read_stamps
from .treatment import Treatment

__all__ = ["DataError", "Panel"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Series after series in flat arrays, each at one regular frequency.

    Attributes:
        ids: one text per series, in order of appearance.
        id_values: the ids as the frame held them (a narwhals series), to give back in kind.
        values: [rows] float64; NaN only under the policy "mask".
        times: [rows] datetime64[ns] (in UTC where the frame had a time zone) or int64.
        offsets: [series + 1] int64; series ``i`` holds rows ``offsets[i]`` to ``offsets[i + 1]``.
        frequency: the step between rows.
        time_kind: what the time column held.
        notes: what was done to the data, one sentence each.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({
        ...     "unique_id": ["a"] * 3, "ds": pd.date_range("2026-01-01", periods=3, freq="h"),
        ...     "y": [1.0, 2.0, 4.0]})
        >>> panel = Panel.from_frame(frame)
        >>> panel.freq, panel.lengths.tolist()
        ('h', [3])
        >>> panel.future_times(1)
        array([['2026-01-01T03:00:00.000000000']], dtype='datetime64[ns]')
    """

    ids: tuple[str, ...]
    id_values: nw.Series[Any]
    values: Floats
    times: npt.NDArray[Any]
    offsets: Ints
    frequency: Frequency
    time_kind: TimeKind
    notes: tuple[str, ...] = ()

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        freq: str | int | None = None,
        missing: str = "error",
        duplicates: str = "error",
        exogenous: str = "error",
    ) -> Panel:
        """Reads a long frame with columns unique_id, ds and y.

        Args:
            frame: pandas or polars (a lazy one is collected); ids of any type; ``ds`` dates,
                datetimes, dates as text, or integers. Rows in any order.
            freq: pandas offset alias, or an integer step; guessed where None.
            missing: "error" refuses missing values and absent rows, saying where; "interpolate"
                fills them between known values and cuts them at the ends; "mask" keeps them as
                NaN.
            duplicates: a stamp that a series holds twice: "error", "first", "last" or "mean".
            exogenous: further columns: "error" or "ignore".

        Raises:
            DataError: in one line, what is wrong, where, and the cure.
        """
        table, further = eager_frame(frame, exogenous)
        codes, id_values, ids = factorise(table["unique_id"])
        stamps, kind = read_stamps(table["ds"], "ds")
        values, treatment = read_values(table["y"]), Treatment(freq, missing, duplicates)
        panel = cls.from_arrays(ids, id_values, codes, stamps, kind, values, treatment)
        if not further:
            return panel
        note = f"exogenous columns {name_some(further)} ignored"
        return replace(panel, notes=(note, *panel.notes))

    @classmethod
    def from_arrays(
        cls,
        ids: tuple[str, ...],
        id_values: nw.Series[Any],
        codes: Ints,
        stamps: Ints,
        kind: TimeKind,
        values: Floats,
        treatment: Treatment,
    ) -> Panel:
        """The same from arrays: codes [rows] into ``ids``, stamps [rows] UTC ns or integers.

        Raises:
            DataError: as ``from_frame``.
        """
        rows, sorting = order_rows(
            ids, codes, stamps, values, integer_time=kind.kind == "integer", zone=kind.zone
        )
        rows, frequency, treated = treatment.apply(rows)
        times = rows.stamps if rows.integer_time else rows.stamps.view("datetime64[ns]")
        notes = (*sorting, *treated)
        return cls(ids, id_values, rows.values, times, rows.offsets, frequency, kind, notes)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def freq(self) -> str | int:
        """Pandas offset alias, or integer step."""
        return self.frequency.alias

    @property
    def backend(self) -> str:
        """The kind of frame that was read: "pandas" or "polars"."""
        return "polars" if self.id_values.implementation.is_polars() else "pandas"

    @property
    def time_zone(self) -> str | None:
        """The zone in which times are given back; None for a naive clock or integers."""
        return self.time_kind.zone

    @property
    def lengths(self) -> Ints:
        """Rows of each series, [series]."""
        return np.diff(self.offsets)

    @cached_property
    def series(self) -> Ints:
        """The series of each row, [rows]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    @cached_property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each row's value is known, [rows]."""
        return ~np.isnan(self.values)

    @property
    def has_missing(self) -> bool:
        """Whether any value is NaN, which only the policy "mask" leaves."""
        values = self.values
        return any(
            np.isnan(values[at : at + PORTION]).any() for at in range(0, len(values), PORTION)
        )

    @property
    def mapped(self) -> bool:
        """Whether the rows lie in files and not in memory: a panel that was read in pieces."""
        return isinstance(self.values.base, np.memmap)

    def future_times(self, steps: int) -> npt.NDArray[Any]:
        """The next stamps of each series, [series, steps], dtype of ``times``."""
        last = self.offsets[1:] - 1
        before = np.maximum(last - 1, self.offsets[:-1])
        ends, nearly = (self.times[rows].view(np.int64) for rows in (last, before))
        stamps = self.frequency.following(ends, steps, nearly)
        return stamps if self.time_kind.kind == "integer" else stamps.view("datetime64[ns]")

    def rows_between(self, first: npt.ArrayLike, stop: npt.ArrayLike) -> Panel:
        """The same series, each cut to its rows ``first`` to ``stop``, counted from its own first.

        Args:
            first: one number, or [series]; negative ones count from the end.
            stop: one number, or [series]; clipped to the series' length.
        """
        lengths = self.lengths
        low = np.broadcast_to(np.asarray(first, dtype=np.int64), lengths.shape)
        high = np.broadcast_to(np.asarray(stop, dtype=np.int64), lengths.shape)
        low = np.clip(np.where(low < 0, lengths + low, low), 0, lengths)
        high = np.clip(np.where(high < 0, lengths + high, high), low, lengths)
        offsets = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
        # by what is kept alone: it may be little, out of a panel that does not fit in memory
        rows = np.arange(offsets[-1]) + np.repeat(
            self.offsets[:-1] + low - offsets[:-1], high - low
        )
        return replace(self, values=self.values[rows], times=self.times[rows], offsets=offsets)

    def tail(self, rows: int) -> Panel:
        """The last ``rows`` rows of each series, all of a shorter one."""
        return self.rows_between(np.maximum(self.lengths - rows, 0), self.lengths)

    def select(self, series: npt.ArrayLike) -> Panel:
        """The panel of these series alone, [chosen] positions, in that order."""
        chosen = np.asarray(series, dtype=np.int64)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        return replace(
            self,
            ids=tuple(self.ids[int(position)] for position in chosen),
            id_values=self.id_values[chosen],
            values=self.values[rows],
            times=self.times[rows],
            offsets=offsets,
        )

    def to_native(
        self,
        series: npt.ArrayLike,
        times: npt.NDArray[Any],
        columns: Mapping[str, npt.NDArray[Any]],
    ) -> Any:
        """A long frame of the kind that the panel was read from.

        Args:
            series: [n] position of each row's series.
            times: [n] stamps as in ``times``; given back in the frame's zone and resolution.
            columns: [n] each, after unique_id and ds.

        Returns:
            A pandas or polars frame: unique_id, ds, then the columns.
        """
        codes = np.asarray(series, dtype=np.int64)
        ids = self.id_values[codes].to_native()
        stamps = native_stamps(times, self.time_kind, self.backend)
        if self.backend == "polars":
            import polars as pl

            named = {name: pl.Series(name, data) for name, data in columns.items()}
            return pl.DataFrame({"unique_id": ids, "ds": stamps, **named})
        return pd.DataFrame({"unique_id": ids.reset_index(drop=True), "ds": stamps, **columns})

    def to_frame(self) -> Any:
        """The panel as the long frame unique_id, ds, y."""
        return self.to_native(self.series, self.times, {"y": self.values})

    def as_rows(self) -> FlatRows:
        """The rows alone, which can name their places in messages."""
        return FlatRows(
            self.ids,
            self.offsets,
            self.times.view(np.int64),
            self.values,
            self.time_kind.kind == "integer",
            self.time_zone,
        )
