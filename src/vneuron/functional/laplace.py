"""Laplace distributions: divergence and reparameterised draw, elementwise.

`width` is b of the density e^(−|z − µ|/b)/2b, whose standard deviation is b √2; divergences are in
nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SERIES_BELOW = 0.03


def kl_divergence(loc: Tensor, width: Tensor, prior_loc: Tensor, prior_width: Tensor) -> Tensor:
    """Divergence of one Laplace distribution from another, elementwise.

    With d = |µ − m|/b and ρ = b/s, KL(L(µ, b) ‖ L(m, s)) = ρ (d + e^−d − 1) + ρ − 1 − ln ρ. Near
    d = 0 the first bracket cancels to d²/2; a series is used there.

    Args:
        loc: posterior mean µ, any shape.
        width: b > 0, broadcastable.
        prior_loc: m, broadcastable.
        prior_width: s > 0, broadcastable.

    Returns:
        Nats, in the broadcast shape; nothing is summed.

    Example:
        >>> one, zero = torch.ones(1), torch.zeros(1)
        >>> kl_divergence(torch.tensor([0.0, 1.0]), one, zero, one)
        tensor([0.0000, 0.3679])
    """
    distance = (loc - prior_loc).abs() / width
    ratio = width / prior_width
    d = distance.clamp_max(_SERIES_BELOW)  # where the series is not used it must not overflow
    series = d.square() * (0.5 - d * (1 / 6 - d * (1 / 24 - d / 120)))
    direct = distance + torch.expm1(-distance)
    bracket = torch.where(distance < _SERIES_BELOW, series, direct)
    return ratio * bracket + (ratio - 1.0) - ratio.log()


def reparameterise(loc: Tensor, width: Tensor) -> Tensor:
    """Draw z = µ + b s E with a sign s and E ~ Exp(1), so that gradients reach µ and b.

    Args:
        loc: µ, any shape.
        width: b, broadcastable to `loc`.

    Returns:
        One draw in the shape of `loc`, from PyTorch's global generator.

    Example:
        >>> reparameterise(torch.zeros(2), torch.zeros(2)).abs()
        tensor([0., 0.])
    """
    size = torch.empty_like(loc).exponential_()
    sign = torch.empty_like(loc).bernoulli_(0.5).mul_(2.0).sub_(1.0)
    return loc + width * sign * size
