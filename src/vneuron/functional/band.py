"""Bands for a unit's energy µ²: the price of being outside, and the factors that lead back.

Elementwise over units; `energy`, `low` and `high` have one shape, and factors multiply µ.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FACTOR_CAP = 50.0


def log_spaced(target: float, spread: float, units: int) -> Tensor:
    """A target per unit, log-spaced over target × [1/spread, spread]; all equal at spread 1.

    Example:
        >>> log_spaced(1.0, 4.0, 3)
        tensor([0.2500, 1.0000, 4.0000])
    """
    if units == 1:
        return torch.full((1,), target)
    exponent = torch.linspace(-1.0, 1.0, units)
    return target * torch.as_tensor(spread).pow(exponent)


class Hinge(NamedTuple):
    """A price and its derivative in the energy, elementwise."""

    price: Tensor
    slope: Tensor


def hinge(energy: Tensor, low: Tensor, high: Tensor, below: Tensor, above: Tensor) -> Hinge:
    """Price of being outside, below · (lo − e)₊² + above · (e − hi)₊², and its slope.

    Example:
        >>> one = torch.ones(1)
        >>> hinge(torch.tensor([0.5, 1.5, 4.0]), one, 2 * one, one, one)
        Hinge(price=tensor([0.2500, 0.0000, 4.0000]), slope=tensor([-1.,  0.,  4.]))
    """
    under, over = (low - energy).clamp_min(0.0), (energy - high).clamp_min(0.0)
    falling, rising = below * under, above * over
    return Hinge(falling * under + rising * over, 2.0 * (rising - falling))


def projection_factor(energy: Tensor, low: Tensor, high: Tensor, cap: float = FACTOR_CAP) -> Tensor:
    """√(bound / e) outside the band, 1 inside; within [1/cap, cap].

    Multiplying µ by it puts e exactly on the bound, unless the cap bites.

    Example:
        >>> one = torch.ones(1)
        >>> projection_factor(torch.tensor([0.25, 1.5, 8.0]), one, 2 * one)
        tensor([2.0000, 1.0000, 0.5000])
    """
    bound = energy.clamp(low, high)
    factor = (bound / energy.clamp_min(torch.finfo(energy.dtype).tiny)).sqrt()
    return factor.clamp(1.0 / cap, cap)


def homeostasis_factor(
    energy: Tensor, low: Tensor, high: Tensor, rate: Tensor, inside: float, limit: float
) -> Tensor:
    """(√(lo·hi) / e)^(rate/2): a step on the way to the band's centre, at most `limit` either way.

    Args:
        energy: e.
        low: lower bound.
        high: upper bound.
        rate: η, a scalar.
        inside: share of η within the band; 0 leaves such units alone.
        limit: largest factor of one action, at least 1.

    Example:
        >>> one, rate = torch.ones(1), torch.tensor(1.0)
        >>> homeostasis_factor(torch.tensor([0.5, 1.0, 9.0]), one, one, rate, 0.0, 1.25)
        tensor([1.2500, 1.0000, 0.8000])
    """
    outside = (energy < low) | (energy > high)
    step = rate * torch.where(outside, 1.0, inside)
    ratio = (low * high).sqrt() / energy.clamp_min(torch.finfo(energy.dtype).tiny)
    return ratio.pow(0.5 * step).clamp(1.0 / limit, limit)
