"""All series, scaled, end to end in one tensor; on disk where it is large."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .frame import Panel
from .rows import Floats, Ints, name_some
from .scaling import Scaling

__all__ = ["FlatSeries", "flatten"]

MAPPED_FROM = 2**30
"""Rows from which on the tensor is a mapped file (4 GiB) and not memory: what is not in use can
then leave memory again, and series larger than memory can be trained on."""

PORTION = 2**22
"""Rows that are scaled at a time, so that double precision never stands beside the whole."""


@dataclass(frozen=True, eq=False)
class FlatSeries:
    """All series, scaled, end to end in one tensor that every set of windows shares.

    Attributes:
        values: [rows] float32, scaled; a missing value holds the last known one before it (0,
            the training mean, where there is none), so that contexts stay in range.
        observed: [rows] bool, None where nothing is missing.
        offsets: [series + 1].
        ids: one text per series.
    """

    values: Tensor
    observed: Tensor | None
    offsets: Ints
    ids: tuple[str, ...]

    def to(self, device: torch.device | str) -> FlatSeries:
        """The same on another device."""
        observed = None if self.observed is None else self.observed.to(device)
        return replace(self, values=self.values.to(device), observed=observed)


def flatten(panel: Panel, scaling: Scaling) -> FlatSeries:
    """Scales a panel into one float32 tensor.

    From `MAPPED_FROM` rows on it lies in a file without a name, in the folder for temporary files
    (TMPDIR), which disappears with the tensor.

    Args:
        panel: the series.
        scaling: of the same series in the same order (``Scaling.aligned`` gives it).

    Raises:
        ValueError: the scaling is of other series.
        OSError: the disk has no room for the file.
    """
    if scaling.ids != panel.ids:
        raise ValueError(
            f"the scaling holds series {name_some(scaling.ids)}, the panel {name_some(panel.ids)}: "
            "use scaling.aligned(panel)"
        )
    values = _allocate(len(panel.values))
    observed = torch.from_numpy(panel.observed.copy()) if panel.has_missing else None
    for first, stop in _portions(panel.offsets):
        offsets = panel.offsets[first : stop + 1]
        rows = slice(int(offsets[0]), int(offsets[-1]))
        series = np.repeat(np.arange(first, stop), np.diff(offsets))
        scaled = scaling.apply(panel.values[rows], series)
        if observed is not None:
            known = observed[rows].numpy()
            scaled = _carried(scaled, known, (offsets[:-1] - offsets[0])[series - first])
        values[rows] = torch.from_numpy(scaled.astype(np.float32))
    return FlatSeries(values, observed, panel.offsets, panel.ids)


def _carried(
    scaled: Floats, known: np.ndarray[tuple[int], np.dtype[np.bool_]], start: Ints
) -> Floats:
    """Missing values replaced by the last known one of their series, 0 where there is none."""
    last = np.maximum.accumulate(np.where(known, np.arange(len(scaled)), -1))
    return np.where(last >= start, scaled[np.maximum(last, 0)], 0.0)


def _portions(offsets: Ints) -> Iterator[tuple[int, int]]:
    """Whole series, first to stop, of at most `PORTION` rows together, or one that is longer."""
    first, count = 0, len(offsets) - 1
    while first < count:
        stop = int(np.searchsorted(offsets, offsets[first] + PORTION, side="right")) - 1
        stop = min(max(stop, first + 1), count)
        yield first, stop
        first = stop


def _allocate(rows: int) -> Tensor:
    """Room for so many float32, in memory, or in a file that has no name any more."""
    if rows < MAPPED_FROM:
        return torch.empty(rows)
    handle, name = tempfile.mkstemp(prefix="vneuron-", suffix=".f32")
    try:
        if hasattr(os, "posix_fallocate"):  # else a full disk would show as a crash much later
            os.posix_fallocate(handle, 0, 4 * rows)
        return torch.from_file(name, shared=True, size=rows, dtype=torch.float32)
    finally:
        os.close(handle)
        os.unlink(name)
