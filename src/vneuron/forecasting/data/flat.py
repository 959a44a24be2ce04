"""All series, scaled, end to end in one tensor; on disk where it is large."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .frame import Panel
from .mapped import MappedFile, starting_process
from .rows import Floats, Ints, name_some, portions
from .scaling import Scaling

__all__ = ["FlatSeries", "flatten"]

MAPPED_FROM = 2**30
"""Rows from which on the tensor is a mapped file (4 GiB) and not memory: what is not in use can
then leave memory again, and series larger than memory can be trained on."""


@dataclass(frozen=True, eq=False)
class FlatSeries:
    """All series, scaled, end to end in one tensor that every set of windows shares.

    Attributes:
        values: [rows] float32, scaled; a missing value holds the last known one before it (0,
            the training mean, where there is none), so that contexts stay in range.
        observed: [rows] bool, None where nothing is missing.
        offsets: [series + 1].
        ids: one text per series.
        file: where the values lie, if not in memory; a process that is started with these series
            is given it, and copies nothing.
        times: [rows] int64, stamp of each row; in the panel's own memory, where values are too.
        identity: [series] int64, position of each series at the fit, −1 for one that it did not
            see; None where they are the fit's.
        times_file: where the stamps lie, likewise.
    """

    values: Tensor
    observed: Tensor | None
    offsets: Ints
    ids: tuple[str, ...]
    file: MappedFile | None = None
    times: Tensor | None = None
    identity: Tensor | None = None
    times_file: MappedFile | None = None

    def to(self, device: torch.device | str) -> FlatSeries:
        """The same on another device."""
        observed = None if self.observed is None else self.observed.to(device)
        values = self.values.to(device)
        times = None if self.times is None else self.times.to(device)
        return replace(
            self,
            values=values,
            observed=observed,
            file=self.file if values is self.values else None,
            times=times,
            times_file=self.times_file if times is self.times else None,
            identity=None if self.identity is None else self.identity.to(device),
        )

    def __getstate__(self) -> dict[str, Any]:
        """For a process that is being started the files; for any other copy what they hold."""
        state = dict(vars(self))
        for held, lies in _IN_FILES:
            if state[lies] is not None:
                del state[held if starting_process() else lies]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for held, lies in _IN_FILES:
            file = state.setdefault(lies, None)
            if file is not None:
                state[held] = file.tensor()
        vars(self).update(state)


_IN_FILES = (("values", "file"), ("times", "times_file"))


def flatten(panel: Panel, scaling: Scaling, identity: Ints | None = None) -> FlatSeries:
    """Scales a panel into one float32 tensor.

    From `MAPPED_FROM` rows on, and for a panel that was read in pieces, it lies in a file without
    a name, in the folder for temporary files (TMPDIR), which disappears with the tensor.

    Args:
        panel: the series.
        scaling: of the same series in the same order (``Scaling.aligned`` gives it).
        identity: position of each series at the fit, −1 where it had none; None where they are
            the fit's own.

    Raises:
        ValueError: the scaling is of other series.
        OSError: the disk has no room for the file.
    """
    if scaling.ids != panel.ids:
        raise ValueError(
            f"the scaling holds series {name_some(scaling.ids)}, the panel {name_some(panel.ids)}: "
            "use scaling.aligned(panel)"
        )
    rows_in_all = len(panel.values)
    file, times_file = None, None
    if rows_in_all >= MAPPED_FROM or panel.mapped:
        file, values = MappedFile.create(rows_in_all)
        times_file, times = MappedFile.create(rows_in_all, torch.int64)
    else:
        values, times = torch.empty(rows_in_all), torch.from_numpy(panel.times.view(np.int64))
    observed = torch.from_numpy(panel.observed.copy()) if panel.has_missing else None
    for first, stop in portions(panel.offsets):
        offsets = panel.offsets[first : stop + 1]
        rows = slice(int(offsets[0]), int(offsets[-1]))
        series = np.repeat(np.arange(first, stop), np.diff(offsets))
        scaled = scaling.apply(panel.values[rows], series)
        if observed is not None:
            known = observed[rows].numpy()
            scaled = _carried(scaled, known, (offsets[:-1] - offsets[0])[series - first])
        values[rows] = torch.from_numpy(scaled.astype(np.float32))
        if times_file is not None:
            times[rows] = torch.from_numpy(panel.times[rows].view(np.int64))
    at_fit = None if identity is None else torch.from_numpy(identity)
    return FlatSeries(values, observed, panel.offsets, panel.ids, file, times, at_fit, times_file)


def _carried(
    scaled: Floats, known: np.ndarray[tuple[int], np.dtype[np.bool_]], start: Ints
) -> Floats:
    """Missing values replaced by the last known one of their series, 0 where there is none."""
    last = np.maximum.accumulate(np.where(known, np.arange(len(scaled)), -1))
    return np.where(last >= start, scaled[np.maximum(last, 0)], 0.0)
