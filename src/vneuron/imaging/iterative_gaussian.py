"""Gaussian codes of images by iterative inference: iG-VAE, and rectified."""

from __future__ import annotations

from torch import nn

from ..inference import Activation, IterativeGaussian
from .closed_form import Noise
from .decoders import DecoderKind, build_decoder
from .films import Motion
from .iterative import AbstractIterativeVAE, Learning

__all__ = ["IterativeGaussianVAE"]


class IterativeGaussianVAE(AbstractIterativeVAE):
    """Images as Gaussian codes found by natural-gradient steps: iG-VAE, and with rectified units.

    x ~ N(f(φ(z)), σ²), z ~ N(µ, e^2ξ). See `IterativePoissonVAE` for what it is compared with.

    Args:
        latents: K, size of a code.
        steps: T, steps of inference in training.
        beta: weight of the KL; None is 0.1 in closed form, and 0.5 T through time.
        epochs: passes over the images.
        activation: φ: "identity", or "rectified".
        batch_size: images at a time.
        learning: "closed_form" or "through_time", as in `IterativePoissonVAE`.
        truncate: under "through_time", steps between cuts of the gradient; None never cuts.
        motion: under "through_time", how images are shown: "still", "rotating" or "jittering". For
            films of your own see `fit_films`.
        decoder: "linear", "mlp" or "conv".
        noise: in closed form, whether σ is "shared" or one for each "pixel".
        learning_rate: of AdamW under "through_time".
        gradient_clip: largest norm of the gradient under "through_time".
        reference_compat: under "through_time", the update of the published code.
        seed: of the weights, the order of images, and all draws.
        device: "auto", "cpu" or "cuda".
        quiet: no progress on standard error.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((60, 6, 6))
        >>> model = IterativeGaussianVAE(latents=12, steps=8, epochs=2, batch_size=20).fit(images)
        >>> model.transform(images, kind="mean").shape
        (60, 12)
    """

    activation: Activation

    CLOSED_FORM_BETA = 0.1
    THROUGH_TIME_BETA_PER_STEP = 0.5

    def __init__(
        self,
        latents: int = 512,
        steps: int = 16,
        beta: float | None = None,
        epochs: int = 20,
        *,
        activation: Activation = "identity",
        batch_size: int = 200,
        learning: Learning = "closed_form",
        truncate: int | None = None,
        motion: Motion = "still",
        decoder: DecoderKind = "linear",
        noise: Noise = "shared",
        learning_rate: float = 0.005,
        gradient_clip: float = 300.0,
        reference_compat: bool = False,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self._remember(locals())

    def _build(self) -> nn.Module:
        decoder = build_decoder(self.decoder, self.latents, self.shape_)
        return IterativeGaussian(decoder, self._options(), self.activation)
