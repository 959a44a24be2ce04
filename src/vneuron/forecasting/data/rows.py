"""Rows of many series laid end to end, and how a message names one of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["FlatRows", "Floats", "Ints", "counted", "name_some", "portions"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PORTION = 2**22
"""Rows that are worked on at a time, so that what is only needed on the way, several times as
large as the rows themselves, never stands beside the whole."""


@dataclass(frozen=True, eq=False)
class FlatRows:
    """Series after series in flat arrays; within a series, rows follow time.

    Attributes:
        ids: one text per series, as messages show it.
        offsets: [series + 1]; series ``i`` holds rows ``offsets[i]`` to ``offsets[i + 1]``.
        stamps: [rows] nanoseconds since 1970 in UTC (or of the naive clock), or plain integers.
        values: [rows], NaN where missing.
        integer_time: whether stamps are plain integers.
        zone: the time zone in which stamps are shown, None for a naive clock.
    """

    ids: tuple[str, ...]
    offsets: Ints
    stamps: Ints
    values: Floats
    integer_time: bool
    zone: str | None

    @property
    def lengths(self) -> Ints:
        """Rows of each series, [series]."""
        return np.diff(self.offsets)

    @property
    def series(self) -> Ints:
        """The series of each row, [rows]."""
        return np.repeat(np.arange(len(self.ids)), self.lengths)

    @property
    def inner(self) -> npt.NDArray[np.bool_]:
        """[rows - 1]: whether rows r and r + 1 belong to the same series."""
        same = np.ones(max(len(self.stamps) - 1, 0), dtype=bool)
        ends = self.offsets[1:-1]
        same[ends[(ends > 0) & (ends < len(self.stamps))] - 1] = False
        return same

    def owner(self, row: int) -> str:
        """The id of the series that holds the row."""
        return self.ids[int(np.searchsorted(self.offsets, row, side="right")) - 1]

    def stamp(self, row: int) -> str:
        """The row's time stamp as text, in the data's own time zone."""
        if self.integer_time:
            return str(int(self.stamps[row]))
        stamp = pd.Timestamp(int(self.stamps[row]), unit="ns")
        return str(stamp if self.zone is None else stamp.tz_localize("UTC").tz_convert(self.zone))

    def place(self, row: int) -> str:
        """Where the row is: series and time stamp."""
        return f"series {self.owner(row)!r} at {self.stamp(row)}"


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "gap"), counted(2, "gap")
        ('1 gap', '2 gaps')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def name_some(names: list[str] | tuple[str, ...], limit: int = 5) -> str:
    """Lists quoted names, the first few only.

    Example:
        >>> name_some(["a", "b", "c"], limit=2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def portions(offsets: Ints) -> Iterator[tuple[int, int]]:
    """Whole series, first to stop, of at most `PORTION` rows together, or one that is longer.

    Example:
        >>> list(portions(np.array([0, 3, 2**22, 2**22 + 1])))
        [(0, 2), (2, 3)]
    """
    first, count = 0, len(offsets) - 1
    while first < count:
        stop = int(np.searchsorted(offsets, offsets[first] + PORTION, side="right")) - 1
        stop = min(max(stop, first + 1), count)
        yield first, stop
        first = stop
