"""Smooth limits that keep a gradient on their way to the bound."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_clamp(x: Tensor, bound: float) -> Tensor:
    """Limit by c tanh(x/c): odd, of slope one at zero, within ±c.

    It moves everything but zero: 2 under c = 7 becomes 1.947.

    Args:
        x: any shape.
        bound: c > 0.

    Example:
        >>> soft_clamp(torch.tensor([0.0, 2.0, 100.0]), 7.0)
        tensor([0.0000, 1.9473, 7.0000])
    """
    return torch.tanh(x / bound) * bound


def soft_ceiling(x: Tensor, bound: float, floor: float = -8.0) -> Tensor:
    """Limit by c − softplus(c − max(x, floor)): a smooth ceiling c over a hard floor.

    Under a low ceiling it leaks: with c = 2, zero becomes −0.127.

    Args:
        x: any shape.
        bound: c.
        floor: the lower bound; below it the gradient is zero.

    Example:
        >>> soft_ceiling(torch.tensor([0.0, -100.0]), 2.0)
        tensor([-0.1269, -8.0000])
    """
    return bound - F.softplus(bound - x.clamp_min(floor))
