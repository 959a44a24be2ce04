"""What every predictive distribution of whole trajectories can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from .law import AbstractLaw, AbstractNumbers

_FIXED = (
    "a {} cannot be moved or widened, only a t or a mixture of t's: follow errors before a "
    "forecast is conditioned, and not those of counts"
)


class AbstractPaths(ABC):
    """What a forecast of the next H steps of each window of a batch answers.

    Draws can answer it too; intervals, aggregates and charts use this alone.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Windows."""

    @property
    @abstractmethod
    def horizon(self) -> int:
        """H."""

    @abstractmethod
    def point(self) -> Tensor:
        """The path put forward where one is asked for, [batch, H]: the mean unless stated."""

    @abstractmethod
    def sd(self) -> Tensor:
        """Standard deviation of each step, [batch, H]."""

    @abstractmethod
    def unit_share(self) -> Tensor:
        """Share of each step's variance that comes from z ~ q(z | x), [batch, H]."""

    @abstractmethod
    def steps(self) -> AbstractNumbers:
        """The law of each step by itself, [batch, H]."""

    @abstractmethod
    def functional(self, weights: Tensor) -> AbstractNumbers:
        """The law of weighted sums of the path.

        Args:
            weights: w, [H] for one, [H, F] for several.

        Returns:
            Over [batch] or [batch, F].
        """

    @abstractmethod
    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Joint paths.

        Args:
            draws: S, paths per window.
            generator: source of randomness on this device; None is torch's own.

        Returns:
            [batch, S, H].
        """


class AbstractTrajectory(AbstractPaths):
    """What a network says of the next H steps of each window of a batch.

    `TrajectoryDistribution` is one multivariate t, all closed form; `MixtureTrajectory` is a
    mixture over draws of the latent. Scores and training need the densities that it adds.
    """

    @abstractmethod
    def marginal_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Negative log density of each step by itself.

        Args:
            target: y, [batch, H].
            observed: mask [batch, H]; steps that are not observed count 0.

        Returns:
            Nats per step, [batch, H].
        """

    @abstractmethod
    def joint_nll(self, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """Negative log density of the path, over its observed steps.

        Args:
            target: y, [batch, H].
            observed: mask [batch, H]; None where every step is.

        Returns:
            Nats per window, [batch].
        """

    @abstractmethod
    def steps(self) -> AbstractLaw:
        """The law of each step by itself, [batch, H]."""

    @abstractmethod
    def functional(self, weights: Tensor) -> AbstractLaw:
        """The law of weighted sums of the path.

        Args:
            weights: w, [H] for one, [H, F] for several.

        Returns:
            A law over [batch] or [batch, F].
        """

    @abstractmethod
    def rescale(self, mean: Tensor, sd: Tensor) -> Self:
        """The law of mean + sd · y, in double precision.

        Args:
            mean: [batch], in the data's unit.
            sd: [batch], positive.
        """

    def shift(self, scales: Tensor) -> Self:
        """The law moved, step by step, by so many scales of a t of the same standard deviation.

        Args:
            scales: [batch].

        Raises:
            ValueError: as `widen`.
        """
        raise ValueError(_FIXED.format(type(self).__name__))

    def widen(self, factor: Tensor) -> Self:
        """The law with every deviation from its mean times a factor; how steps move together stays.

        Args:
            factor: [batch], positive.

        Raises:
            ValueError: laws of counts, which have no spread beside their mean, and conditioned
                ones, which are made of laws that are as wide as they should be.
        """
        raise ValueError(_FIXED.format(type(self).__name__))

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""

    @abstractmethod
    def float(self) -> Self:
        """The same in single precision or better."""

    @abstractmethod
    def without_latent(self) -> AbstractTrajectory:
        """The same centre and spread at each step, without what z adds to how steps move together.

        The joint NLL of this less that of the path itself is what z's spread is worth.
        """


def mixing(batch: int, draws: int, df: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draws of g / ν, [batch, S, 1]: chi-squared over its degrees of freedom.

    Example:
        >>> mixing(2, 3, torch.tensor(5.0), None).shape
        torch.Size([2, 3, 1])
    """
    shape = (0.5 * df).expand(batch, draws, 1).contiguous()
    return torch._standard_gamma(shape, generator=generator) / shape


def at_least_single(values: Tensor) -> Tensor:
    """Half precision raised to single, anything else as it is.

    Example:
        >>> at_least_single(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
