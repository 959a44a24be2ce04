"""The iterative estimators: Poisson and Gaussian, with learning in closed form or through time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from ..inference import (
    AbstractIterativeModel,
    Activation,
    InferenceOptions,
    IterativeGaussian,
    IterativePoisson,
    descent_step,
    init_descent,
    unroll,
)
from ..training.loop import Trainer, TrainingConfig
from ..training.run_folder import RunFolder
from .closed_form import ClosedFormLearner, Noise
from .decoders import DecoderKind, build_decoder
from .estimator import AbstractImageModel, CodeStep
from .settling import run_epochs
from .through_time import ImageTask, ThroughTime

__all__ = ["AbstractIterativeVAE", "IterativeGaussianVAE", "IterativePoissonVAE", "Learning"]

Learning: TypeAlias = Literal["closed_form", "through_time"]


class AbstractIterativeVAE(AbstractImageModel):
    """What the iterative estimators share: they differ in the model that they build."""

    module_: AbstractIterativeModel[Any]
    beta: float | None
    epochs: int
    batch_size: int
    learning: Learning
    truncate: int | None
    decoder: DecoderKind
    noise: Noise
    learning_rate: float
    gradient_clip: float
    reference_compat: bool

    CLOSED_FORM_BETA: ClassVar[float]
    THROUGH_TIME_BETA_PER_STEP: ClassVar[float]

    # -- the streaming interface ---------------------------------------------------------------

    def init_state(self, batch: int) -> Any:
        """The prior for a batch: where a film begins. See `vneuron.inference`."""
        self._fitted()
        with torch.no_grad():
            return self.module_.init_state(batch)

    def step(self, state: Any, frame: Any) -> Any:
        """The state after one more frame, [batch, pixels] or [batch, h, w].

        Uses stochastic natural-gradient steps with a rolling anchor, whatever the learning.
        """
        from .images import to_rows

        rows, _ = to_rows(frame, self.n_features_in_)
        device = next(self.module_.parameters()).device
        with torch.no_grad():
            return self.module_.step(state, (rows / self.scale_).to(device))

    # -- learning ------------------------------------------------------------------------------

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._check()
        if self.learning == "closed_form":
            self._train_closed_form(images, held_out, run)
        else:
            self._train_through_time(images, held_out, run)

    def _train_closed_form(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        model, beta = self.module_, self._beta()
        prior_rate = getattr(self, "prior_rate", None)
        learner = ClosedFormLearner(model, self.noise, prior_rate).to(images.device)
        learner.start(images)
        held_out = held_out.to(self._device())

        def validate() -> dict[str, float]:
            *_, last = self._infer(held_out, self.steps)
            sample = last.draw()
            error = (held_out - model.decoder(sample)).square().sum()
            spread = (held_out - held_out.mean(1, keepdim=True)).square().sum()
            return {
                "val_r2": float(1.0 - error / spread),
                "val_zeros": float((sample == 0).float().mean()),
            }

        run_epochs(
            learner,
            lambda batch: learner.learn(batch, self.steps, beta).energy.mean(),
            torch.no_grad()(validate),
            images,
            name=type(self).__name__,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            quiet=self.quiet,
            run=run,
        )
        if run is not None:
            self._write(run)

    def _train_through_time(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        batch = min(self.batch_size, len(images))
        updates = self.epochs * max(1, -(-len(images) // batch))
        module = ThroughTime(self.module_, self.steps, self._beta(), self.truncate, updates)
        config = TrainingConfig(
            epochs=self.epochs,
            batch_size=batch,
            learning_rate=self.learning_rate,
            warmup_steps=updates // 200,
            gradient_clip=self.gradient_clip,
            patience=0,
            min_steps_per_epoch=1,
            max_steps_per_epoch=2**31,
            seed=self.seed,
            device="cuda" if self._device().type == "cuda" else "cpu",
            quiet=self.quiet,
        )
        task = ImageTask(module, images, held_out)
        Trainer(config).fit(task, run, "images", resume=run is not None)
        if run is not None:
            self._write(run)

    # -- inference -----------------------------------------------------------------------------

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        model = self.module_
        constants = model.constants()
        if self.learning == "through_time":
            states = unroll(model, itertools.repeat(images, steps), constants=constants)
            for state in states:
                yield CodeStep(
                    partial(model.activity, state),
                    model.mean_activity(state),
                    model.potential(state),
                )
            return
        beta = self._beta()
        descent = init_descent(model, images, constants, beta)
        for _ in range(steps):
            descent = descent_step(model, descent, images, constants, beta)
            draw = partial(model.draw, descent.belief)
            yield CodeStep(draw, descent.activity, descent.belief[0])

    def _decode(self, activity: Tensor) -> Tensor:
        decoded: Tensor = self.module_.decoder(activity)
        return decoded

    def _options(self) -> InferenceOptions:
        return InferenceOptions(reference_compat=self.reference_compat)

    def _beta(self) -> float:
        if self.beta is not None:
            return self.beta
        if self.learning == "closed_form":
            return self.CLOSED_FORM_BETA
        return self.THROUGH_TIME_BETA_PER_STEP * self.steps

    def _check(self) -> None:
        """Refuse arguments out of range; scikit-learn wants that at `fit`."""
        if self.learning not in get_args(Learning):
            raise ValueError(
                f"learning is {self.learning!r}, expected one of {get_args(Learning)}."
            )
        if self.noise not in get_args(Noise):
            raise ValueError(f"noise is {self.noise!r}, expected one of {get_args(Noise)}.")
        least = {"steps": 1, "epochs": 1, "batch_size": 1}
        if self.truncate is not None:
            least["truncate"] = 1
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {bound}.")
        prior_rate = getattr(self, "prior_rate", None)
        if prior_rate is not None and not prior_rate > 0:
            raise ValueError(
                f"prior_rate is {prior_rate}, expected a positive number, or None to learn it."
            )
        if self.beta is not None and not self.beta >= 0:
            raise ValueError(f"beta is {self.beta}, expected a number not below 0.")


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
        decoder: "linear", "mlp" or "conv".
        noise: in closed form, whether σ is "shared" or one for each "pixel".
        prior_rate: in closed form, r₀, the expected spikes of each latent at rest, held there; None
            learns them, which makes dense codes. Through time they are always learned.
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
        decoder: DecoderKind = "linear",
        noise: Noise = "shared",
        prior_rate: float | None = 0.005,
        learning_rate: float = 0.005,
        gradient_clip: float = 300.0,
        reference_compat: bool = False,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.latents = latents
        self.steps = steps
        self.beta = beta
        self.epochs = epochs
        self.prior_rate = prior_rate
        self.batch_size = batch_size
        self.learning = learning
        self.truncate = truncate
        self.decoder = decoder
        self.noise = noise
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self.reference_compat = reference_compat
        self.seed = seed
        self.device = device
        self.quiet = quiet

    def _build(self) -> nn.Module:
        decoder = build_decoder(self.decoder, self.latents, self.shape_)
        return IterativePoisson(decoder, self._options())

    def _counts(self) -> bool:
        return True


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
        decoder: DecoderKind = "linear",
        noise: Noise = "shared",
        learning_rate: float = 0.005,
        gradient_clip: float = 300.0,
        reference_compat: bool = False,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.latents = latents
        self.steps = steps
        self.beta = beta
        self.epochs = epochs
        self.activation = activation
        self.batch_size = batch_size
        self.learning = learning
        self.truncate = truncate
        self.decoder = decoder
        self.noise = noise
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self.reference_compat = reference_compat
        self.seed = seed
        self.device = device
        self.quiet = quiet

    def _build(self) -> nn.Module:
        decoder = build_decoder(self.decoder, self.latents, self.shape_)
        return IterativeGaussian(decoder, self._options(), self.activation)
