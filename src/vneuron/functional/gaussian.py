"""Diagonal Gaussians: divergence, reparameterised draw, bounded scale, information rate.

Everything here is elementwise tensor maths without modules or state. `scale` always means a
standard deviation, never a variance; divergences and rates are in nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SCALE_FLOOR = 1e-3
SCALE_CEILING = 10.0

_CENTRE = 0.5 * (math.log(SCALE_FLOOR) + math.log(SCALE_CEILING))
_HALF_RANGE = 0.5 * (math.log(SCALE_CEILING) - math.log(SCALE_FLOOR))


def kl_divergence(
    loc: Tensor, scale: Tensor, prior_loc: Tensor | float = 0.0, prior_scale: Tensor | float = 1.0
) -> Tensor:
    """Divergence of one Gaussian from another, elementwise.

    KL(N(µ, σ²) ‖ N(m, s²)) = ½ [(σ/s)² − 1 − ln (σ/s)² + ((µ − m)/s)²].

    Args:
        loc: posterior mean µ, any shape.
        scale: posterior standard deviation σ > 0, broadcastable with `loc`.
        prior_loc: prior mean m, broadcastable.
        prior_scale: prior standard deviation s > 0, broadcastable.

    Returns:
        Nats, in the broadcast shape; nothing is summed.

    Example:
        >>> kl_divergence(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
        tensor([0.0000, 0.5000])
    """
    ratio = scale / prior_scale
    shift = (loc - prior_loc) / prior_scale
    # (r² − 1)/2 − ln r as two terms that vanish together at r = 1: squaring first would cancel.
    return 0.5 * (ratio - 1.0) * (ratio + 1.0) - ratio.log() + 0.5 * shift.square()


def reparameterise(loc: Tensor, scale: Tensor) -> Tensor:
    """Draw z = µ + σ ε with ε ~ N(0, 1), so that gradients reach µ and σ.

    Args:
        loc: mean µ, any shape.
        scale: standard deviation σ, broadcastable to `loc`.

    Returns:
        One draw in the shape of `loc`, from PyTorch's global generator.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> reparameterise(torch.zeros(2), torch.zeros(2))
        tensor([0., 0.])
    """
    return loc + scale * torch.randn_like(loc)


def bounded_scale(raw: Tensor) -> Tensor:
    """Standard deviation in (0.001, 10) from an unbounded number.

    ln σ = c + r u / √(1 + u²) with u = raw / r, where c and r are the centre and the half width
    of the interval [ln 0.001, ln 10]. Near the centre ln σ grows one for one with `raw`; towards
    the bounds the slope falls as |u|⁻³, a power and not an exponential, so that a scale which
    has wandered to a bound still feels a gradient (sigmoid, tanh and clamp lose it).

    Args:
        raw: any real tensor.

    Returns:
        σ in the shape of `raw`.

    Example:
        >>> bounded_scale(torch.tensor([-100.0, 0.0, 100.0]))
        tensor([1.0049e-03, 1.0000e-01, 9.9514e+00])
    """
    u = raw / _HALF_RANGE
    return torch.exp(_CENTRE + _HALF_RANGE * u * torch.rsqrt(1.0 + u.square()))


def unbounded_scale(scale: float) -> float:
    """The number that `bounded_scale` maps to `scale`.

    Args:
        scale: standard deviation strictly between 0.001 and 10.

    Returns:
        The raw value.

    Raises:
        ValueError: if `scale` is outside the open interval.

    Example:
        >>> round(bounded_scale(torch.tensor(unbounded_scale(0.5))).item(), 6)
        0.5
    """
    if not SCALE_FLOOR < scale < SCALE_CEILING:
        raise ValueError(
            f"scale is {scale}, expected a standard deviation strictly between {SCALE_FLOOR} and "
            f"{SCALE_CEILING}: choose one inside, or rescale the latent."
        )
    v = (math.log(scale) - _CENTRE) / _HALF_RANGE
    return _HALF_RANGE * v / math.sqrt(1.0 - v * v)


def raw_of_log_scale(log_scale: Tensor) -> Tensor:
    """What `bounded_scale` maps to σ, from ln σ; scales out of reach give a large number.

    Args:
        log_scale: ln σ, any shape.

    Returns:
        Raw values; finite, and not beyond what gives all but half a percent of the range of ln σ.

    Example:
        >>> bounded_scale(raw_of_log_scale(torch.tensor([0.15, 5.0]).log()))
        tensor([0.1500, 5.0000])
    """
    v = ((log_scale - _CENTRE) / _HALF_RANGE).clamp(-0.995, 0.995)
    return _HALF_RANGE * v * torch.rsqrt(1.0 - v.square())


def information_rate(
    loc_mean: Tensor, loc_square: Tensor, scale_square: Tensor, log_scale: Tensor
) -> Tensor:
    """Rate of a Gaussian channel from moments over inputs, elementwise.

    R = ½ [ln(E σ² + Var µ) − E ln σ²], an upper bound on the information I(x; z) and the least
    mean KL that any Gaussian prior fixed over inputs could reach; hence R ≤ E KL(q ‖ p).

    Args:
        loc_mean: E µ over inputs.
        loc_square: E µ².
        scale_square: E σ².
        log_scale: E ln σ.

    Returns:
        Nats, in the shape of the arguments, never below zero (rounding is cut off).

    Example:
        >>> one = torch.ones(1)
        >>> information_rate(0 * one, 3 * one, one, 0 * one)   # ½ ln 4
        tensor([0.6931])
    """
    variance = (loc_square - loc_mean.square()).clamp_min(0.0)
    return (0.5 * (scale_square + variance).log() - log_scale).clamp_min(0.0)
