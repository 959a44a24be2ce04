"""The quadratic form and volume of a Gaussian whose covariance is factors and a diagonal."""

from __future__ import annotations

import torch
from torch import Tensor


def factor_form(
    residual: Tensor, counts: Tensor, shared: Tensor, own: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Quadratic form and ½ ln det of BBᵀ + Ψ² over the steps that count, [batch] each.

    By Woodbury's identity and the determinant lemma, through one M × M factor.

    Args:
        residual: what came less the mean, [batch, H]; 0 where it does not count.
        counts: which steps count, bool [batch, H].
        shared: B, [batch, H, M].
        own: ψ, positive where it counts, [batch, H].

    Example:
        >>> one = torch.ones(1, 2, dtype=torch.float64)
        >>> quadratic, log_volume = factor_form(one, one.bool(), one[..., None], one)
        >>> round(quadratic.item(), 6), round((2 * log_volume).exp().item(), 6)
        (0.666667, 3.0)
    """
    own = torch.where(counts, own, torch.ones_like(own))
    scaled = torch.where(counts[..., None], shared / own[..., None], 0.0)
    white = residual / own
    identity = torch.eye(scaled.shape[-1], dtype=scaled.dtype, device=scaled.device)
    factor = torch.linalg.cholesky(identity + scaled.mT @ scaled)
    pulled = torch.linalg.solve_triangular(factor, scaled.mT @ white[..., None], upper=False)
    quadratic = white.square().sum(-1) - pulled.square().sum((-2, -1))
    return quadratic, factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + own.log().sum(-1)
