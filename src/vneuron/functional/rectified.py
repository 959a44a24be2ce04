"""The rectified Gaussian max(z, 0), z ~ N(µ, σ²): its moments and how they move with µ and ln σ."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_SQRT_2PI = math.sqrt(2.0 * math.pi)


class RectifiedSlopes(NamedTuple):
    """Derivatives of the rectified moments, elementwise.

    Attributes:
        on: ∂m/∂µ = P(z > 0).
        mean_by_log_scale: ∂m/∂ ln σ.
        variance_by_loc: ∂v/∂µ.
        variance_by_log_scale: ∂v/∂ ln σ.
    """

    on: Tensor
    mean_by_log_scale: Tensor
    variance_by_loc: Tensor
    variance_by_log_scale: Tensor


def rectified_moments(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of max(z, 0).

    With a = µ/σ, density φ and distribution function Φ of the standard normal: m = µ Φ(a) + σ φ(a)
    and E max(z, 0)² = (µ² + σ²) Φ(a) + µ σ φ(a).

    Args:
        loc: µ, any shape.
        scale: standard deviation σ > 0, broadcastable.

    Returns:
        m and v, elementwise; v is never below zero.

    Example:
        >>> rectified_moments(torch.zeros(1), torch.ones(1))
        (tensor([0.3989]), tensor([0.3408]))
    """
    on, density = _standard(loc / scale)
    mean = (loc * on + scale * density).clamp_min(0.0)
    square = (loc.square() + scale.square()) * on + loc * scale * density
    return mean, (square - mean.square()).clamp_min(0.0)


def rectified_slopes(loc: Tensor, scale: Tensor) -> RectifiedSlopes:
    """Derivatives of `rectified_moments`.

    Args:
        loc: µ, any shape.
        scale: σ > 0, broadcastable.

    Example:
        >>> rectified_slopes(torch.zeros(1), torch.ones(1)).on
        tensor([0.5000])
    """
    on, density = _standard(loc / scale)
    mean = loc * on + scale * density
    spread = scale * density
    return RectifiedSlopes(
        on=on,
        mean_by_log_scale=spread,
        variance_by_loc=2.0 * mean * (1.0 - on),
        variance_by_log_scale=2.0 * (scale.square() * on - mean * spread),
    )


def _standard(a: Tensor) -> tuple[Tensor, Tensor]:
    """Φ(a) and φ(a)."""
    return torch.special.ndtr(a), torch.exp(-0.5 * a.square()) / _SQRT_2PI
