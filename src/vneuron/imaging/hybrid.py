"""Between encoder and iteration: an encoder gives the start, and steps go on from there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

from torch import Tensor, nn

from ..inference import AbstractIterativeModel, IterativeGaussian, IterativePoisson
from ..training.run_folder import RunFolder
from .decoders import DecoderKind, build_decoder
from .encoders import EncoderKind, build_encoder
from .estimator import AbstractImageModel, CodeStep
from .hybrid_network import HybridLoss, HybridNetwork, Refinement
from .learning import learn_by_gradient, update_count

__all__ = ["IterativeAmortisedVAE", "Posterior", "SemiAmortisedVAE"]

Posterior: TypeAlias = Literal["poisson", "gaussian", "rectified"]

_GRADIENT_CLIP = 300.0
_DICTIONARY_SCALE = 0.05
_FIRST_LOG_RATES = (-3.0, -2.0)


class AbstractHybridVAE(AbstractImageModel):
    """What both hybrids share: the model, training by gradients, and inference from the encoder."""

    module_: HybridNetwork
    posterior: Posterior
    beta: float
    encoder: EncoderKind
    decoder: DecoderKind
    learning_rate: float

    def _network(self, refinement: Refinement = "guarded") -> nn.Module:
        if self.posterior not in get_args(Posterior):
            raise ValueError(
                f"posterior is {self.posterior!r}, expected one of {get_args(Posterior)}."
            )
        encoder, width = build_encoder(self.encoder, self.shape_)
        decoder = build_decoder(self.decoder, self.latents, self.shape_, _DICTIONARY_SCALE)
        model: AbstractIterativeModel[Any]
        if self.posterior == "poisson":
            model = IterativePoisson(decoder, prior_log_rate=_FIRST_LOG_RATES)
        else:
            activation: Any = "identity" if self.posterior == "gaussian" else "rectified"
            model = IterativeGaussian(decoder, activation=activation)
        return HybridNetwork(encoder, width, model, refinement)

    def _learn(self, images: Tensor, held_out: Tensor, run: RunFolder | None, steps: int) -> None:
        if not self.beta >= 0:
            raise ValueError(f"beta is {self.beta}, expected a number not below 0.")
        for name in ("steps", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1.")
        learn_by_gradient(
            self,
            HybridLoss(self.module_, steps, self.beta, update_count(self, images)),
            images,
            held_out,
            run,
            learning_rate=self.learning_rate,
            gradient_clip=_GRADIENT_CLIP,
        )

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        network = self.module_
        states = network.states(images, steps, self.beta)
        next(states)  # the encoder's own belief is the start, not a step
        for state in states:
            draw = partial(network.model.draw, state.belief)
            yield CodeStep(draw, state.activity, state.belief[0])

    def _decode(self, activity: Tensor) -> Tensor:
        decoded: Tensor = self.module_.model.decoder(activity)
        return decoded

    def _counts(self) -> bool:
        return self.posterior == "poisson"


class IterativeAmortisedVAE(AbstractHybridVAE):
    """An encoder's belief, refined step by step: iterative-amortised inference.

    Under "guarded" the encoder learns as in an amortised model, by the bound at its own belief,
    and inference then goes on from there by natural-gradient steps that never raise the free
    energy. Under "learned" a network makes the steps, from belief and natural gradient, and encoder
    and steps learn together by the mean of the bound over all steps; nothing guards them where
    images are unlike those of training. Source of the latter: arXiv:1807.09356.

    With decoders that are not linear, steps follow the free energy at the mean activity.

    Args:
        latents: K, size of a code.
        steps: of refinement after the encoder.
        beta: weight of the KL; 1 is the evidence bound.
        epochs: passes over the images.
        posterior: "poisson", "gaussian" or "rectified".
        refinement: "guarded" or "learned".
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
        >>> model = IterativeAmortisedVAE(latents=12, steps=4, epochs=2).fit(images)
        >>> model.transform(images, steps=20).dtype
        dtype('int32')
    """

    refinement: Refinement

    def __init__(
        self,
        latents: int = 512,
        steps: int = 16,
        beta: float = 1.0,
        epochs: int = 20,
        *,
        posterior: Posterior = "poisson",
        refinement: Refinement = "guarded",
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
        return self._network(self.refinement)

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._learn(images, held_out, run, self.steps if self.refinement == "learned" else 0)


class SemiAmortisedVAE(AbstractHybridVAE):
    """An encoder that learns to be a good start: gradients pass the steps that come after it.

    The bound at the belief after `steps` guarded natural-gradient steps is differentiated through
    all of them, into encoder and decoder. Source: Kim et al., "Semi-amortized variational
    autoencoders" (arXiv:1802.02550), with natural gradients and a guard.

    With decoders that are not linear, steps follow the free energy at the mean activity.

    Args:
        latents: K, size of a code.
        steps: after the encoder, in training.
        beta: weight of the KL; 1 is the evidence bound.
        epochs: passes over the images.
        posterior: "poisson", "gaussian" or "rectified".
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
        >>> model = SemiAmortisedVAE(latents=12, steps=3, epochs=2, posterior="gaussian")
        >>> model.fit(images).transform(images).shape
        (60, 12)
    """

    def __init__(
        self,
        latents: int = 512,
        steps: int = 8,
        beta: float = 1.0,
        epochs: int = 20,
        *,
        posterior: Posterior = "poisson",
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
        return self._network()

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._learn(images, held_out, run, self.steps)
