"""What every image model is: an estimator in scikit-learn's manner."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..training.order import mixed_seed
from ..training.run_folder import RunFolder
from .images import to_rows
from .storage import StoredModel

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.exceptions import NotFittedError
except ImportError as error:
    raise ImportError(
        "vneuron.imaging needs the extra imaging: pip install 'vneuron[imaging]'"
    ) from error

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AbstractImageModel", "CodeStep"]

_BATCH = 250
_HELD_OUT = 1000


class CodeStep(NamedTuple):
    """Codes of a batch after some step of inference.

    Attributes:
        draw: gives a draw of the activity, [batch, latents]: whole counts in Poisson models. Only
            the steps that are looked at pay for one.
        mean: its mean under the posterior, [batch, latents].
        potential: what inference moves, [batch, latents]: u, µ, or the mean of an encoder.
    """

    draw: Callable[[], Tensor]
    mean: Tensor
    potential: Tensor


class AbstractImageModel(TransformerMixin, BaseEstimator, StoredModel):  # type: ignore[misc]
    """An image model: `fit`, `transform` to codes, `inverse_transform` to images, `score_table`.

    Images are [n, pixels], [n, h, w] or [n, h, w, channels], of any numeric type; inside, they are
    divided by their standard deviation over the training set, and nothing else is done to them.

    Attributes:
        module_: the fitted model, a `torch.nn.Module`.
        shape_: of one image.
        scale_: the standard deviation that images are divided by.
        n_features_in_: number of pixels.
        n_epochs_: whole epochs of training.
        outcome_: why training ended: "completed", "interrupted" or "diverged".
    """

    latents: int
    steps: int
    epochs: int
    batch_size: int
    quiet: bool
    n_epochs_: int
    outcome_: str

    # -- the interface that subclasses write ---------------------------------------------------

    @abstractmethod
    def _train(self, images: Tensor, held_out: Tensor, run: RunFolder | None) -> None:
        """Learn `self.module_` from rows of pixels; what is learned is written by the caller."""

    @abstractmethod
    def _infer(self, images: Tensor, steps: int) -> Iterator[CodeStep]:
        """Codes of a batch after each step; without gradients."""

    @abstractmethod
    def _decode(self, activity: Tensor) -> Tensor:
        """Rows of pixels from activity."""

    # -- scikit-learn's ------------------------------------------------------------------------

    def fit(
        self,
        images: Any,
        y: object = None,
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        source: Mapping[str, Any] | None = None,
    ) -> Self:
        """Learn from images.

        A tenth of the images, and at most a thousand, is held out for the scores shown on the way.
        The random state of the caller is left as it was.

        Args:
            images: [n, pixels], [n, h, w] or [n, h, w, channels].
            y: ignored, as in scikit-learn.
            run_dir: a folder to write: configuration, event log, checkpoints.
            resume: go on with what `run_dir` holds, from the end of its last whole epoch; begin if
                it holds nothing.
            overwrite: replace what `run_dir` holds, once there is a first checkpoint.
            source: plain values about the images (where they are from, how they were prepared) for
                `config.json`. A run is only resumed with the same, but for "path" and "command".

        Returns:
            The fitted model; `outcome_` is "interrupted" where Ctrl-C ended training.

        Raises:
            ImageError: if images cannot be used.
            ValueError: if an argument of the model is out of range, or the run to resume is of
                another model or other images.
            RunFolderError: if `run_dir` holds something and `resume` is not set.
        """
        rows, shape = to_rows(images)
        return self._learn_from(rows, shape, run_dir, resume, overwrite, source)

    def _learn_from(
        self,
        rows: Tensor,
        shape: tuple[int, ...],
        run_dir: str | Path | None,
        resume: bool,
        overwrite: bool,
        source: Mapping[str, Any] | None,
    ) -> Self:
        """Learn from rows of pixels of images of a shape; a row may hold several frames."""
        if len(rows) < 2:
            raise ValueError("there is 1 image, expected at least 2: one has to be held out.")
        self.shape_ = shape
        self.n_features_in_ = math.prod(shape)
        self.scale_ = float(rows.std()) or 1.0
        rows = rows / self.scale_
        with torch.random.fork_rng():
            torch.manual_seed(mixed_seed(self.seed, 0))
            order = torch.randperm(len(rows))
            held_out = min(_HELD_OUT, max(1, len(rows) // 10))
            self.module_ = self._build().to(self._device())
            train, rest = rows[order[held_out:]], rows[order[:held_out]]
            if run_dir is None:
                self._train(train, rest, None)
            else:
                with self._open_run(Path(run_dir), resume, overwrite, source) as run:
                    self._train(train, rest, run)
                    self._write(run)
        self.module_.eval()
        return self

    def transform(
        self, images: Any, *, steps: int | None = None, kind: str = "sample"
    ) -> NDArray[Any]:
        """Codes of images.

        Args:
            images: of the size that was fitted.
            steps: of inference; None takes the number that the model was trained with.
            kind: "sample": a draw from the posterior (int32 counts in Poisson models), the same
                one each time; "mean": its mean.

        Returns:
            [n, latents].

        Raises:
            NotFittedError: before `fit`.
            ValueError: if the images have another size or the kind is unknown.
        """
        if kind not in ("sample", "mean"):
            raise ValueError(f"kind is {kind!r}, expected 'sample' or 'mean'.")
        found = []
        for _, trajectory in self.trajectories(images, steps):
            *_, last = trajectory
            found.append((last.draw() if kind == "sample" else last.mean).cpu())
        codes = torch.cat(found).numpy()
        return codes.astype(np.int32) if kind == "sample" and self._counts() else codes

    def inverse_transform(self, codes: Any) -> NDArray[np.float32]:
        """Images from codes, in the shape and scale of those that were fitted.

        Args:
            codes: [n, latents].

        Raises:
            ValueError: if there is another number of latents.
        """
        module = self._fitted()
        array = torch.as_tensor(np.asarray(codes), dtype=torch.float32)
        if array.ndim != 2 or array.shape[1] != self.latents:
            raise ValueError(
                f"codes have shape {tuple(array.shape)}, expected [n, {self.latents}]: pass what "
                "transform returned."
            )
        device = next(module.parameters()).device
        with torch.no_grad():
            rows = [self._decode(part.to(device)).cpu() for part in torch.split(array, _BATCH)]
        return (torch.cat(rows) * self.scale_).numpy().reshape(-1, *self.shape_)

    def score(self, images: Any, y: object = None) -> float:
        """R² of the sampled reconstruction over all pixels, for scikit-learn's model selection."""
        table = self.score_table(images)
        return float(table["r2_pooled"].iloc[-1])

    def score_table(self, images: Any, steps: Sequence[int] | None = None) -> pd.DataFrame:
        """Scores after some steps of inference, one row each.

        Columns: see `vneuron.imaging.evaluation.score_steps`.

        Args:
            images: of the size that was fitted.
            steps: at which to score; None is the number that the model was trained with.
        """
        from .evaluation import score_steps

        return score_steps(self, images, (self.steps,) if steps is None else steps)

    # -- inference, streamed -------------------------------------------------------------------

    def trajectories(
        self, images: Any, steps: int | None = None, batch_size: int = _BATCH
    ) -> Iterator[tuple[Tensor, Iterator[CodeStep]]]:
        """For each batch its images (scaled rows) and the codes after each step, one by one.

        Nothing is kept: a batch's steps must be consumed before the next batch is asked for. The
        draws depend on the seed and the place of the batch alone.

        Args:
            images: of the size that was fitted.
            steps: of inference; None takes the number that the model was trained with.
            batch_size: images at a time.
        """
        module = self._fitted()
        rows, _ = to_rows(images, self.n_features_in_)
        device = next(module.parameters()).device
        count = self.steps if steps is None else steps
        if count < 1:
            raise ValueError(f"steps is {count}, expected at least 1.")
        with torch.random.fork_rng(), torch.no_grad():
            for number, batch in enumerate(torch.split(rows / self.scale_, batch_size)):
                torch.manual_seed(mixed_seed(self.seed, 1, number))
                scaled = batch.to(device)
                yield scaled, self._infer(scaled, count)

    def decode(self, activity: Tensor) -> Tensor:
        """Scaled rows of pixels from activity, as tensors; for evaluation."""
        self._fitted()
        return self._decode(activity)

    def _remember(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments of `__init__` under their own names, as scikit-learn wants them."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    def _fitted(self) -> nn.Module:
        module = getattr(self, "module_", None)
        if not isinstance(module, nn.Module):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet: call fit with images first."
            )
        return module

    def _counts(self) -> bool:
        """Whether samples are whole numbers."""
        return False
