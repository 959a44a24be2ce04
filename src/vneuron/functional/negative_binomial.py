"""Negative log mass of counts: negative binomial by mean and dispersion, and its Poisson limit."""

from __future__ import annotations

import torch
from torch import Tensor

MOST_SHAPE = 1e8
"""Largest 1/α: beyond it the law is Poisson to eight digits, and lgamma loses as many."""


def nll(counts: Tensor, rate: Tensor, dispersion: Tensor | None = None) -> Tensor:
    r"""Negative log mass, differentiable in rate and dispersion, in double precision inside.

    .. math:: y \sim NB(\mu, \alpha): \quad E y = \mu, \quad Var\, y = \mu + \alpha \mu^2

    Source: Hilbe, "Negative Binomial Regression" (2011), the form NB2.

    Args:
        counts: y, whole numbers not below 0, any shape.
        rate: µ > 0, broadcastable.
        dispersion: α > 0, broadcastable; None is the Poisson law, α = 0.

    Returns:
        Nats, in the broadcast shape and the dtype of `rate`; nothing is summed.

    Example:
        >>> nll(torch.tensor([0.0, 1.0]), torch.tensor(1.0))
        tensor([1., 1.])
        >>> nll(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(1.0)).exp()   # geometric
        tensor(2.)
    """
    y, mu = counts.double(), rate.double()
    if dispersion is None:
        nats = mu - y * mu.log() + torch.lgamma(y + 1.0)
    else:
        shape = dispersion.double().reciprocal().clamp_max(MOST_SHAPE)
        # ln(1 + µ/n) and ln(1 + n/µ), which do not cancel for large or small µ/n.
        nats = (
            torch.lgamma(shape)
            + torch.lgamma(y + 1.0)
            - torch.lgamma(y + shape)
            + shape * torch.log1p(mu / shape)
            + y * torch.log1p(shape / mu)
        )
    return nats.to(rate.dtype)
