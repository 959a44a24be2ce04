"""The quadratic form and volume of a Gaussian whose covariance may be singular."""

from __future__ import annotations

import torch
from torch import Tensor

DETERMINED = 1e-10
"""Share of the largest variance below which a direction counts as known already."""


def singular_form(
    residual: Tensor, counts: Tensor, covariance: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Quadratic form, ½ ln det over the directions that vary, and how many these are, [batch] each.

    The form is infinite for a residual that has a part in a direction which does not vary.

    Args:
        residual: what came less the mean, [batch, H]; 0 where it does not count.
        counts: which steps count, bool [batch, H].
        covariance: of all steps, [batch, H, H].

    Example:
        >>> both = torch.ones(2, 2, dtype=torch.bool)
        >>> plane = torch.ones(2, 2, 2, dtype=torch.float64)  # y₁ = y₂
        >>> y = torch.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
        >>> [value.round(decimals=6).tolist() for value in singular_form(y, both, plane)][::2]
        [[1.0, inf], [1.0, 1.0]]
    """
    both = counts[:, :, None] & counts[:, None, :]
    values, vectors = torch.linalg.eigh(torch.where(both, covariance, torch.zeros_like(covariance)))
    alive = values > DETERMINED * values[:, -1:]
    kept = torch.where(alive, values, torch.ones_like(values))
    turned = torch.einsum("bhk,bh->bk", vectors, residual)
    size = values[:, -1:].sqrt()
    off = (~alive & (turned.abs() > 1e-6 * size)).any(-1)
    quadratic = torch.where(alive, turned.square() / kept, 0.0).sum(-1)
    quadratic = torch.where(off, torch.inf, quadratic)
    return quadratic, 0.5 * kept.log().sum(-1), alive.sum(-1).to(residual.dtype)
