"""Categorical units: each chooses one of k, relaxed in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Latent
from ..functional.categorical import (
    check_temperature,
    kl_divergence,
    relaxed_one_hot,
    sample_one_hot,
)
from ..functional.pooling import Activity


class CategoricalUnits(AbstractUnit):
    """A layer of units, each inferring which of k it is: q(z | h) over one-hot z in {0, 1}^k.

    Logits are linear in h; the prior's are learned. In training draws are Gumbel-softmax at a
    temperature, which gradients pass; in evaluation they are one-hot.

    A `Latent` of these units has the probabilities q as `loc` and √(q (1 − q)) as `scale`.

    Args:
        in_features: size of h.
        units: number of units.
        latent_dim: k, the number of categories of each.
        temperature: of relaxed draws in training.
        beta: weight of each unit's KL in the free energy: a number, or a tensor [units].
        activity: how z becomes the output; anything but "raw" pools the one away.

    Attributes:
        logits: the linear map from h; rows unit after unit, k to each.
        prior_logits: [units, k].

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> layer = CategoricalUnits(3, units=4, latent_dim=5).eval()
        >>> layer(torch.zeros(2, 3)).sum(-1)
        tensor([[1., 1., 1., 1.],
                [1., 1., 1., 1.]])
    """

    def __init__(
        self,
        in_features: int,
        units: int,
        latent_dim: int,
        temperature: float = 0.5,
        beta: float | Tensor = 1.0,
        activity: Activity = "raw",
    ) -> None:
        super().__init__(in_features, units, latent_dim, beta=beta, activity=activity)
        if latent_dim < 2:
            raise ValueError(f"latent_dim is {latent_dim}, expected at least 2 categories.")
        check_temperature(temperature)
        self.temperature = temperature
        self.logits = nn.Linear(in_features, units * latent_dim)
        self.prior_logits = nn.Parameter(torch.zeros(units, latent_dim))

    def infer(self, h: Tensor) -> Latent:
        """Probabilities given features, a draw, and the KL from the learned prior."""
        self.check_features(h)
        logits = self.logits(h).view(-1, self.units, self.latent_dim)
        q = logits.softmax(-1)
        sample = q if self.deterministic else self._draw(logits)
        return Latent(sample, q, (q * (1.0 - q)).sqrt(), kl_divergence(logits, self.prior_logits))

    def _draw(self, logits: Tensor) -> Tensor:
        if self.training:
            return relaxed_one_hot(logits, self.temperature)
        return sample_one_hot(logits)

    def extra_repr(self) -> str:
        """Sizes, activity and temperature, for `repr`."""
        return f"{super().extra_repr()}, temperature={self.temperature}"
