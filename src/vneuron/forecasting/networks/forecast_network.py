"""What a network has to be for training, forecasting and judging it to be the same code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...core import (
    AbstractDynamicPrior,
    AbstractPrior,
    AbstractUnit,
    Latent,
    PriorContext,
    deterministic,
)
from ...priors import MacroNormal
from ...units import GaussianUnits
from ..data.place import Place
from ..laws.trajectory import AbstractTrajectory
from .normalisation import WindowScale
from .pairs import Rows, last_rows, pair_rows
from .pool import Margins


class Reading(NamedTuple):
    """What a network reads out of a batch of windows, in scales of each window.

    Attributes:
        window: location and scale of each window.
        mean_path: m, [batch, H], the path without the units; a scalar 0 where all passes by them.
        spread: τ, [batch, H], or [H] where it does not depend on the window.
        latent: the units' posteriors; None without units.
        given: what their prior was conditioned on; None for a prior that knows no context.
        macro: the macro latent's posterior, where the prior has a macro latent.
        readers: what `mean_path` and `spread` are made of, and single steps learn from; empty where
            they are one reader's own.
        heard: what is left of what the units add to the path, [batch, H] or a scalar: the weight of
            the reader whose features they read, drawn in with the path; None where it is all.
    """

    window: WindowScale
    mean_path: Tensor
    spread: Tensor
    latent: Latent | None
    given: PriorContext | None = None
    macro: Latent | None = None
    readers: tuple[Margins, ...] = ()
    heard: Tensor | None = None


class Inferred(NamedTuple):
    """The last three of a reading."""

    latent: Latent | None
    given: PriorContext | None = None
    macro: Latent | None = None


class AbstractForecastNetwork(nn.Module, ABC):
    """Windows in, distributions of trajectories out.

    Forecasting has two halves, so that what units do can be changed in between: `read` finds the
    posteriors, `distribution` makes a path of them.

    Forecasts draw from q(z | x), so the units' prior matters in training alone. There a prior
    with a memory is given the posterior of the window `prior_lag` rows before: an honest one,
    since all that it reads lies `prior_lag` rows or more before the last known row. In
    evaluation that window is not read, and the KL is that from the prior's marginal.

    Attributes:
        lookback: rows of context that training takes, the last ones of what it is given.
        horizon: H.
        units: the layer of units; None for a model without.
        prior_lag: rows back to the window that the units' prior remembers; 0 for none.
        mask_inputs: whether it reads which values are missing.
        macro: a layer that infers what the units' prior is conditioned on; None for none.
        latent_share: what z carries of its forecasts, the numbers of a `LatentShare`, as last
            measured on held-out windows; NaN before.
    """

    lookback: int
    horizon: int
    units: AbstractUnit | None
    prior_lag: int
    mask_inputs: bool
    macro: AbstractUnit | None
    latent_share: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("latent_share", torch.full((5,), torch.nan))

    @property
    def shortest(self) -> int:
        """Rows of the reader that reads the fewest, where there are two; else `lookback`."""
        return self.lookback

    @abstractmethod
    def read(
        self, context: Tensor, observed: Tensor | None = None, place: Place | None = None
    ) -> Reading:
        """Everything that depends on the window; records nothing.

        Args:
            context: at least `lookback` rows, [batch, rows].
            observed: mask, None where all is observed.
            place: where each window stands, for a network that goes by it.
        """

    @abstractmethod
    def distribution(self, reading: Reading) -> AbstractTrajectory:
        """Assemble the predictive distribution from what was read."""

    def windows(self, context: Tensor, observed: Tensor | None, rows: int) -> Rows:
        """The last rows of each context, followed by its predecessors where they are needed."""
        if self.training and self.prior_lag:
            return pair_rows(context, observed, rows, self.prior_lag)
        return Rows(*last_rows(context, observed, rows), None)

    def infer(self, features: Tensor, first: Tensor | None = None) -> Inferred:
        """Posteriors of the units; they draw in training alone, where forecasts need no draw.

        Args:
            features: of the windows, and of their predecessors if `windows` gave them.
            first: from `windows`.
        """
        units = self.units
        if units is None:
            return Inferred(None)
        if not self.training:
            with deterministic(self):
                return self._infer(units, features)
        if self.prior_lag and isinstance(units, GaussianUnits):
            return Inferred(*units.infer_pair(features, first))
        return self._infer(units, features)

    def forward(
        self, context: Tensor, observed: Tensor | None = None, place: Place | None = None
    ) -> AbstractTrajectory:
        """The distribution of the next H steps, in the units of `context`; records the units."""
        reading = self.read(context, observed, place)
        if self.units is not None and reading.latent is not None:
            self.units.observe(reading.latent, reading.given)
        if self.macro is not None and reading.macro is not None:
            self.macro.observe(reading.macro)
        return self.distribution(reading)

    def _infer(self, units: AbstractUnit, features: Tensor) -> Inferred:
        if self.macro is None:
            return Inferred(units.infer(features))
        shared = self.macro.infer(features[:, : self.macro.in_features])
        given = PriorContext(macro=shared.sample.flatten(1))
        return Inferred(units.infer_given(features, given), given, shared)


def check_units(units: AbstractUnit | None, hidden: int, own: bool, static_rank: int) -> None:
    """Refuse units of another width than the features, and units beside a static head.

    Args:
        units: the layer, or None.
        hidden: width of the features that it reads.
        own: whether as many of its own come behind them, which σ alone may read.
        static_rank: columns of a static head.

    Raises:
        ValueError: saying which.

    Example:
        >>> check_units(GaussianUnits(32, 4), 32, own=False, static_rank=0)
    """
    if units is None:
        return
    if static_rank:
        raise ValueError(
            f"static_rank is {static_rank} beside units, expected 0: W belongs to the units or "
            "to the static model, not to both."
        )
    width = 2 * hidden if own else hidden
    if units.in_features != width:
        raise ValueError(
            f"the units take {units.in_features} features, expected {width} (hidden, twice with "
            "own_features): build them with that width."
        )
    if own and not (isinstance(units, GaussianUnits) and units.loc.in_features == hidden):
        raise ValueError(
            f"own_features with {type(units).__name__}, expected GaussianUnits(2 * hidden, ..., "
            "loc_features=hidden): what they move the path by is read from the shared ones alone."
        )


def check_conditions(
    units: AbstractUnit | None, prior_lag: int, macro: AbstractUnit | None
) -> None:
    """Refuse a memory or a macro latent that the units' prior does not take.

    Raises:
        ValueError: saying which.

    Example:
        >>> check_conditions(None, 0, None)
    """
    prior = units.prior if isinstance(units, GaussianUnits) else None
    if prior_lag < 0:
        raise ValueError(f"prior_lag is {prior_lag}, expected at least 1 step, or 0 for none.")
    if (prior_lag > 0) != isinstance(prior, AbstractDynamicPrior):
        raise ValueError(
            f"prior_lag is {prior_lag} and the units' prior is {_name(prior)}: a prior with a "
            "memory, such as AutoregressiveNormal, takes a lag of at least 1, any other takes 0."
        )
    size = None if macro is None else macro.units * macro.latent_dim
    wanted = prior.macro_dim if isinstance(prior, MacroNormal) else None
    if size != wanted:
        raise ValueError(
            f"the macro layer has {size} latents and the units' prior is {_name(prior)}, which "
            f"takes {wanted}: pass macro=GaussianUnits(hidden, macro_dim) with MacroNormal alone."
        )


def _name(prior: AbstractPrior | None) -> str:
    return "none" if prior is None else type(prior).__name__
