"""Spike codes of images by iterative inference: iP-VAE."""

from __future__ import annotations

from torch import nn

from ..inference import IterativePoisson
from .closed_form import ClosedFormLearner, Noise
from .decoders import DecoderKind, build_decoder
from .films import Motion
from .iterative import AbstractIterativeVAE, Learning

__all__ = ["IterativePoissonVAE"]


class IterativePoissonVAE(AbstractIterativeVAE):
    """Images as spike counts, found by explaining away: the iP-VAE of arXiv:2410.19315.

    x ~ N(f(z), σ²), z ~ Pois(eᵘ), with u inferred for each image by natural-gradient steps on the
    free energy; there is no encoder.

    Args:
        latents: K, size of a code.
        steps: T, steps of inference in training.
        beta: weight of the KL. In closed form it multiplies the KL from the learned prior, and 1 is
            the evidence bound; None is 0.1. Through time it multiplies the KL of each step from
            the one before (published values: 8 to 128); None is 1.5 T.
        epochs: passes over the images.
        batch_size: images at a time.
        learning: "closed_form": guarded mean-field inference, and a dictionary that is solved for
            after each batch; linear decoders only, and by far the quicker. "through_time": the
            published way, gradients through all steps with relaxed counts.
        truncate: under "through_time", steps between cuts of the gradient; None never cuts.
        motion: under "through_time", how images are shown: "still", "rotating" or "jittering". For
            films of your own see `fit_films`.
        decoder: "linear", "mlp" or "conv".
        noise: in closed form, whether σ is "shared" or one for each "pixel".
        prior_rate: in closed form, r₀, the expected spikes of each latent at rest, held there; None
            learns them, which makes dense codes. Through time they are always learned.
        prior_shape: in closed form, a: rates at rest are drawn from a gamma distribution of this
            shape around r₀, so that being active has a price, and how much does not. About 0.01
            with r₀ = 0.1 and β = 0.4 codes better than any Poisson prior did; None is Pois(r₀).
        fineness: in closed form with a held r₀, how many times the code's noise counts when the
            scale of atoms is chosen. 1 is the bound's own balance; more makes finer atoms, more
            spikes and cleaner samples at about the same zeros.
        learning_rate: of AdamW under "through_time".
        gradient_clip: largest norm of the gradient under "through_time".
        reference_compat: under "through_time", the update of the published code, for comparisons.
        seed: of the weights, the order of images, and all draws.
        device: "auto", "cpu" or "cuda".
        quiet: no progress on standard error.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((60, 6, 6))
        >>> model = IterativePoissonVAE(latents=12, steps=8, epochs=2, batch_size=20).fit(images)
        >>> codes = model.transform(images, steps=16)
        >>> codes.shape, codes.dtype
        ((60, 12), dtype('int32'))
        >>> model.inverse_transform(codes).shape
        (60, 6, 6)
    """

    prior_rate: float | None
    prior_shape: float | None
    fineness: float

    CLOSED_FORM_BETA = 0.1
    THROUGH_TIME_BETA_PER_STEP = 1.5

    def __init__(
        self,
        latents: int = 512,
        steps: int = 16,
        beta: float | None = None,
        epochs: int = 20,
        *,
        batch_size: int = 200,
        learning: Learning = "closed_form",
        truncate: int | None = None,
        motion: Motion = "still",
        decoder: DecoderKind = "linear",
        noise: Noise = "shared",
        prior_rate: float | None = 0.005,
        prior_shape: float | None = None,
        fineness: float = 1.0,
        learning_rate: float = 0.005,
        gradient_clip: float = 300.0,
        reference_compat: bool = False,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self._remember(locals())

    def _build(self) -> nn.Module:
        self._check_prior()
        decoder = build_decoder(self.decoder, self.latents, self.shape_)
        if self.prior_shape is None or self.prior_rate is None:
            return IterativePoisson(decoder, self._options())
        return IterativePoisson(
            decoder, self._options(), prior_shape=self.prior_shape, prior_mean=self.prior_rate
        )

    def _learner(self) -> ClosedFormLearner:
        return ClosedFormLearner(self.module_, self.noise, self.prior_rate, self.fineness)

    def _counts(self) -> bool:
        return True

    def _check_prior(self) -> None:
        for name, cure in (("prior_rate", ", or None to learn it"), ("prior_shape", ", or None")):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}, expected a positive number{cure}.")
        if not self.fineness > 0:
            raise ValueError(f"fineness is {self.fineness}, expected a positive number.")
        if self.prior_shape is not None and (
            self.prior_rate is None or self.learning != "closed_form"
        ):
            raise ValueError(
                f"prior_shape is {self.prior_shape} with prior_rate={self.prior_rate} and "
                f"learning={self.learning!r}; expected a held rate and 'closed_form': pass "
                "prior_rate, or leave prior_shape out."
            )
