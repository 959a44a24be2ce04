"""Heavy-tailed codes of images from an encoder, in one pass."""

from __future__ import annotations

from torch import nn

from ..units import LaplaceUnits
from .amortised import AbstractAmortisedVAE
from .decoders import DecoderKind
from .encoders import EncoderKind

__all__ = ["LaplaceVAE"]


class LaplaceVAE(AbstractAmortisedVAE):
    """Laplace codes from an encoder, in one pass: the probabilistic cousin of sparse coding.

    Posterior and prior are Laplace distributions, the prior's learned; their KL is exact.

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
        >>> LaplaceVAE(latents=12, epochs=2).fit(images).transform(images).shape
        (60, 12)
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
        self._remember(locals())

    def _build(self) -> nn.Module:
        return self._network(lambda width: LaplaceUnits(width, self.latents, activity="raw"))
