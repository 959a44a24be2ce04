"""Values of many series that change now and then, and what they were at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.rows import Floats, Ints

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BySeries:
    """A value for each series from each of its changes on; 0 before the first.

    Attributes:
        times: how many there are, T.
        cells: T · series + time of each change, ascending, [changes].
        values: from then on, [changes].

    Example:
        >>> changes = [(np.array([2, 0]), np.array([0.5, 1.0]), 1), (np.array([2]), np.ones(1), 3)]
        >>> known = BySeries.of(changes, times=4)
        >>> known.at(np.array([2, 2, 0, 1, 2]), np.array([0, 2, 3, 3, 3]))
        array([0. , 0.5, 1. , 0. , 1. ])
    """

    times: int
    cells: Ints
    values: Floats32

    @classmethod
    def of(cls, changes: list[tuple[Ints, Floats, int]], times: int) -> BySeries:
        """From changes: series, their values, and when, in the order of time."""
        if not changes:
            return cls(times, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
        cells = np.concatenate([series.astype(np.int64) * times + t for series, _, t in changes])
        order = np.argsort(cells)
        values = np.concatenate([values for _, values, _ in changes]).astype(np.float32)
        return cls(times, cells[order], values[order])

    def at(self, series: Ints, time: Ints) -> Floats:
        """Values of these series at these times; 0 for one without changes, or time −1."""
        if not len(self.cells):
            return np.zeros(len(series))
        at = (
            np.searchsorted(self.cells, series * self.times + np.maximum(time, 0), side="right") - 1
        )
        there = (time >= 0) & (series >= 0) & (at >= 0)
        there &= self.cells[at] // self.times == series
        return np.where(there, self.values[at], 0.0).astype(np.float64)
