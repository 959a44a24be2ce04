"""Forecasts moved and scaled by what recent ones have missed by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ..data.place import Place
from ..data.rows import Floats
from ..data.split import RowRange
from ..data.windows import FlatSeries, WindowBatch
from ..laws.trajectory import AbstractTrajectory
from .level import FollowedLevel, LevelRates
from .recent_errors import recent_errors
from .spread import FollowedSpread, SpreadRates


class Rates(NamedTuple):
    """How fast forecasts follow recent errors."""

    level: LevelRates = LevelRates()
    spread: SpreadRates = SpreadRates()


DEFAULT = Rates()


@dataclass(frozen=True, eq=False)
class Following:
    """What the errors known by any time say of forecasts made then.

    The level first, since errors on one side look like a spread that is too narrow; then the
    spread, by errors of forecasts that are moved as far as they would have been.

    Attributes:
        level: how far forecasts are moved.
        spread: how far they are scaled.
        forecasts: how many were followed.
    """

    level: FollowedLevel
    spread: FollowedSpread
    forecasts: int

    @classmethod
    def measure(
        cls,
        forecast: Callable[[WindowBatch], AbstractTrajectory],
        flat: FlatSeries,
        rows: RowRange,
        input_size: int,
        horizon: int,
        rates: Rates = DEFAULT,
    ) -> Following:
        """From forecasts of past rows; arguments and errors as of `recent_errors`."""
        errors = recent_errors(forecast, flat, rows, input_size, horizon)
        known = flat.identity
        at_fit = np.arange(len(flat.ids)) if known is None else known.cpu().numpy()
        level = FollowedLevel.of(errors, at_fit, horizon, rates.level)
        spread = FollowedSpread.of(errors.moved(level.used), at_fit, horizon, rates.spread)
        return cls(level, spread, len(errors.made))

    def apply(self, path: AbstractTrajectory, place: Place) -> AbstractTrajectory:
        """A forecast of windows at these places, moved and scaled."""
        shift, factor = (torch.from_numpy(found).to(place.time.device) for found in self.at(place))
        if bool(shift.any()):
            path = path.shift(shift)
        return path.widen(factor)

    def at(self, place: Place) -> tuple[Floats, Floats]:
        """Shift in scales, and factor of spread, of forecasts made at these places, [batch] each.

        Before the first error 0 and 1; after the last one they stay.
        """
        series, time = place.series.cpu().numpy(), place.time.cpu().numpy()
        return self.level.shift(series, time), self.spread.factor(series, time)
