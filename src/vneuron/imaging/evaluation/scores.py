"""Scores of codes, streamed over batches and steps: nothing of size [images, steps, latents]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..estimator import AbstractImageModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CodeStatistics", "linear_probe", "r_squared", "score_steps", "treves_rolls"]


def r_squared(images: Tensor, predictions: Tensor) -> Tensor:
    """1 − ‖x − x̂‖² / ‖x − mean(x)‖² for each image over its pixels, [batch].

    An image without any contrast gives −inf, or NaN if it is met exactly.
    """
    error = (images - predictions).square().sum(1)
    return 1.0 - error / (images - images.mean(1, keepdim=True)).square().sum(1)


def treves_rolls(total: Tensor, square: Tensor, n: int) -> Tensor:
    """Sparsity [1 − (Σ z)²/(n Σ z²)] / (1 − 1/n) from sums over n activities; 1 where silent.

    0 where all are equal, 1 where one alone is active. Over images it is lifetime sparsity, over
    latents population sparsity.

    Args:
        total: Σ |z|, any shape.
        square: Σ z², the same shape.
        n: how many were summed, at least 2.

    Example:
        >>> treves_rolls(torch.tensor([4.0, 2.0, 0.0]), torch.tensor([4.0, 4.0, 0.0]), 4)
        tensor([0., 1., 1.])
    """
    fraction = torch.where(square > 0, total.square() / (n * square.clamp_min(1e-30)), 0.0)
    return torch.where(square > 0, (1.0 - fraction) / (1.0 - 1.0 / n), 1.0)


class CodeStatistics:
    """Running sums over batches for one step of inference.

    Args:
        latents: size of a code.

    Example:
        >>> statistics = CodeStatistics(latents=2)
        >>> x, z = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 2.0]])
        >>> statistics.update(x, x, x, z, z, None)
        >>> row = statistics.row()
        >>> row["r2"], row["zeros"]
        (1.0, 0.5)
    """

    def __init__(self, latents: int) -> None:
        self.images = 0
        self.sums: dict[str, float] = {}
        self.total = torch.zeros(latents, dtype=torch.float64)
        self.square = torch.zeros(latents, dtype=torch.float64)

    def update(
        self,
        images: Tensor,
        sampled: Tensor,
        mapped: Tensor,
        z: Tensor,
        potential: Tensor,
        before: Tensor | None,
    ) -> None:
        """Add a batch.

        Args:
            images: x, [batch, features].
            sampled: decoded draws, [batch, features].
            mapped: decoded means.
            z: the draws, [batch, latents].
            potential: what inference moves, [batch, latents].
            before: the potentials one step earlier, for convergence; None where there are none.
        """
        self.images += len(z)
        self.total += z.abs().sum(0).double().cpu()
        self.square += z.square().sum(0).double().cpu()
        population = treves_rolls(z.abs().sum(1), z.square().sum(1), z.shape[1])
        change = z.new_full((), math.nan)
        if before is not None:
            change = (potential - before).norm(dim=1).sum()
        sums = {
            "r2": r_squared(images, sampled).sum(),
            "r2_map": r_squared(images, mapped).sum(),
            "error": (images - sampled).square().sum(),
            "error_map": (images - mapped).square().sum(),
            "spread": (images - images.mean(1, keepdim=True)).square().sum(),
            "pixels": torch.tensor(float(images.numel())),
            "zeros": (z == 0).float().mean(1).sum(),
            "activity": z.abs().mean(1).sum(),
            "population": population.sum(),
            "change": change,
        }
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def row(self) -> dict[str, float]:
        """Means over all images so far."""
        sums, n = self.sums, self.images
        spread = sums["spread"] or math.nan  # images without any contrast have no R²
        pooled, zeros = 1.0 - sums["error"] / spread, sums["zeros"] / n
        lifetime = treves_rolls(self.total, self.square, n) if n > 1 else torch.full((1,), math.nan)
        return {
            "r2": sums["r2"] / n,
            "r2_map": sums["r2_map"] / n,
            "r2_pooled": pooled,
            "r2_pooled_map": 1.0 - sums["error_map"] / spread,
            "mse": sums["error"] / sums["pixels"],
            "zeros": zeros,
            "distance": math.hypot(1.0 - pooled, 1.0 - zeros),
            "activity": sums["activity"] / n,
            "population_sparsity": sums["population"] / n,
            "lifetime_sparsity": float(lifetime.mean()),
            "change": sums["change"] / n,
        }


def score_steps(model: AbstractImageModel, images: Any, steps: Sequence[int]) -> pd.DataFrame:
    """Scores of a model after some numbers of steps, in one pass.

    Columns: `step`; `r2`, mean over images of the sampled reconstruction's R²; `r2_map`, of the
    reconstruction from mean codes; `r2_pooled` and `r2_pooled_map`, R² of all pixels together,
    which images of low contrast do not dominate; `mse` per pixel, in units of the training
    images' variance; `zeros`, portion of exact zeros in samples; `distance` of (r2_pooled, zeros)
    from (1, 1); `activity`, mean |z|; Treves–Rolls `population_sparsity` and `lifetime_sparsity`;
    `change`, mean ‖Δu‖ of the last step (NaN for models of one step). Always quote the step with
    the scores: zeros keep rising after R² has settled.

    Args:
        model: fitted.
        images: of the size that was fitted.
        steps: numbers of steps, each at least 1.

    Returns:
        One row for each number, in rising order. For amortised models, which take one step, a
        single row.

    Raises:
        ValueError: if a number is below 1.
    """
    import pandas as pd

    wanted = sorted(set(steps))
    if not wanted or wanted[0] < 1:
        raise ValueError(f"steps are {list(steps)}, expected numbers of at least 1.")
    found: dict[int, CodeStatistics] = {}
    last = wanted[-1] if "steps" in model.get_params() else 1
    wanted = [number for number in wanted if number <= last] or [last]
    for batch, trajectory in model.trajectories(images, last):
        before: Tensor | None = None
        for number, step in enumerate(trajectory, start=1):
            if number in wanted:
                statistics = found.setdefault(number, CodeStatistics(step.mean.shape[1]))
                z = step.draw()
                sampled, mapped = model.decode(z), model.decode(step.mean)
                statistics.update(batch, sampled, mapped, z, step.potential, before)
            before = step.potential
    return pd.DataFrame([{"step": number} | found[number].row() for number in sorted(found)])


def linear_probe(
    train_codes: NDArray[Any],
    train_labels: NDArray[Any],
    test_codes: NDArray[Any],
    test_labels: NDArray[Any],
    max_iter: int = 200,
    strengths: Sequence[float] = (1.0,),
) -> float:
    """Accuracy of logistic regression on codes, as a share.

    Codes are divided by their standard deviation over the training set (not centred: zeros stay
    zeros) and classified by scikit-learn's `LogisticRegression`.

    Args:
        train_codes: [n, latents].
        train_labels: [n].
        test_codes: [m, latents].
        test_labels: [m].
        max_iter: of the solver; that it may not have converged then is accepted.
        strengths: of the penalty, scikit-learn's C. Of several the one is taken that is best on the
            last tenth of the training codes when it is fitted to the others.
    """
    spread = np.asarray(train_codes, dtype=np.float32).std(0)
    spread[spread == 0] = 1.0
    train, test = train_codes / spread, test_codes / spread
    last = max(1, len(train) // 10)

    def choice(strength: float) -> float:
        probe = _probe(strength, max_iter, train[:-last], train_labels[:-last])
        return float(probe.score(train[-last:], train_labels[-last:]))

    best = max(strengths, key=choice) if len(strengths) > 1 else strengths[0]
    return float(_probe(best, max_iter, train, train_labels).score(test, test_labels))


def _probe(strength: float, max_iter: int, codes: NDArray[Any], labels: NDArray[Any]) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=strength, max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return probe.fit(codes, labels)
