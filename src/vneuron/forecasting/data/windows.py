"""Windows of context and target, gathered by index from one flat tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .errors import DataError
from .flat import FlatSeries, flatten
from .place import Place
from .rows import Ints, counted
from .split import RowRange, check_window
from .window_index import LISTED_UP_TO, Listed, Runs

__all__ = [
    "FlatSeries",
    "WindowBatch",
    "Windows",
    "evenly_spaced",
    "flatten",
    "last_windows",
    "windows_between",
]


class WindowBatch(NamedTuple):
    """What a network sees of some windows.

    Attributes:
        context: [batch, input_size], scaled.
        target: [batch, horizon], scaled; 0 where not observed; horizon 0 for ``last_windows``.
        series: [batch] int64, the series of each window.
        context_observed: [batch, input_size] bool, None where the panel has nothing missing.
        target_observed: [batch, horizon] bool, likewise.
        place: where each window stands; None where the series have no times.
    """

    context: Tensor
    target: Tensor
    series: Tensor
    context_observed: Tensor | None
    target_observed: Tensor | None
    place: Place | None = None

    @property
    def inputs(self) -> tuple[Tensor, Tensor | None, Place | None]:
        """What a network reads: context, its mask, and the place."""
        return self.context, self.context_observed, self.place

    def keep(self, chosen: Tensor) -> WindowBatch:
        """The windows where ``chosen`` [batch] is true."""
        return WindowBatch(
            self.context[chosen],
            self.target[chosen],
            self.series[chosen],
            None if self.context_observed is None else self.context_observed[chosen],
            None if self.target_observed is None else self.target_observed[chosen],
            None if self.place is None else self.place.keep(chosen),
        )

    def complete(self) -> WindowBatch:
        """The windows whose whole target is known."""
        return self if self.target_observed is None else self.keep(self.target_observed.all(-1))


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows over a flat tensor; each is only its start, and many are not even that.

    Attributes:
        flat: the series.
        index: where each context starts; before the series' first row where the window is padded.
        input_size: context rows L.
        horizon: target rows H.
        floor: [windows] int64, the series' first flat row; None unless some window is padded.
    """

    flat: FlatSeries
    index: Listed | Runs
    input_size: int
    horizon: int
    floor: Tensor | None = None

    def __len__(self) -> int:
        return self.index.size

    @property
    def starts(self) -> Tensor:
        """Flat row where each context starts, [windows] int64."""
        return self.index.all().starts

    @property
    def series(self) -> Tensor:
        """The series of each window, [windows] int64."""
        return self.index.all().series

    @property
    def device(self) -> torch.device:
        """Where the series are."""
        return self.flat.values.device

    @property
    def cutoffs(self) -> Ints:
        """Flat row of each window's last context value, [windows]; indexes ``panel.times``."""
        return (self.starts + (self.input_size - 1)).cpu().numpy()

    def gather(self, index: Tensor) -> WindowBatch:
        """The windows at ``index`` [batch], through one index operation.

        Example:
            >>> import pandas as pd
            >>> from vneuron.forecasting.data.frame import Panel
            >>> from vneuron.forecasting.data.scaling import Scaling
            >>> frame = pd.DataFrame({"unique_id": "a", "ds": range(6), "y": range(6)})
            >>> panel = Panel.from_frame(frame)
            >>> unscaled = Scaling(panel.ids, np.zeros(1), np.ones(1))
            >>> whole = RowRange(np.array([0]), np.array([6]))
            >>> windows = windows_between(flatten(panel, unscaled), whole, 3, 2)
            >>> context, target, series, *_ = windows.gather(torch.tensor([1]))
            >>> context, target
            (tensor([[1., 2., 3.]]), tensor([[4., 5.]]))
        """
        starts, series = self.index.at(index)
        if self.floor is None and len(self.flat.values) >= self.input_size + self.horizon:
            # Windows overlap in memory here, so a batch is one index_select: measured ten times
            # faster than building [batch, L + H] row numbers.
            values = self._overlapping(self.flat.values).index_select(0, starts)
            seen = self.flat.observed
            observed = None if seen is None else self._overlapping(seen).index_select(0, starts)
        else:
            values, observed = self._padded(index, starts)
        size = self.input_size
        target = values[:, size:]
        return WindowBatch(
            values[:, :size],
            target if observed is None else target.masked_fill(~observed[:, size:], 0.0),
            series,
            None if observed is None else observed[:, :size],
            None if observed is None else observed[:, size:],
            self._place(series, starts),
        )

    def _place(self, series: Tensor, starts: Tensor) -> Place | None:
        times = self.flat.times
        if times is None:
            return None
        last = starts + (self.input_size - 1)
        time = times[last]
        known = self.flat.identity
        # a series of one row has no step
        step = time - times[(last - 1).clamp_min(0)]
        return Place(series if known is None else known[series], time, step)

    def _overlapping(self, rows: Tensor) -> Tensor:
        return rows.unfold(0, self.input_size + self.horizon, 1)

    def _padded(self, index: Tensor, starts: Tensor) -> tuple[Tensor, Tensor | None]:
        span = torch.arange(self.input_size + self.horizon, device=starts.device)
        rows = starts.unsqueeze(1) + span
        if self.floor is None:
            return self.flat.values[rows], None
        floor = self.floor[index].unsqueeze(1)
        inside = rows >= floor
        rows = rows.maximum(floor)
        seen = self.flat.observed
        return self.flat.values[rows], inside if seen is None else inside & seen[rows]

    def batches(self, size: int) -> Iterator[WindowBatch]:
        """All windows in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield self.gather(torch.arange(start, stop, device=self.device))

    def take(self, index: Tensor) -> Windows:
        """These windows alone."""
        floor = None if self.floor is None else self.floor[index]
        return replace(self, index=self.index.at(index), floor=floor)

    def to(self, device: torch.device | str) -> Windows:
        """The same on another device."""
        return replace(
            self,
            flat=self.flat.to(device),
            index=self.index.to(device),
            floor=None if self.floor is None else self.floor.to(device),
        )


def windows_between(
    flat: FlatSeries, span: RowRange, input_size: int, horizon: int, step: int = 1
) -> Windows:
    """All windows whose targets lie in ``span``; contexts may reach back within their series.

    Targets start at the span's first row (or where the context first fits) and then every
    ``step`` rows. A window without any observed value in its context or its target is left out.

    Args:
        flat: the series.
        span: ``Split.train``, ``.val`` or ``.test``.
        input_size: context rows L.
        horizon: target rows H.
        step: rows between the starts of a series' windows.

    Returns:
        The windows, series after series, each in time order; maybe none.

    Raises:
        DataError: a size or step below 1.
    """
    check_window(input_size, horizon)
    if step < 1:
        raise DataError(f"step is {step}: give a whole number of rows, at least 1")
    lengths = np.diff(flat.offsets)
    first = np.maximum(span.first, input_size)
    last = np.minimum(span.stop, lengths) - horizon
    counts = np.maximum((last - first) // step + 1, 0)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    device = flat.values.device
    begin = torch.from_numpy(flat.offsets[:-1] + first - input_size)
    index: Listed | Runs = Runs(begin, torch.from_numpy(ends), step)
    if flat.observed is not None:
        seen = np.concatenate([[0], np.cumsum(flat.observed.cpu().numpy())])
        starts, series = (part.numpy() for part in index.all())
        middle = starts + input_size
        useful = (seen[middle] > seen[starts]) & (seen[middle + horizon] > seen[middle])
        index = Listed(torch.from_numpy(starts[useful]), torch.from_numpy(series[useful]))
    elif index.size <= LISTED_UP_TO:
        index = index.all()
    return Windows(flat, index.to(device), input_size, horizon)


def last_windows(flat: FlatSeries, input_size: int, *, pad: bool = False) -> Windows:
    """The last context of each series, without target: where a forecast starts.

    Args:
        flat: the series.
        input_size: context rows L.
        pad: fill a shorter series on the left with its first value, marked as not observed.

    Raises:
        DataError: a series is shorter than ``input_size`` and ``pad`` is false, or has no known
            value in its last ``input_size`` rows.
    """
    check_window(input_size, 1)
    lengths = np.diff(flat.offsets)
    short = lengths < input_size
    if short.any() and not pad:
        at = int(np.argmax(short))
        raise DataError(
            f"series {flat.ids[at]!r} has {counted(int(lengths[at]), 'row')}, a forecast needs "
            f"{input_size} (input_size); {int(short.sum())} of {len(lengths)} series are too "
            "short: give more history, or fit with missing='mask', which learns to go by less"
        )
    if flat.observed is not None:
        seen = np.concatenate([[0], np.cumsum(flat.observed.cpu().numpy())])
        known = (
            seen[flat.offsets[1:]]
            - seen[np.maximum(flat.offsets[1:] - input_size, flat.offsets[:-1])]
        )
        if (known == 0).any():
            name = flat.ids[int(np.argmin(known))]
            raise DataError(
                f"series {name!r} has no known value in the last {input_size} rows that a forecast "
                f"reads ({int((known == 0).sum())} such series): give newer values, or drop it"
            )
    device = flat.values.device
    starts = torch.from_numpy(flat.offsets[1:] - input_size).to(device)
    series = torch.arange(len(lengths), device=device)
    floor = torch.from_numpy(flat.offsets[:-1].copy()).to(device) if short.any() else None
    return Windows(flat, Listed(starts, series), input_size, 0, floor)


def evenly_spaced(count: int, most: int) -> Tensor:
    """At most so many of the numbers from 0 to count − 1, evenly spaced, the ends among them.

    Example:
        >>> evenly_spaced(9, 3), evenly_spaced(2, 3)
        (tensor([0, 4, 8]), tensor([0, 1]))
    """
    # in double: single precision rounds beyond the last of 17 million
    return torch.linspace(0, count - 1, min(most, count), dtype=torch.float64).long()
