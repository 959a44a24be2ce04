"""The deterministic twin: what a layer of units is compared against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Latent
from ..functional.pooling import Activity


class DeterministicUnits(AbstractUnit):
    """The twin of `GaussianUnits`: the same shapes, z = µ, no scale and no KL.

    It records terms like any unit (KL and scale zero), so that one training loop serves both and
    its µ² stays visible. The location map is that of `GaussianUnits`; the map to an
    input-dependent scale, `units · k · in_features` weights, has no counterpart here.

    Args:
        in_features: size of h.
        units: number of units.
        latent_dim: k.
        activity: how z becomes the output: "mean", "sum", "scaled_sum" (sum/√k), or "raw".

    Raises:
        ValueError: if a size is not positive, or `activity` is unknown.

    Example:
        >>> layer = DeterministicUnits(3, units=4)
        >>> latent = layer.infer(torch.ones(2, 3))
        >>> bool((latent.sample == latent.loc).all()), latent.kl.sum().item()
        (True, 0.0)
    """

    variational = False

    def __init__(
        self, in_features: int, units: int, latent_dim: int = 1, activity: Activity = "mean"
    ) -> None:
        super().__init__(in_features, units, latent_dim, beta=0.0, activity=activity)
        self.loc = nn.Linear(in_features, units * latent_dim)

    def infer(self, h: Tensor) -> Latent:
        """µ as mean and sample, with no scale and no KL."""
        self.check_features(h)
        loc = self.loc(h).view(-1, self.units, self.latent_dim)
        return Latent(loc, loc, torch.zeros_like(loc), kl=loc.new_zeros(loc.shape[:-1]))
