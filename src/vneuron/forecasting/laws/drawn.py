"""Paths and numbers as draws: what is left to answer with where no law has a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..scoring.scores import Array, as_float64, crps_ensemble
from .law import AbstractNumbers
from .trajectory import AbstractPaths


@dataclass(frozen=True)
class DrawnNumbers(AbstractNumbers):
    """The distributions that draws show.

    Attributes:
        draws: exchangeable, [..., S].

    Example:
        >>> numbers = DrawnNumbers(np.array([[0.0, 1.0, 2.0]]))
        >>> numbers.mean(), numbers.quantile(0.75), numbers.cdf(np.array([1.5])).round(2)
        (array([1.]), array([1.5]), array([0.67]))
    """

    draws: Array

    def mean(self) -> Array:
        """Of the draws."""
        return np.asarray(self.draws.mean(-1))

    def quantile(self, probability: float) -> Array:
        """Of the draws, interpolated."""
        return np.asarray(np.quantile(self.draws, probability, axis=-1))

    def cdf(self, y: Array) -> Array:
        """Share of draws up to y."""
        share = (self.draws <= np.asarray(y)[..., None]).mean(-1)
        return np.asarray(np.where(np.isnan(y), np.nan, share))

    def crps(self, y: Array) -> Array:
        """Of the draws as a sample of the law: unbiased."""
        return crps_ensemble(y, self.draws)


@dataclass(frozen=True)
class DrawnPaths(AbstractPaths):
    """Joint draws of the path of each window.

    Attributes:
        draws: exchangeable, [batch, S, H].
        share: of each step's variance that comes from z, [batch, H].

    Example:
        >>> paths = DrawnPaths(torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]), torch.zeros(1, 2))
        >>> paths.point(), paths.functional(torch.ones(2)).mean()
        (tensor([[1., 2.]]), array([3.]))
    """

    draws: Tensor
    share: Tensor

    def __len__(self) -> int:
        return len(self.draws)

    @property
    def horizon(self) -> int:
        """H."""
        return self.draws.shape[2]

    def point(self) -> Tensor:
        """Mean of the draws, [batch, H]."""
        return self.draws.mean(1)

    def sd(self) -> Tensor:
        """Standard deviation of the draws, [batch, H]."""
        return self.draws.std(1)

    def unit_share(self) -> Tensor:
        """As given."""
        return self.share

    def steps(self) -> DrawnNumbers:
        """[batch, H]."""
        return DrawnNumbers(as_float64(self.draws.mT))

    def functional(self, weights: Tensor) -> DrawnNumbers:
        """Weighted sums of each draw."""
        sums = self.draws @ weights.reshape(self.horizon, -1).to(self.draws)
        return DrawnNumbers(as_float64(sums.mT.reshape(len(self), *weights.shape[1:], -1)))

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Some of the draws, without repetition as far as they reach; the same for all windows."""
        held = self.draws.shape[1]
        chosen = [
            torch.randperm(held, generator=generator, device=self.draws.device)
            for _ in range(-(-draws // held))
        ]
        return self.draws[:, torch.cat(chosen)[:draws]]
