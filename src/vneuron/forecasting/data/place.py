"""Where a window stands: its series, and its last row's time; and which places there are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Period(NamedTuple):
    """A cycle of the calendar.

    Attributes:
        length: in nanoseconds.
        harmonics: sines and cosines that describe a place in it, each.
    """

    length: int
    harmonics: int


class Surroundings(NamedTuple):
    """The places that a fit's windows can stand in.

    Attributes:
        series: how many series there are.
        periods: of the calendar, that the training rows hold often enough.
    """

    series: int = 0
    periods: tuple[Period, ...] = ()


class Place(NamedTuple):
    """What is known of each window of a batch beside its values.

    Attributes:
        series: position of its series at the fit, −1 for a series that the fit did not see,
            [batch] int64.
        time: stamp of its last context row, nanoseconds or integers, [batch] int64.
        step: from the row before to that one, [batch] int64.
    """

    series: Tensor
    time: Tensor
    step: Tensor

    def keep(self, chosen: Tensor) -> Place:
        """The windows where ``chosen`` [batch] is true."""
        return Place(self.series[chosen], self.time[chosen], self.step[chosen])

    def with_earlier(self, lag: int) -> Place:
        """These windows, followed by the same `lag` rows before.

        Example:
            >>> one = torch.ones(1, dtype=torch.int64)
            >>> Place(one, 10 * one, 2 * one).with_earlier(3).time
            tensor([10,  4])
        """
        return Place(
            self.series.repeat(2),
            torch.cat([self.time, self.time - lag * self.step]),
            self.step.repeat(2),
        )

    def to(self, device: torch.device | str) -> Place:
        """The same on another device."""
        return Place(*(values.to(device) for values in self))
