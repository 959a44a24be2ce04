"""Each window by its own location and scale, so that one model serves every level and unit."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Location = Literal["mean", "last", "none"]

FLOOR = 1e-2
"""Added in quadrature to a window's scale, in training standard deviations of its series.

A window that stands still has no scale of its own; without a floor its forecast would be
certain, and the first change afterwards would cost hundreds of nats.
"""


FEW = 4
"""Fewer known values than this have their variance drawn towards that of the series: one value
has none, and two that happen to be alike would make a forecast certain."""


class WindowScale(NamedTuple):
    """Location and scale of each window of a batch, [batch, 1] each."""

    location: Tensor
    scale: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """(values − location) / scale, [batch, steps]."""
        return torch.sub(values, self.location).div_(self.scale)

    def first(self, count: int) -> WindowScale:
        """Those of the first windows alone."""
        return WindowScale(self.location[:count], self.scale[:count])


def window_scale(
    context: Tensor, observed: Tensor | None = None, location: Location = "mean"
) -> WindowScale:
    r"""Location and scale of each context.

    .. math:: \text{scale}^2 = \frac{\sum_t (x_t - \bar x)^2 + k}{n + k} + \text{FLOOR}^2,
              \qquad k = \max(0, \text{FEW} - n)

    over the n values that are observed; 1 is the variance of the series in training.

    Args:
        context: [batch, L].
        observed: mask [batch, L]; values that are not observed do not count. None: all are.
        location: "mean" of the window, or its "last" value (for series that wander, whose last
            value says more about what follows than their mean does); "none" gives every
            window location 0 and scale 1, those of its series.

    Raises:
        ValueError: an unknown location.

    Example:
        >>> window_scale(torch.tensor([[1.0, 3.0]]), location="last").location
        tensor([[3.]])
    """
    if location not in get_args(Location):
        raise ValueError(f"location is {location!r}, expected one of {get_args(Location)}.")
    if location == "none":
        zero = torch.zeros_like(context[:, :1])
        return WindowScale(zero, zero + 1.0)
    if observed is None:
        mean = context.mean(-1, keepdim=True)
        # a norm needs no array of squares
        size = torch.linalg.vector_norm(context - mean, dim=-1, keepdim=True)
        rows = context.shape[-1]
        more = max(0, FEW - rows)
        variance = (size.square() + more) / (rows + more)
    else:
        known = observed.sum(-1, keepdim=True)
        count, added = known.clamp_min(1), (FEW - known).clamp_min(0)
        zero = torch.zeros_like(context)
        mean = torch.where(observed, context, zero).sum(-1, keepdim=True) / count
        deviation = torch.where(observed, context - mean, zero)
        variance = (deviation.square().sum(-1, keepdim=True) + added) / (known + added)
    # a missing last value holds the last known one (windows.flatten)
    centre = mean if location == "mean" else context[:, -1:]
    return WindowScale(centre, (variance + FLOOR**2).sqrt())


def choose_location(context: Tensor, target: Tensor) -> Location:
    """Which location tells more about what follows: the smaller mean absolute error wins.

    Args:
        context: training windows, [windows, L].
        target: what followed them, [windows, H]; NaN where unknown.

    Example:
        >>> steps = torch.arange(200.0).view(10, 20)
        >>> choose_location(steps[:, :15], steps[:, 15:])
        'last'
    """
    errors: dict[Location, Tensor] = {
        "mean": (target - context.mean(-1, keepdim=True)).abs().nanmean(),
        "last": (target - context[:, -1:]).abs().nanmean(),
    }
    return min(errors, key=lambda name: float(errors[name]))
