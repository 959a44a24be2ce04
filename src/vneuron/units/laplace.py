"""Laplace units: features in, a heavy-tailed posterior per unit, a draw and its KL out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Latent
from ..functional.gaussian import bounded_scale, unbounded_scale
from ..functional.laplace import kl_divergence, reparameterise
from ..functional.pooling import Activity

_SQRT_2 = math.sqrt(2.0)


class LaplaceUnits(AbstractUnit):
    """A layer of units, each inferring q(z | h) = Laplace(µ(h), b(h)) against a learned prior.

    µ = W h + c, and b within (0.001, 10) from a linear map of its own. The prior Laplace(m, s) is
    learned; its penalty |z − m|/s is that of sparse coding.

    A `Latent` of these units has µ as `loc` and the standard deviation b √2 as `scale`.

    Args:
        in_features: size of h.
        units: number of units.
        latent_dim: k.
        beta: weight of each unit's KL in the free energy: a number, or a tensor [units].
        activity: how z becomes the output: "mean", "sum", "scaled_sum" (sum/√k), or "raw".
        initial_width: b before training.

    Attributes:
        loc: the linear map to µ; rows unit after unit, k to each.
        width: the linear map to b before its bounds.
        prior_loc: m, [units, k].
        log_prior_width: ln s, [units, k].

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> layer = LaplaceUnits(3, units=4, latent_dim=2)
        >>> layer(torch.zeros(5, 3)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self,
        in_features: int,
        units: int,
        latent_dim: int = 1,
        beta: float | Tensor = 1.0,
        activity: Activity = "mean",
        initial_width: float = 0.5,
    ) -> None:
        super().__init__(in_features, units, latent_dim, beta=beta, activity=activity)
        self.loc = nn.Linear(in_features, units * latent_dim)
        self.width = nn.Linear(in_features, units * latent_dim)
        nn.init.zeros_(self.width.weight)
        nn.init.constant_(self.width.bias, unbounded_scale(initial_width))
        self.prior_loc = nn.Parameter(torch.zeros(units, latent_dim))
        self.log_prior_width = nn.Parameter(torch.zeros(units, latent_dim))

    def infer(self, h: Tensor) -> Latent:
        """Mean and width given features, a draw, and the KL from the learned prior."""
        self.check_features(h)
        shape = (-1, self.units, self.latent_dim)
        loc, width = self.loc(h).view(shape), bounded_scale(self.width(h)).view(shape)
        sample = loc if self.deterministic else reparameterise(loc, width)
        kl = kl_divergence(loc, width, self.prior_loc, self.log_prior_width.exp()).sum(-1)
        return Latent(sample, loc, _SQRT_2 * width, kl)
