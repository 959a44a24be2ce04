"""Where windows start: as a list, or, where a list would be long, by the series' first ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["LISTED_UP_TO", "Listed", "Runs"]

LISTED_UP_TO = 2**22
"""Windows up to which each has a start of its own, 16 bytes; above, starts are computed from the
series' first ones, which takes a batch some microseconds more."""


class Listed(NamedTuple):
    """Each window's start.

    Attributes:
        starts: [windows] int64, flat row where each context starts.
        series: [windows] int64.
    """

    starts: Tensor
    series: Tensor

    @property
    def size(self) -> int:
        """Windows."""
        return len(self.starts)

    def at(self, index: Tensor) -> Listed:
        """The windows at `index`."""
        return Listed(self.starts[index], self.series[index])

    def all(self) -> Listed:
        """Every window."""
        return self

    def to(self, device: torch.device | str) -> Listed:
        """The same on another device."""
        return Listed(self.starts.to(device), self.series.to(device))


class Runs(NamedTuple):
    """Windows at equal distances within each series, of which nothing is stored per window.

    Attributes:
        first: [series] int64, where the series' first window starts.
        ends: [series + 1] int64, windows of all series before; the last is their number.
        step: rows between starts.

    Example:
        >>> runs = Runs(torch.tensor([0, 10, 20]), torch.tensor([0, 3, 3, 5]), step=2)
        >>> runs.all().starts.tolist(), runs.all().series.tolist()
        ([0, 2, 4, 20, 22], [0, 0, 0, 2, 2])
    """

    first: Tensor
    ends: Tensor
    step: int

    @property
    def size(self) -> int:
        """Windows."""
        return int(self.ends[-1])

    def at(self, index: Tensor) -> Listed:
        """The windows at `index`; negative ones count from the end."""
        index = torch.where(index < 0, index + self.ends[-1], index)
        series = torch.searchsorted(self.ends, index, right=True) - 1
        return Listed(self.first[series] + (index - self.ends[series]) * self.step, series)

    def all(self) -> Listed:
        """Every window, listed."""
        return self.at(torch.arange(self.size, device=self.ends.device))

    def to(self, device: torch.device | str) -> Runs:
        """The same on another device."""
        return Runs(self.first.to(device), self.ends.to(device), self.step)
