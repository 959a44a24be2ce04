"""Amortised estimators: an encoder of Poisson or Gaussian units, one pass per image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ..core import Collect, deterministic
from ..functional.rectified import rectified_moments
from ..functional.soft_clamp import soft_clamp
from ..inference import Activation
from ..training.loop import Trainer, TrainingConfig
from ..training.run_folder import RunFolder
from ..training.task import StepOutput
from ..units import GaussianUnits, PoissonUnits
from .annealing import ramp
from .decoders import DecoderKind, build_decoder
from .estimator import AbstractImageModel, CodeStep
from .through_time import ImageTask

__all__ = ["EncoderKind", "GaussianVAE", "PoissonVAE"]

EncoderKind: TypeAlias = Literal["linear", "mlp", "conv"]

_HIDDEN = 512
_CHANNELS = 32
_FIRST_RATE = 0.1
_WARMEST, _COLDEST = 1.0, 0.05
_LOG_SIGMA_BOUND = 3.45


def build_encoder(kind: EncoderKind, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """Features of an image, and how many they are; the units' own linear map comes after.

    Args:
        kind: "linear" (none but that map), "mlp" (one hidden layer), "conv" (two convolutions).
        shape: of one image.

    Raises:
        ValueError: if the kind is unknown, or the shape is not that of an image for "conv".

    Example:
        >>> build_encoder("linear", (10, 10))[1]
        100
    """
    features = math.prod(shape)
    if kind not in get_args(EncoderKind):
        raise ValueError(f"encoder is {kind!r}, expected one of {get_args(EncoderKind)}.")
    if kind == "linear":
        return nn.Identity(), features
    if kind == "mlp":
        return nn.Sequential(nn.Linear(features, _HIDDEN), nn.SiLU()), _HIDDEN
    if len(shape) != 2:
        raise ValueError(
            f"encoder is 'conv' and an image has shape {shape}, expected (h, w): pass images as "
            "[n, h, w]."
        )
    body = nn.Sequential(
        nn.Unflatten(1, (1, *shape)),
        nn.Conv2d(1, _CHANNELS, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(_CHANNELS, 2 * _CHANNELS, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Flatten(),
    )
    return body, 2 * _CHANNELS * math.prod(math.ceil(size / 4) for size in shape)


class AmortisedNetwork(nn.Module):
    """Encoder, units, activation, decoder, and the noise of the data.

    Args:
        encoder: features of an image.
        units: a layer of units with one latent dimension each, activity "raw".
        decoder: as in the iterative models.
        rectified: whether max(z, 0) is decoded in place of z.

    Attributes:
        raw_log_sigma: ln σ before its bound, [features].
    """

    def __init__(
        self,
        encoder: nn.Module,
        units: PoissonUnits | GaussianUnits,
        decoder: nn.Module,
        features: int,
        rectified: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.units = units
        self.decoder = decoder
        self.rectified = rectified
        self.raw_log_sigma = nn.Parameter(torch.zeros(features))

    def forward(self, images: Tensor) -> Tensor:
        """Draws of the activity, [batch, latents]; the units' terms are recorded."""
        z: Tensor = self.units(self.encoder(images)).squeeze(-1)
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
        if isinstance(network.units, PoissonUnits) and self.training:
            network.units.temperature = ramp(at, _WARMEST, _COLDEST, start=0.0, end=0.5)
        if self.training:
            self.done.add_(1)
        z, terms = self.collected(images)
        (term,) = terms
        log_sigma = soft_clamp(network.raw_log_sigma, _LOG_SIGMA_BOUND)
        precision = torch.exp(-2.0 * log_sigma)
        curvature = network.decoder.curvature(precision)  # type: ignore[operator]
        if curvature is None:
            error = 0.5 * ((images - network.decoder(z)).square() @ precision)
        else:
            mean, variance = network.moments(term.loc.squeeze(-1), term.scale.squeeze(-1))
            error = 0.5 * ((images - network.decoder(mean)).square() @ precision)
            error = error + 0.5 * (variance @ curvature)
        nll = error + log_sigma.sum() + 0.5 * images.shape[1] * math.log(2.0 * math.pi)
        kl = term.kl.sum(-1)
        weight = self.beta * ramp(at, 1e-4, 1.0, start=0.0, end=0.1)
        logs = {"error": nll.detach().mean(), "code_kl": kl.detach().mean()}
        # The weight rises here, so the units' own β stays out of it.
        loss = nll + weight * kl
        return StepOutput(loss, (term._replace(beta=0.0 * term.beta),), loss.new_zeros(()), logs)


class _AmortisedVAE(AbstractImageModel):
    """What both share: training, and codes in one pass."""

    module_: AmortisedNetwork
    beta: float
    epochs: int
    batch_size: int
    encoder: EncoderKind
    decoder: DecoderKind
    learning_rate: float

    steps: ClassVar[int] = 1  # type: ignore[misc]

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        if not self.beta >= 0:
            raise ValueError(f"beta is {self.beta}, expected a number not below 0.")
        batch = min(self.batch_size, len(images))
        updates = self.epochs * -(-len(images) // batch)
        config = TrainingConfig(
            epochs=self.epochs,
            batch_size=batch,
            learning_rate=self.learning_rate,
            gradient_clip=300.0,
            patience=0,
            min_steps_per_epoch=1,
            max_steps_per_epoch=2**31,
            seed=self.seed,
            device="cuda" if self._device().type == "cuda" else "cpu",
            quiet=self.quiet,
        )
        loss = AmortisedLoss(self.module_, self.beta, updates)
        Trainer(config).fit(
            ImageTask(loss, images, held_out), run, "images", resume=run is not None
        )
        if run is not None:
            self._write(run)

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        network = self.module_
        with deterministic(network):
            latent = network.units.infer(network.encoder(images))
        loc, scale = latent.loc.squeeze(-1), latent.scale.squeeze(-1)
        yield CodeStep(partial(network, images), network.moments(loc, scale)[0], loc)

    def _decode(self, activity: Tensor) -> Tensor:
        decoded: Tensor = self.module_.decoder(activity)
        return decoded

    def _network(self, units: type[PoissonUnits] | type[GaussianUnits]) -> AmortisedNetwork:
        encoder, width = build_encoder(self.encoder, self.shape_)
        decoder = build_decoder(self.decoder, self.latents, self.shape_, 0.05)
        rectified = getattr(self, "activation", "identity") == "rectified"
        layer: PoissonUnits | GaussianUnits
        if units is PoissonUnits:
            layer = PoissonUnits(width, self.latents, prior_rate=_FIRST_RATE, activity="raw")
        else:
            layer = GaussianUnits(width, self.latents, activity="raw")
        return AmortisedNetwork(encoder, layer, decoder, self.n_features_in_, rectified)


class PoissonVAE(_AmortisedVAE):
    """Spike counts from an encoder, in one pass: the P-VAE of arXiv:2405.14473.

    Args:
        latents: K, size of a code.
        beta: weight of the KL; 1 is the evidence bound.
        epochs: passes over the images.
        encoder: "linear", "mlp" or "conv".
        decoder: "linear", "mlp" or "conv". With a linear one the expected error is exact.
        batch_size: images at a time.
        learning_rate: of AdamW.
        seed: of the weights, the order of images, and all draws.
        device: "auto", "cpu" or "cuda".
        quiet: no progress on standard error.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((60, 6, 6))
        >>> codes = PoissonVAE(latents=12, epochs=2).fit(images).transform(images)
        >>> codes.dtype
        dtype('int32')
    """

    def __init__(
        self,
        latents: int = 512,
        beta: float = 1.0,
        epochs: int = 20,
        *,
        encoder: EncoderKind = "linear",
        decoder: DecoderKind = "linear",
        batch_size: int = 200,
        learning_rate: float = 0.002,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.latents = latents
        self.beta = beta
        self.epochs = epochs
        self.encoder = encoder
        self.decoder = decoder
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.device = device
        self.quiet = quiet

    def _build(self) -> nn.Module:
        return self._network(PoissonUnits)

    def _counts(self) -> bool:
        return True


class GaussianVAE(_AmortisedVAE):
    """Gaussian codes from an encoder, in one pass; rectified if asked for.

    Args:
        latents: K, size of a code.
        beta: weight of the KL; 1 is the evidence bound.
        epochs: passes over the images.
        activation: what is decoded: "identity" (z) or "rectified" (max(z, 0)).
        encoder: "linear", "mlp" or "conv".
        decoder: "linear", "mlp" or "conv". With a linear one the expected error is exact.
        batch_size: images at a time.
        learning_rate: of AdamW.
        seed: of the weights, the order of images, and all draws.
        device: "auto", "cpu" or "cuda".
        quiet: no progress on standard error.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((60, 6, 6))
        >>> model = GaussianVAE(latents=12, epochs=2, activation="rectified").fit(images)
        >>> bool((model.transform(images) >= 0).all())
        True
    """

    def __init__(
        self,
        latents: int = 512,
        beta: float = 1.0,
        epochs: int = 20,
        *,
        activation: Activation = "identity",
        encoder: EncoderKind = "linear",
        decoder: DecoderKind = "linear",
        batch_size: int = 200,
        learning_rate: float = 0.002,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.latents = latents
        self.beta = beta
        self.epochs = epochs
        self.activation = activation
        self.encoder = encoder
        self.decoder = decoder
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.device = device
        self.quiet = quiet

    def _build(self) -> nn.Module:
        if self.activation not in get_args(Activation):
            raise ValueError(
                f"activation is {self.activation!r}, expected one of {get_args(Activation)}."
            )
        return self._network(GaussianUnits)
