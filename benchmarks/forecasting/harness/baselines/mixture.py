"""A mixture of forecasts: what an ensemble says, and what passes under dropout say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Self

import numpy as np
import torch
from scipy import special
from torch import Tensor

from vneuron.forecasting.laws.law import AbstractLaw, StudentLaw
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.laws.trajectory import AbstractTrajectory
from vneuron.forecasting.scoring.mean_difference import mean_difference

MOST_ITERATIONS = 60
TOLERANCE = 1e-7


@dataclass(frozen=True)
class MixedForecasts(AbstractTrajectory):
    """Whole paths of several models, each as likely as the other.

    Attributes:
        components: forecasts of the same windows.

    The joint density is the mean of the components' joint densities, never a product over steps
    of mixed margins: a member is right or wrong about a path as a whole.
    """

    components: tuple[TrajectoryDistribution, ...]

    def __len__(self) -> int:
        return len(self.components[0])

    @property
    def horizon(self) -> int:
        return self.components[0].horizon

    def point(self) -> Tensor:
        return torch.stack([one.point() for one in self.components]).mean(0)

    def sd(self) -> Tensor:
        return (self._within() + self._between()).sqrt()

    def unit_share(self) -> Tensor:
        """Share of variance that is disagreement."""
        between = self._between()
        return between / (between + self._within())

    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        return self._mix([one.marginal_nll(target, observed) for one in self.components])

    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        return self._mix([one.joint_nll(target, observed) for one in self.components])

    def steps(self) -> MixedLaws:
        return MixedLaws(tuple(one.steps() for one in self.components))

    def functional(self, weights: Tensor) -> MixedLaws:
        return MixedLaws(tuple(one.functional(weights) for one in self.components))

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        count = len(self.components)
        chosen = torch.randint(count, (draws,), generator=generator)
        shares = torch.bincount(chosen, minlength=count).tolist()
        pairs = zip(self.components, shares, strict=True)
        return torch.cat([one.sample(share, generator) for one, share in pairs if share], 1)

    def rescale(self, mean: Tensor, sd: Tensor) -> Self:
        return type(self)(tuple(one.rescale(mean, sd) for one in self.components))

    def to(self, device: torch.device | str) -> Self:
        return type(self)(tuple(one.to(device) for one in self.components))

    def float(self) -> Self:
        return type(self)(tuple(one.float() for one in self.components))

    def without_latent(self) -> Self:
        return self

    def _within(self) -> Tensor:
        return torch.stack([one.sd().square() for one in self.components]).mean(0)

    def _between(self) -> Tensor:
        return torch.stack([one.point() for one in self.components]).var(0, unbiased=False)

    @staticmethod
    def _mix(nats: Sequence[Tensor]) -> Tensor:
        return log(len(nats)) - torch.logsumexp(-torch.stack(list(nats)), 0)


@dataclass(frozen=True)
class MixedLaws(AbstractLaw):
    """A mixture of t's, each with a scale and ν of its own.

    Density and distribution function are means. Quantiles are found by Newton's method within
    the components' own. The CRPS is E|X − y| − ½ E|X − X'|, where pairs of two components are
    taken as pairs of t's with one ν and one scale, the power mean that is exact for equal scales
    and where one is nought (for Gaussians, the root of the mean square, exact for all).
    """

    laws: tuple[StudentLaw, ...]

    def mean(self) -> np.ndarray:
        return np.mean([law.mean() for law in self.laws], 0)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        return np.mean([law.cdf(y) for law in self.laws], 0)

    def nll(self, y: np.ndarray) -> np.ndarray:
        nats = np.stack([law.nll(y) for law in self.laws])
        least = nats.min(0)
        return least - np.log(np.mean(np.exp(least - nats), 0))

    def quantile(self, probability: float) -> np.ndarray:
        own = np.stack([law.quantile(probability) for law in self.laws])
        low, high, q = own.min(0), own.max(0), own.mean(0)
        least_scale = np.min([law.scale for law in self.laws], 0)
        for _ in range(MOST_ITERATIONS):
            excess = self.cdf(q) - probability
            low, high = np.where(excess < 0, q, low), np.where(excess < 0, high, q)
            following = q - excess * np.exp(self.nll(q))
            outside = (following < low) | (following > high)
            following = np.where(outside, 0.5 * (low + high), following)
            moved = np.abs(following - q)
            q = following
            if bool((moved <= TOLERANCE * least_scale + np.spacing(np.abs(q))).all()):
                break
        return q

    def crps(self, y: np.ndarray) -> np.ndarray:
        every = [None if law.df is None else float(law.df) for law in self.laws]
        inverse = float(np.mean([0.0 if df is None else 1.0 / df for df in every]))
        df = 1.0 / inverse if inverse > 0 else None
        unit = own_difference(df)
        pairs = list(zip(self.laws, every, strict=True))
        scales = [law.scale * own_difference(own) / unit for law, own in pairs]
        error = np.mean([law.crps(y) for law in self.laws], 0)
        total = np.zeros(np.broadcast(error, scales[0]).shape)
        count, power = len(self.laws), np.log(2.0) / np.log(unit / mean_size(df))
        for i in range(count):
            for j in range(i):
                scale = (0.5 * (scales[i] ** power + scales[j] ** power)) ** (1.0 / power)
                apart = np.abs(self.laws[i].loc - self.laws[j].loc) / scale
                total += scale * mean_difference(apart, df)
        own = unit * np.sum(scales, 0)
        # the members' CRPS hold half their own pairs, of which the mixture has one in `count`
        return error + 0.5 * own / count - 0.5 * (own + 2.0 * total) / count**2


@lru_cache
def own_difference(df: float | None) -> float:
    """E|T − T'| of the standard t."""
    return float(mean_difference(np.zeros(1), df)[0])


def mean_size(df: float | None) -> float:
    """E|T| of the standard t."""
    if df is None:
        return float(np.sqrt(2.0 / np.pi))
    return float(2.0 * np.sqrt(df) / ((df - 1.0) * special.beta(0.5 * df, 0.5)))
