"""Amortised estimators: an encoder of Poisson or Gaussian units, one pass per image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, get_args

from torch import Tensor, nn

from ..core import AbstractUnit, deterministic
from ..inference import Activation
from ..training.run_folder import RunFolder
from ..units import GaussianUnits, PoissonUnits
from .amortised_network import AmortisedLoss, AmortisedNetwork
from .decoders import DecoderKind, build_decoder
from .encoders import EncoderKind, build_encoder
from .estimator import AbstractImageModel, CodeStep
from .learning import learn_by_gradient, update_count

__all__ = ["AbstractAmortisedVAE", "GaussianVAE", "PoissonVAE"]

_FIRST_RATE = 0.1
_DICTIONARY_SCALE = 0.05
_GRADIENT_CLIP = 300.0


class AbstractAmortisedVAE(AbstractImageModel):
    """What amortised estimators share: training, and codes in one pass."""

    module_: AmortisedNetwork
    beta: float
    encoder: EncoderKind
    decoder: DecoderKind
    learning_rate: float

    steps: ClassVar[int] = 1  # type: ignore[misc]

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        if not self.beta >= 0:
            raise ValueError(f"beta is {self.beta}, expected a number not below 0.")
        learn_by_gradient(
            self,
            AmortisedLoss(self.module_, self.beta, update_count(self, images)),
            images,
            held_out,
            run,
            learning_rate=self.learning_rate,
            gradient_clip=_GRADIENT_CLIP,
        )

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        network = self.module_
        with deterministic(network):
            latent = network.units.infer(network.encoder(images))
        loc, scale = latent.loc.flatten(1), latent.scale.flatten(1)
        yield CodeStep(partial(network, images), network.moments(loc, scale)[0], loc)

    def _decode(self, activity: Tensor) -> Tensor:
        decoded: Tensor = self.module_.decoder(activity)
        return decoded

    def _network(self, layer: Callable[[int], AbstractUnit], **options: Any) -> AmortisedNetwork:
        """The network around the units that `layer` makes for a number of features."""
        encoder, width = build_encoder(self.encoder, self.shape_)
        decoder = build_decoder(self.decoder, self.latents, self.shape_, _DICTIONARY_SCALE)
        return AmortisedNetwork(encoder, layer(width), decoder, self.n_features_in_, **options)


class PoissonVAE(AbstractAmortisedVAE):
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
        self._remember(locals())

    def _build(self) -> nn.Module:
        return self._network(
            lambda width: PoissonUnits(width, self.latents, prior_rate=_FIRST_RATE, activity="raw")
        )

    def _counts(self) -> bool:
        return True


class GaussianVAE(AbstractAmortisedVAE):
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

    activation: Activation

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
        self._remember(locals())

    def _build(self) -> nn.Module:
        if self.activation not in get_args(Activation):
            raise ValueError(
                f"activation is {self.activation!r}, expected one of {get_args(Activation)}."
            )
        return self._network(
            lambda width: GaussianUnits(width, self.latents, activity="raw"),
            rectified=self.activation == "rectified",
        )
