"""What a network is told of a window beside its shape: calendar, level, scale and series."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.place import Period, Place, Surroundings
from .normalisation import WindowScale

FeatureKind = Literal["window", "series", "place", "full"]

SERIES_WIDTH = 16
"""Numbers that describe a series."""

UNKNOWN_SHARE = 0.02
"""Of training windows whose series is withheld, so that one that was never seen can be met."""


class PlaceFeatures(nn.Module):
    r"""Numbers that go beside the normalised window into a network's features.

    Sines and cosines of 2πkt/P for the harmonics k of each period P; the window's location, and
    the logarithm of its scale, in training deviations of its series and through 2 tanh(·/2), since
    a series that grows leaves the levels that training has seen; a learned vector per series.

    Args:
        features: "series" tells which series a window is of, "place" the calendar, its level and
            its scale, "full" all of these.
        surroundings: how many series there are, and the periods of the calendar.

    Attributes:
        width: how many numbers.

    Example:
        >>> from vneuron.forecasting.networks.normalisation import window_scale
        >>> features = PlaceFeatures("full", Surroundings(3, (Period(24, 2),)))
        >>> one = torch.ones(5, dtype=torch.int64)
        >>> features(Place(one, one, one), window_scale(torch.randn(5, 9))).shape
        torch.Size([5, 22])
    """

    def __init__(self, features: FeatureKind, surroundings: Surroundings) -> None:
        super().__init__()
        self.by_place = features in ("place", "full")
        self.periods = surroundings.periods if self.by_place else ()
        self.series: nn.Embedding | None = None
        if features in ("series", "full") and surroundings.series:
            # the last row is that of a series that is not known
            self.series = nn.Embedding(surroundings.series + 1, SERIES_WIDTH)
        self.width = 2 * sum(period.harmonics for period in self.periods)
        self.width += 2 * self.by_place + SERIES_WIDTH * (self.series is not None)

    def forward(self, place: Place, window: WindowScale, lag: int = 0) -> Tensor:
        """[rows, width].

        Args:
            place: of each window.
            window: location and scale of each, and of its predecessor if there are twice as many.
            lag: rows back to the predecessors.
        """
        pairs = len(window.scale) > len(place.series)
        time = place.with_earlier(lag).time if pairs else place.time
        parts = [self._cycle(time, period, window.scale) for period in self.periods]
        if self.by_place:
            parts += [_bounded(window.location), _bounded(window.scale.log())]
        if self.series is not None:
            known = self.series(self._position(place.series, self.series.num_embeddings - 1))
            parts.append(known.repeat(2, 1) if pairs else known)
        return torch.cat(parts, dim=-1)

    def _cycle(self, time: Tensor, period: Period, like: Tensor) -> Tensor:
        """Sines and cosines; the remainder is taken in whole numbers, which loses nothing."""
        phase = (time % period.length).double() * (2.0 * math.pi / period.length)
        angles = phase[:, None] * torch.arange(1, period.harmonics + 1, device=time.device)
        return torch.cat([angles.sin(), angles.cos()], dim=-1).to(like.dtype)

    def _position(self, series: Tensor, unknown: int) -> Tensor:
        """Row of each series' vector."""
        position = torch.where(series < 0, unknown, series)
        if self.training:
            withheld = torch.rand(position.shape, device=position.device) < UNKNOWN_SHARE
            position = torch.where(withheld, unknown, position)
        return position


def _bounded(number: Tensor) -> Tensor:
    """Near nought as it is, and never beyond ±2."""
    return 2.0 * (0.5 * number).tanh()
