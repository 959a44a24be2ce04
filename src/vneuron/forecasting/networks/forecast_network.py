"""What a network has to be for training, forecasting and judging it to be the same code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from ...core import AbstractUnit, Latent, deterministic
from ..laws.trajectory import AbstractTrajectory
from .normalisation import WindowScale


class Reading(NamedTuple):
    """What a network reads out of a batch of windows, in scales of each window.

    Attributes:
        window: location and scale of each window.
        mean_path: m, [batch, H], the path without the units; a scalar 0 where all passes by them.
        spread: τ, [batch, H], or [H] where it does not depend on the window.
        latent: the units' posteriors; None without units.
    """

    window: WindowScale
    mean_path: Tensor
    spread: Tensor
    latent: Latent | None


class AbstractForecastNetwork(nn.Module, ABC):
    """Windows in, distributions of trajectories out.

    Forecasting has two halves, so that what units do can be changed in between: `read` finds the
    posteriors, `distribution` makes a path of them.

    Attributes:
        lookback: rows of context that it uses, the last ones of what it is given.
        horizon: H.
        units: the layer of units; None for a model without.
    """

    lookback: int
    horizon: int
    units: AbstractUnit | None

    @abstractmethod
    def read(self, context: Tensor, observed: Tensor | None = None) -> Reading:
        """Everything that depends on the window; records nothing.

        Args:
            context: at least `lookback` rows, [batch, rows].
            observed: mask, None where all is observed.
        """

    @abstractmethod
    def distribution(self, reading: Reading) -> AbstractTrajectory:
        """Assemble the predictive distribution from what was read."""

    def infer(self, features: Tensor) -> Latent | None:
        """Posteriors of the units; they draw in training alone, where forecasts need no draw."""
        if self.units is None:
            return None
        if self.training:
            return self.units.infer(features)
        with deterministic(self.units):
            return self.units.infer(features)

    def forward(self, context: Tensor, observed: Tensor | None = None) -> AbstractTrajectory:
        """The distribution of the next H steps, in the units of `context`; records the units."""
        reading = self.read(context, observed)
        if self.units is not None and reading.latent is not None:
            self.units.observe(reading.latent)
        return self.distribution(reading)


def last_rows(context: Tensor, observed: Tensor | None, rows: int) -> tuple[Tensor, Tensor | None]:
    """The last rows of a context and of its mask.

    Raises:
        ValueError: there are fewer.

    Example:
        >>> import torch
        >>> last_rows(torch.tensor([[1.0, 2.0, 3.0]]), None, 2)
        (tensor([[2., 3.]]), None)
    """
    if context.shape[-1] < rows:
        raise ValueError(
            f"the context has {context.shape[-1]} rows, expected at least {rows}: cut windows "
            "with the network's lookback"
        )
    return context[:, -rows:], None if observed is None else observed[:, -rows:]
