"""Each series to mean 0 and standard deviation 1, by its training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import DataError
from .frame import Panel
from .rows import Floats, Ints, name_some, portions

__all__ = ["Scaling"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Per series: scaled = (value − mean) / sd.

    Attributes:
        ids: the series.
        mean: [series], in the data's unit.
        sd: [series], standard deviation (divisor n), 1 where the series is constant.
        notes: which series are constant.
    """

    ids: tuple[str, ...]
    mean: Floats
    sd: Floats
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, panel: Panel, stop: npt.ArrayLike | None = None) -> Scaling:
        """Mean and standard deviation of the known values before row ``stop`` of each series.

        Args:
            panel: the series.
            stop: end of the training rows, one number or [series]; None takes all rows.

        Raises:
            DataError: a series without a known value there, or one whose values are too large for
                their squares to be numbers (from about 1e154).

        Example:
            >>> frame = pd.DataFrame({"unique_id": "a", "ds": [1, 2, 3], "y": [1.0, 3.0, 9.0]})
            >>> Scaling.fit(Panel.from_frame(frame), stop=2).sd
            array([1.])
        """
        count = len(panel)
        ends = panel.lengths if stop is None else np.broadcast_to(np.asarray(stop), (count,))
        known, mean, sd = np.zeros(count, dtype=np.int64), np.zeros(count), np.ones(count)
        constant = np.zeros(count, dtype=bool)
        every = np.asarray(panel.values)
        for first, last in portions(panel.offsets):
            part = slice(first, last)
            offsets = panel.offsets[first : last + 1]
            values = every[offsets[0] : offsets[-1]]
            found = _moments(values, offsets - offsets[0], ends[part])
            known[part], mean[part], sd[part], constant[part] = found
        if (known == 0).any():
            name = panel.ids[int(np.argmin(known))]
            raise DataError(
                f"series {name!r} has no known value in its training rows "
                f"({int((known == 0).sum())} such series): drop it, or train on more rows"
            )
        vast = ~np.isfinite(mean) | ~np.isfinite(sd)
        if vast.any():
            own = int(np.argmax(vast))
            largest = np.nanmax(np.abs(every[panel.offsets[own] : panel.offsets[own] + ends[own]]))
            raise DataError(
                f"series {panel.ids[own]!r} reaches {largest:g} in its training rows, and the "
                f"square of that is no number ({int(vast.sum())} such series): change the unit"
            )
        names = [panel.ids[int(position)] for position in np.flatnonzero(constant)]
        notes = (f"constant in the training rows: {name_some(names)}",) if names else ()
        return cls(panel.ids, mean, sd, notes)

    @classmethod
    def identity(cls, panel: Panel) -> Scaling:
        """Values as they are: mean 0 and standard deviation 1, as counts need it."""
        return cls(panel.ids, np.zeros(len(panel)), np.ones(len(panel)))

    def aligned(self, panel: Panel) -> Scaling:
        """The scaling for another panel's series: known ids keep theirs, new ones fit their rows.

        Args:
            panel: other or newer series.
        """
        found = pd.Index(self.ids).get_indexer(pd.Index(panel.ids))
        new = np.flatnonzero(found < 0)
        mean, sd = self.mean[found], self.sd[found]
        if not len(new):
            return Scaling(panel.ids, mean, sd)
        fresh = Scaling.fit(panel.select(new))
        mean[new], sd[new] = fresh.mean, fresh.sd
        note = f"series not seen in training are scaled by their own rows: {name_some(fresh.ids)}"
        return Scaling(panel.ids, mean, sd, (note, *fresh.notes))

    def apply(self, values: Floats, series: npt.NDArray[np.int64]) -> Floats:
        """Scaled values; ``series`` [n] names each value's series, further axes are carried."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        return (values - self.mean[series].reshape(shape)) / self.sd[series].reshape(shape)

    def invert(self, scaled: Floats, series: npt.NDArray[np.int64]) -> Floats:
        """Values in the data's unit, the inverse of ``apply``."""
        shape = (-1,) + (1,) * (scaled.ndim - 1)
        return scaled * self.sd[series].reshape(shape) + self.mean[series].reshape(shape)


def _moments(
    values: Floats, offsets: Ints, ends: Ints
) -> tuple[Ints, Floats, Floats, npt.NDArray[np.bool_]]:
    """How many values each series knows before its end, mean, deviation, whether it is constant.

    [series] each; a constant series has deviation 1. Where a series knows none, only the first
    says anything.
    """
    count = len(ends)
    lengths = np.diff(offsets)
    within = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
    used = ~np.isnan(values) & (within < np.repeat(ends, lengths))
    series, values = np.repeat(np.arange(count), lengths)[used], np.compress(used, values)
    known = np.bincount(series, minlength=count)
    if (known == 0).any():
        return known, np.zeros(count), np.ones(count), known == 0
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
        mean = np.bincount(series, weights=values, minlength=count) / known
        # The second pass keeps the digits that E x² − (E x)² would lose.
        deviation = values - mean[series]
        sd = np.sqrt(np.bincount(series, weights=deviation**2, minlength=count) / known)
    starts = np.concatenate([[0], np.cumsum(known)[:-1]])
    lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    # a spread whose square is no number any more is none
    constant = (lowest == highest) | (sd == 0.0)
    return known, np.where(constant, lowest, mean), np.where(constant, 1.0, sd), constant
