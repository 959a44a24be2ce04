"""Point estimates of codes: sparse coding by a locally competitive algorithm, predictive coding."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..inference import LinearDecoder
from ..training.run_folder import RunFolder
from .estimator import AbstractImageModel, CodeStep
from .settling import run_epochs

__all__ = ["PredictiveCoding", "SparseCoding"]

_FORGETTING = 0.6
_POWER_STEPS = 12


class _PointModel(AbstractImageModel):
    """A linear dictionary and codes without a distribution: a draw is the code itself."""

    module_: LinearDecoder
    epochs: int
    batch_size: int

    def _build(self) -> nn.Module:
        return LinearDecoder(self.latents, self.n_features_in_, self.n_features_in_**-0.5)

    def _decode(self, activity: Tensor) -> Tensor:
        return self.module_(activity)  # type: ignore[no-any-return]

    def _held_out_scores(self, held_out: Tensor) -> dict[str, float]:
        with torch.no_grad():
            *_, last = self._infer(held_out, self.steps)
            error = (held_out - self._decode(last.mean)).square().sum()
            spread = (held_out - held_out.mean(1, keepdim=True)).square().sum()
            zeros = (last.mean == 0).float().mean()
        return {"val_r2": float(1.0 - error / spread), "val_zeros": float(zeros)}

    def _check_positive(self, *names: str) -> None:
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a positive number.")


def largest_eigenvalue(gram: Tensor) -> Tensor:
    """Of a positive semidefinite matrix, from below, by power iteration with a fixed start.

    Example:
        >>> round(largest_eigenvalue(torch.diag(torch.tensor([1.0, 3.0]))).item(), 3)
        3.0
    """
    vector = torch.ones(len(gram), dtype=gram.dtype, device=gram.device)
    vector = vector + 0.1 * torch.arange(len(gram), device=gram.device) / len(gram)
    for _ in range(_POWER_STEPS):
        vector = gram @ vector
        vector = vector / vector.norm().clamp_min(1e-30)
    return vector @ gram @ vector


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


class SparseCoding(_PointModel):
    """Sparse codes by the locally competitive algorithm, with a learned dictionary of unit atoms.

    u ← u + h [Φᵀx − u − (ΦᵀΦ − I) a], a = sign(u) max(|u| − λ, 0), which settles at the minimum of
    ½ ‖x − Φ a‖² + λ ‖a‖₁. Source: Rozell et al., Neural Computation 20 (2008).

    Args:
        latents: K, size of a code.
        steps: of inference.
        penalty: λ, in units of the images' standard deviation.
        epochs: passes over the images.
        nonnegative: keep codes at or above zero.
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

    def __init__(
        self,
        latents: int = 512,
        steps: int = 100,
        penalty: float = 0.5,
        epochs: int = 20,
        *,
        nonnegative: bool = False,
        rate: float = 0.1,
        batch_size: int = 200,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.latents = latents
        self.steps = steps
        self.penalty = penalty
        self.epochs = epochs
        self.nonnegative = nonnegative
        self.rate = rate
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.quiet = quiet

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._check_positive("latents", "steps", "epochs", "batch_size", "rate", "penalty")
        learner = _SparseLearner(self.module_)
        device = self._device()
        held_out = held_out.to(device)
        with torch.no_grad():
            dictionary = self.module_.dictionary
            dictionary.div_(dictionary.norm(dim=0, keepdim=True))

        def learn(batch: Tensor) -> Tensor:
            with torch.no_grad():
                *_, last = self._infer(batch, self.steps)
                error = 0.5 * (batch - self._decode(last.mean)).square().sum(1)
                learner.learn(batch, last.mean)
                return (error + self.penalty * last.mean.abs().sum(1)).mean()

        run_epochs(
            learner,
            learn,
            lambda: self._held_out_scores(held_out),
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

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        dictionary = self.module_.dictionary.detach()
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


class PredictiveCoding(_PointModel):
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

    def __init__(
        self,
        latents: int = 512,
        steps: int = 32,
        epochs: int = 20,
        *,
        incremental: bool = False,
        prior_precision: float = 0.1,
        batch_size: int = 200,
        learning_rate: float = 0.002,
        seed: int = 0,
        device: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.latents = latents
        self.steps = steps
        self.epochs = epochs
        self.incremental = incremental
        self.prior_precision = prior_precision
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.device = device
        self.quiet = quiet

    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        self._check_positive("latents", "steps", "epochs", "batch_size", "learning_rate")
        held_out = held_out.to(self._device())
        optimizer = torch.optim.Adam(self.module_.parameters(), lr=self.learning_rate)

        def learn(batch: Tensor) -> Tensor:
            with torch.no_grad():
                for number, step in enumerate(self._infer(batch, self.steps), start=1):
                    error = batch - self._decode(step.mean)
                    if self.incremental or number == self.steps:
                        self.module_.dictionary.grad = -(error.T @ step.mean) / len(batch)
                        optimizer.step()
                prior = self.prior_precision * step.mean.square().sum(1)
                return 0.5 * (error.square().sum(1) + prior).mean()

        run_epochs(
            self.module_,
            learn,
            lambda: self._held_out_scores(held_out),
            images,
            name=type(self).__name__,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            quiet=self.quiet,
            run=run,
            optimizer=optimizer,
        )
        if run is not None:
            self._write(run)

    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        code = images.new_zeros(len(images), self.latents)
        for number in range(steps):
            dictionary = self.module_.dictionary.detach()  # it moves between incremental steps
            if number == 0:
                stiffest = largest_eigenvalue(dictionary.T @ dictionary)
            error = images - code @ dictionary.T
            force = error @ dictionary - self.prior_precision * code
            code = code + force / (stiffest + self.prior_precision)
            yield CodeStep(code.clone, code, code)
