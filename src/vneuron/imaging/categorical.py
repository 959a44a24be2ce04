"""Codes of images that choose: one of a number of categories, or several such choices."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ..inference import AbstractDecoder, LinearDecoder
from ..units.categorical import CategoricalUnits
from .amortised import AbstractAmortisedVAE
from .decoders import DecoderKind
from .encoders import EncoderKind

__all__ = ["CategoricalVAE"]


class CategoricalVAE(AbstractAmortisedVAE):
    """One-hot codes from an encoder, in one pass; relaxed in training, hard afterwards.

    The latents are parted into `choices` groups of equal size, in each of which exactly one is on.

    Args:
        latents: K, size of a code: categories of all choices together.
        choices: how many are on at once; one chooses among all K, as is published.
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
        >>> codes = CategoricalVAE(latents=12, choices=3, epochs=2).fit(images).transform(images)
        >>> codes.dtype, set(codes.sum(1).tolist())
        (dtype('int32'), {3})
    """

    choices: int

    def __init__(
        self,
        latents: int = 512,
        choices: int = 1,
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
        if self.choices < 1 or self.latents % self.choices or self.latents == self.choices:
            raise ValueError(
                f"choices is {self.choices} and latents {self.latents}, expected choices to part "
                "the latents into equal groups of at least two."
            )
        return self._network(
            lambda width: CategoricalUnits(width, self.choices, self.latents // self.choices),
            spread=partial(exclusive_spread, groups=self.choices),
        )

    def _counts(self) -> bool:
        return True


def exclusive_spread(
    decoder: AbstractDecoder, mean: Tensor, variance: Tensor, precision: Tensor, groups: int
) -> Tensor:
    """½ Σ_g [Σ_k p_k ‖Φ_k‖²_Σ − ‖Φ_g p_g‖²_Σ]: what one-hot groups add to the expected error.

    Args:
        decoder: linear.
        mean: probabilities p, [batch, latents].
        variance: not used: categories of a group are not independent.
        precision: 1/σ², [features].
        groups: g, of equal size.
    """
    if not isinstance(decoder, LinearDecoder):
        raise TypeError(f"a {type(decoder).__name__} has no dictionary")
    atoms = decoder.dictionary * precision.sqrt().unsqueeze(-1)
    each = mean @ atoms.square().sum(0)
    parts = zip(mean.chunk(groups, 1), atoms.chunk(groups, 1), strict=True)
    together = sum(((p @ part.T).square().sum(1) for p, part in parts), start=mean.new_zeros(()))
    return 0.5 * (each - together)
