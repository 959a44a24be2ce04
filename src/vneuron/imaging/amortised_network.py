"""The network of an amortised image model, and the evidence bound that it learns by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..core import AbstractUnit, Collect
from ..functional.rectified import rectified_moments
from ..functional.soft_clamp import soft_clamp
from ..inference import AbstractDecoder
from ..training.task import StepOutput
from ..units import PoissonUnits
from ..units.categorical import CategoricalUnits
from .annealing import ramp

__all__ = ["AmortisedLoss", "AmortisedNetwork"]

_WARMEST, _COLDEST = 1.0, 0.05
_LOG_SIGMA_BOUND = 3.45

Spread: TypeAlias = Callable[[AbstractDecoder, Tensor, Tensor, Tensor], Tensor]
"""½ E‖Φ(z − E z)‖²_Σ per image, [batch], from decoder, mean, variance and precision."""


def independent_spread(
    decoder: AbstractDecoder, mean: Tensor, variance: Tensor, precision: Tensor
) -> Tensor:
    """½ Σ_k v_k diag(ΦᵀΣ⁻¹Φ)_k: what independent latents add to the expected squared error.

    Args:
        decoder: linear.
        mean: of the activity, [batch, latents].
        variance: likewise.
        precision: 1/σ², [features].
    """
    curvature = decoder.curvature(precision)
    if curvature is None:
        raise TypeError(f"a {type(decoder).__name__} has no curvature that holds for every code")
    return 0.5 * (variance @ curvature)


class AmortisedNetwork(nn.Module):
    """Encoder, units, activation, decoder, and the noise of the data.

    Args:
        encoder: features of an image.
        units: a layer of units, activity "raw"; their latents side by side are the code.
        decoder: as in the iterative models.
        features: M.
        rectified: whether max(z, 0) is decoded in place of z.
        spread: of the code, for linear decoders.

    Attributes:
        raw_log_sigma: ln σ before its bound, [features].
    """

    def __init__(
        self,
        encoder: nn.Module,
        units: AbstractUnit,
        decoder: AbstractDecoder,
        features: int,
        rectified: bool = False,
        spread: Spread = independent_spread,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.units = units
        self.decoder = decoder
        self.rectified = rectified
        self.spread = spread
        self.raw_log_sigma = nn.Parameter(torch.zeros(features))

    def forward(self, images: Tensor) -> Tensor:
        """Draws of the activity, [batch, latents]; the units' terms are recorded."""
        z: Tensor = self.units(self.encoder(images)).flatten(1)
        return torch.relu(z) if self.rectified else z

    def moments(self, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the activity, [batch, latents]."""
        return rectified_moments(loc, scale) if self.rectified else (loc, scale.square())


class AmortisedLoss(nn.Module):
    """Negative evidence bound per image; its error is exact where the decoder is linear.

    Args:
        network: what is learned.
        beta: weight of the KL once it has risen.
        updates: how many optimiser steps there will be, for the ramps of β and temperature.

    Attributes:
        done: optimiser steps so far.
    """

    done: Tensor

    def __init__(self, network: AmortisedNetwork, beta: float, updates: int) -> None:
        super().__init__()
        self.collected = Collect(network)
        self.network = network
        self.beta = beta
        self.updates = updates
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> StepOutput:
        """What the trainer wants of a batch."""
        network = self.network
        at = int(self.done) / self.updates if self.training else 1.0
        if isinstance(network.units, PoissonUnits | CategoricalUnits) and self.training:
            network.units.temperature = ramp(at, _WARMEST, _COLDEST, start=0.0, end=0.5)
        if self.training:
            self.done.add_(1)
        z, terms = self.collected(images)
        (term,) = terms
        log_sigma = soft_clamp(network.raw_log_sigma, _LOG_SIGMA_BOUND)
        precision = torch.exp(-2.0 * log_sigma)
        if network.decoder.is_linear:
            mean, variance = network.moments(term.loc.flatten(1), term.scale.flatten(1))
            error = 0.5 * ((images - network.decoder(mean)).square() @ precision)
            error = error + network.spread(network.decoder, mean, variance, precision)
        else:
            error = 0.5 * ((images - network.decoder(z)).square() @ precision)
        nll = error + log_sigma.sum() + 0.5 * images.shape[1] * math.log(2.0 * math.pi)
        kl = term.kl.sum(-1)
        weight = self.beta * ramp(at, 1e-4, 1.0, start=0.0, end=0.1)
        logs = {"error": nll.detach().mean(), "code_kl": kl.detach().mean()}
        # The weight rises here, so the units' own β stays out of it.
        loss = nll + weight * kl
        return StepOutput(loss, (term._replace(beta=0.0 * term.beta),), loss.new_zeros(()), logs)
