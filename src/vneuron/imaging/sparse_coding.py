"""Sparse coding by a locally competitive algorithm, with a learned dictionary."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..inference import LinearDecoder
from ..training.run_folder import RunFolder
from .decoders import DecoderKind
from .estimator import CodeStep
from .learning import learn_by_settling
from .point import AbstractPointModel, DecoderLearner, dictionary_of, largest_eigenvalue

__all__ = ["SparseCoding"]

_FORGETTING = 0.6


class _SparseLearner(nn.Module):
    """The dictionary, and the running sums by which it is brought up to date.

    Columns are moved one by one to the minimum of the reconstruction error within the unit ball,
    given E[a aᵀ] and E[x aᵀ]. Source: Mairal et al., "Online dictionary learning for sparse
    coding" (ICML 2009), Algorithm 2.
    """

    gram: Tensor
    cross: Tensor
    updates: Tensor

    def __init__(self, decoder: LinearDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.register_buffer("gram", torch.zeros(decoder.latents, decoder.latents))
        self.register_buffer("cross", torch.zeros(decoder.latents, decoder.features))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def learn(self, images: Tensor, codes: Tensor) -> None:
        """Add a batch and bring every column up to date once."""
        rate = (int(self.updates) + 1) ** -_FORGETTING
        self.gram.lerp_(codes.T @ codes / len(codes), rate)
        self.cross.lerp_(codes.T @ images / len(codes), rate)
        self.updates.add_(1)
        atoms = self.decoder.dictionary.T.contiguous()
        for k, use in enumerate(self.gram.diagonal().tolist()):
            if use > 1e-8:
                atom = atoms[k] + (self.cross[k] - self.gram[k] @ atoms) / use
                atoms[k] = atom / atom.norm().clamp_min(1.0)
        self.decoder.dictionary.copy_(atoms.T)


class SparseCoding(AbstractPointModel):
    """Sparse codes by the locally competitive algorithm, with a learned dictionary of unit atoms.

    u ← u + h [Φᵀx − u − (ΦᵀΦ − I) a], a = sign(u) max(|u| − λ, 0), which settles at the minimum of
    ½ ‖x − Φ a‖² + λ ‖a‖₁. Source: Rozell et al., Neural Computation 20 (2008).

    Args:
        latents: K, size of a code.
        steps: of inference.
        penalty: λ, in units of the images' standard deviation.
        epochs: passes over the images.
        nonnegative: keep codes at or above zero.
        decoder: "linear", "mlp" or "conv". Under the latter two codes descend on the same energy
            by guarded proximal steps, with errors that go back through the Jacobian, and the
            decoder learns by Adam with its first columns within the unit ball.
        learning_rate: of Adam, for decoders that are not linear.
        rate: h, the step over the time constant; it is lowered where the dictionary asks for it.
        batch_size: images at a time.
        seed: of the dictionary and the order of images.
        device: "auto", "cpu" or "cuda".
        quiet: no progress on standard error.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((60, 6, 6))
        >>> codes = SparseCoding(latents=12, steps=50, epochs=2).fit(images).transform(images)
        >>> bool((codes == 0).any())
        True
    """

    penalty: float
    nonnegative: bool
    rate: float
    learning_rate: float

    def __init__(
        self,
        latents: int = 512,
        steps: int = 100,
        penalty: float = 0.5,
        epochs: int = 20,
        *,
        nonnegative: bool = False,
        decoder: DecoderKind = "linear",
        learning_rate: float = 0.002,
        rate: float = 0.1,
        batch_size: int = 200,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self._remember(locals())

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._check_positive(
            "latents", "steps", "epochs", "batch_size", "rate", "penalty", "learning_rate"
        )
        decoder = self.module_
        if not isinstance(decoder, LinearDecoder):
            self._train_nonlinear(images, held_out, run)
            return
        learner = _SparseLearner(decoder)
        with torch.no_grad():
            decoder.dictionary.div_(decoder.dictionary.norm(dim=0, keepdim=True))

        def learn(batch: Tensor) -> Tensor:
            with torch.no_grad():
                *_, last = self._infer(batch, self.steps)
                learner.learn(batch, last.mean)
                return self._energy(batch, last.mean)

        learn_by_settling(self, learner, learn, images, held_out, run)

    def _train_nonlinear(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        learner = DecoderLearner(self.module_, self.learning_rate)

        def learn(batch: Tensor) -> Tensor:
            *_, last = self._infer(batch, self.steps)
            learner.learn(batch, last.mean)
            with torch.no_grad():
                return self._energy(batch, last.mean)

        learn_by_settling(self, self.module_, learn, images, held_out, run, learner.optimizer)

    def _energy(self, images: Tensor, code: Tensor) -> Tensor:
        error = 0.5 * (images - self._decode(code)).square().sum(1)
        return (error + self._cost(code)).mean()

    def _cost(self, code: Tensor) -> Tensor:
        return self.penalty * code.abs().sum(1)

    def _proximal(self, code: Tensor, gain: Tensor) -> Tensor:
        size = torch.relu(code.abs() - gain * self.penalty)
        return size * (code > 0) if self.nonnegative else size * code.sign()

    def _infer_linear(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        dictionary = dictionary_of(self.module_)
        gram = dictionary.T @ dictionary
        rate = min(self.rate, 1.0 / float(largest_eigenvalue(gram).clamp_min(1e-6)))
        drive = images @ dictionary
        potential = torch.zeros_like(drive)
        code = torch.zeros_like(drive)
        for _ in range(steps):
            potential = potential + rate * (drive - potential - code @ gram + code)
            code = self._threshold(potential)
            yield CodeStep(code.clone, code, potential)

    def _threshold(self, potential: Tensor) -> Tensor:
        if self.nonnegative:
            return torch.relu(potential - self.penalty)
        return nn.functional.softshrink(potential, self.penalty)
