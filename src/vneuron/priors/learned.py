"""A Gaussian prior whose mean and scale are learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core import AbstractPrior, PriorContext
from ..functional.gaussian import bounded_scale, kl_divergence, unbounded_scale


class LearnedNormal(AbstractPrior):
    """p(z) = N(m, s²) with m and s learned for each unit and latent dimension.

    It starts as the standard normal. Trained together with the posterior it takes up whatever is
    the same for every input, so that the KL comes down to the unit's rate: the price of
    information alone. The scale is bounded as that of the units
    (`vneuron.functional.gaussian.bounded_scale`).

    Args:
        units: number of units.
        latent_dim: k.

    Raises:
        ValueError: if a size is not positive.

    Example:
        >>> prior = LearnedNormal(units=3, latent_dim=2)
        >>> prior.kl(torch.ones(1, 3, 2), torch.ones(1, 3, 2)).shape
        torch.Size([1, 3])
    """

    def __init__(self, units: int, latent_dim: int = 1) -> None:
        super().__init__()
        for label, size in (("units", units), ("latent_dim", latent_dim)):
            if size < 1:
                raise ValueError(f"{label} is {size}, expected at least 1.")
        self.loc = nn.Parameter(torch.zeros(units, latent_dim))
        self.raw_scale = nn.Parameter(torch.full((units, latent_dim), unbounded_scale(1.0)))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Learned m and s, each [units, k]."""
        return self.loc, bounded_scale(self.raw_scale)

    def kl(self, loc: Tensor, scale: Tensor, context: PriorContext | None = None) -> Tensor:
        """KL(q ‖ N(m, s²)) in nats, [batch, units]; it knows no context."""
        return kl_divergence(loc, scale, *self.moments()).sum(-1)

    def extra_repr(self) -> str:
        """Shape, for `repr`."""
        units, latent_dim = self.loc.shape
        return f"units={units}, latent_dim={latent_dim}"
