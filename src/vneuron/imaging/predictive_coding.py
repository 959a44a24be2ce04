"""Predictive coding, plain and incremental."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..training.run_folder import RunFolder
from .decoders import DecoderKind
from .estimator import CodeStep
from .learning import learn_by_settling
from .point import AbstractPointModel, DecoderLearner, dictionary_of, largest_eigenvalue

__all__ = ["PredictiveCoding"]


class PredictiveCoding(AbstractPointModel):
    """Codes that settle where prediction errors balance a Gaussian prior; a Hebbian dictionary.

    z ← z + h (Φᵀe − α z) with e = x − Φ z, and Φ follows Σ e zᵀ by Adam: once when z has settled,
    or, incrementally, along with each of its steps. Sources: Rao and Ballard, Nature Neuroscience 2
    (1999); Salvatori et al., "Incremental predictive coding" (arXiv:2212.00720).

    Args:
        latents: K, size of a code.
        steps: of inference.
        epochs: passes over the images.
        incremental: move the dictionary with every step of inference.
        prior_precision: α.
        decoder: "linear", "mlp" or "conv". Under the latter two errors go back through the
            Jacobian, and steps that would raise the energy are not taken.
        batch_size: images at a time.
        learning_rate: of Adam.
        seed: of the dictionary and the order of images.
        device: "auto", "cpu" or "cuda".
        quiet: no progress on standard error.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((60, 6, 6))
        >>> model = PredictiveCoding(latents=12, steps=20, epochs=2, incremental=True).fit(images)
        >>> model.transform(images).shape
        (60, 12)
    """

    incremental: bool
    prior_precision: float
    learning_rate: float

    def __init__(
        self,
        latents: int = 512,
        steps: int = 32,
        epochs: int = 20,
        *,
        incremental: bool = False,
        prior_precision: float = 0.1,
        decoder: DecoderKind = "linear",
        batch_size: int = 200,
        learning_rate: float = 0.002,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self._remember(locals())

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._check_positive("latents", "steps", "epochs", "batch_size", "learning_rate")
        learner = DecoderLearner(self.module_, self.learning_rate)

        def learn(batch: Tensor) -> Tensor:
            for number, step in enumerate(self._infer(batch, self.steps), start=1):
                if self.incremental or number == self.steps:
                    learner.learn(batch, step.mean)
            with torch.no_grad():
                error = 0.5 * (batch - self._decode(step.mean)).square().sum(1)
                return (error + self._cost(step.mean)).mean()

        learn_by_settling(self, self.module_, learn, images, held_out, run, learner.optimizer)

    def _cost(self, code: Tensor) -> Tensor:
        return 0.5 * self.prior_precision * code.square().sum(1)

    def _proximal(self, code: Tensor, gain: Tensor) -> Tensor:
        return code / (1.0 + gain * self.prior_precision)

    def _infer_linear(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        code = images.new_zeros(len(images), self.latents)
        for number in range(steps):
            dictionary = dictionary_of(self.module_)  # it moves between incremental steps
            if number == 0:
                stiffest = largest_eigenvalue(dictionary.T @ dictionary)
            error = images - code @ dictionary.T
            force = error @ dictionary - self.prior_precision * code
            code = code + force / (stiffest + self.prior_precision)
            yield CodeStep(code.clone, code, code)
