"""Poisson units: features in, a rate per unit, spike counts and their KL out."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Latent
from ..functional.poisson import Window, check_window, kl_divergence, relaxed_sample
from ..functional.pooling import Activity
from ..functional.soft_clamp import soft_clamp


class PoissonUnits(AbstractUnit):
    """A layer of units, each inferring q(z | h) = Pois(r₀ e^δ(h)) over k counts.

    δ = c tanh((W h + b)/c), r₀ learned, and KL = r₀ (1 − e^δ + δ e^δ) summed over k: moving a rate
    by a given factor costs in proportion to the rate it moves, so information is paid for in
    spikes. In training counts are relaxed by a soft window, which gradients pass; in evaluation
    they are whole. Source: "Poisson Variational Autoencoder" (arXiv:2405.14473), with the cubic
    window of arXiv:2602.03896.

    A `Latent` of these units has the rate as `loc` and its square root as `scale`.

    Args:
        in_features: size of h.
        units: number of units.
        latent_dim: k.
        prior_rate: r₀ before training, expected spikes per latent dimension.
        temperature: of the relaxed counts in training, within (0, 1]; their variance falls short
            of the rate by 26% of it times the temperature.
        max_log_change: c, the bound on δ: rates stay within r₀ e^±c.
        beta: weight of each unit's KL in the free energy: a number, or a tensor [units].
        activity: how z becomes the output: "mean", "sum", "scaled_sum" (sum/√k), or "raw".

    Attributes:
        log_change: the linear map to δ before its bound; rows unit after unit, k to each.
        log_prior: ln r₀, [units, k].

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> layer = PoissonUnits(3, units=4, latent_dim=2, activity="sum").eval()
        >>> counts = layer(torch.zeros(5, 3))
        >>> counts.shape, bool((counts == counts.round()).all())
        (torch.Size([5, 4]), True)
    """

    WINDOW: ClassVar[Window] = "cubic"

    def __init__(
        self,
        in_features: int,
        units: int,
        latent_dim: int = 1,
        prior_rate: float = 1.0,
        temperature: float = 0.05,
        max_log_change: float = 5.0,
        beta: float | Tensor = 1.0,
        activity: Activity = "mean",
    ) -> None:
        super().__init__(in_features, units, latent_dim, beta=beta, activity=activity)
        for label, value in (("prior_rate", prior_rate), ("max_log_change", max_log_change)):
            if not 0 < value < math.inf:
                raise ValueError(f"{label} is {value}, expected a positive number.")
        check_window(temperature, self.WINDOW)
        if temperature == 0:
            raise ValueError(
                "temperature is 0, at which no gradient reaches the rates in training; expected "
                "a number within (0, 1], such as 0.05."
            )
        self.temperature = temperature
        self.max_log_change = max_log_change
        self.log_change = nn.Linear(in_features, units * latent_dim)
        self.log_prior = nn.Parameter(torch.full((units, latent_dim), math.log(prior_rate)))

    def infer(self, h: Tensor) -> Latent:
        """Rates given features, counts, and the KL from the prior's rates."""
        self.check_features(h)
        raw = self.log_change(h).view(-1, self.units, self.latent_dim)
        log_rate = self.log_prior + soft_clamp(raw, self.max_log_change)
        rate = log_rate.exp()
        sample = rate if self.deterministic else self._draw(log_rate)
        kl = kl_divergence(log_rate, self.log_prior).sum(-1)
        return Latent(sample, rate, rate.sqrt(), kl)

    def _draw(self, log_rate: Tensor) -> Tensor:
        return relaxed_sample(log_rate, self.temperature if self.training else 0.0, self.WINDOW)

    def extra_repr(self) -> str:
        """Sizes, activity and temperature, for `repr`."""
        return f"{super().extra_repr()}, temperature={self.temperature}"
