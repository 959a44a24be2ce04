r"""The network `reference`: a pair of windows to many units, each draw of them to its own path.

.. math:: h = \mathrm{encoder}(x, x'), \quad z_j \sim q(z_j \mid h), \quad
          p(y \mid x) = \sum_s w_s\, t_\nu(y;\ \ell + c\,y(z_s),\ \mathrm{diag}(c\,\tau)^2)

The sampled z is the only path from the window to the forecast but for the window's own location ℓ
and scale c, and these are 0 and 1 under location="none". τ is learned per step and does not depend
on the window. Source: "Variational Distributional Neuron" (arXiv:2602.18250) and its companion
code, with what that does wrong put right: paths are mixed and not steps, in nats per window; z is
not normalised after it is drawn; the twin has the same encoder and the same head.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....core import AbstractUnit, Latent, Reader
from ....functional.pooling import pool
from ...data.place import Place
from ...laws.mixture import MixtureTrajectory
from ...laws.predictive import TrajectoryDistribution
from ...laws.trajectory import AbstractTrajectory
from ..forecast_network import AbstractForecastNetwork, Reading, check_conditions
from ..network import MINIMUM_DF, MINIMUM_SPREAD, Likelihood
from ..normalisation import Location, window_scale
from ..pairs import last_rows
from .encoder import PairEncoder
from .head import DrawHead, Hidden

Combine = Literal["mean", "median", "score"]

HEAD_WIDTH = 256


class ReferenceNetwork(AbstractForecastNetwork):
    """Windows in, mixtures over draws out; with `DeterministicUnits`, its twin: one path, z = µ.

    In training every window has draws of its own. In evaluation the same ε serve all windows, so
    that a forecast depends on nothing but its window, and two calls agree. Draws come in pairs of
    opposite ε: each is a draw from q, and what is linear in z has no sampling error in the mean.

    Args:
        input_size: L.
        horizon: H.
        units: a layer that maps `hidden` features to units.
        lag: steps between the window and the one before it that is read too.
        hidden: width of the features.
        dropout: share of the head's features dropped in training.
        likelihood: "student" or "gaussian".
        location: what a window is centred on, "mean" or "last"; "none" does not normalise it.
        mask_inputs: give the network the mask of observed values beside the values.
        train_draws: S in training.
        draws: S in evaluation.
        combine: how draws make one forecast. "mean" and "median" weigh them alike and put forward
            the draws' mean or step-by-step median; "score" weighs each by the softmax of a learned
            score, in the density too.
        prior_lag: steps back to the window that the units' prior remembers, where it has a memory.
        macro: the layer that infers what the units' prior is conditioned on, where it takes that.

    Raises:
        ValueError: sizes that are not positive, an unknown option, or units of another width.

    Example:
        >>> import vneuron as vn
        >>> network = ReferenceNetwork(24, 6, vn.GaussianUnits(32, 64), hidden=32)
        >>> path, terms = vn.Collect(network)(torch.randn(3, network.lookback))
        >>> path.loc.shape, terms[0].kl.shape
        (torch.Size([3, 4, 6]), torch.Size([3, 64]))
    """

    units: AbstractUnit

    def __init__(
        self,
        input_size: int,
        horizon: int,
        units: AbstractUnit,
        *,
        lag: int = 4,
        hidden: int = 256,
        dropout: float = 0.05,
        likelihood: Likelihood = "student",
        location: Location = "mean",
        mask_inputs: bool = False,
        train_draws: int = 4,
        draws: int = 8,
        combine: Combine = "mean",
        prior_lag: int = 0,
        macro: AbstractUnit | None = None,
    ) -> None:
        super().__init__()
        _check(units, hidden, likelihood, combine, train_draws, draws)
        check_conditions(units, prior_lag, macro)
        self.input_size = input_size
        self.prior_lag = prior_lag
        self.mask_inputs = mask_inputs
        self.lookback = input_size + lag + prior_lag
        self.horizon = horizon
        self.location: Location = location
        self.train_draws = train_draws
        self.draws = draws
        self.combine: Combine = combine
        self.encoder = PairEncoder(input_size, lag, hidden, mask_inputs=mask_inputs)
        self.units = units
        self.macro = macro
        raw = units.activity == "raw"
        self.head = DrawHead(
            units.units * (units.latent_dim if raw else 1),
            horizon,
            HEAD_WIDTH,
            dropout,
            scored=combine == "score" and units.variational,
        )
        units.readers.append(Reader(self.head.first))
        self.raw_spread = nn.Parameter(torch.full((horizon,), math.log(math.expm1(1.0))))
        raw_df = torch.tensor(math.log(math.expm1(5.0)))
        self.raw_df = nn.Parameter(raw_df) if likelihood == "student" else None

    def df(self) -> Tensor | None:
        """ν, or None under a Gaussian likelihood."""
        return None if self.raw_df is None else MINIMUM_DF + F.softplus(self.raw_df)

    def read(
        self, context: Tensor, observed: Tensor | None = None, place: Place | None = None
    ) -> Reading:
        """Posteriors, the window's scale, and τ; nothing passes by the units.

        Where a window stands is no part of the papers' network, and is not looked at.
        """
        rows = self.windows(context, observed, self.input_size + self.encoder.lag)
        now, seen = last_rows(rows.context, rows.observed, self.input_size)
        window = window_scale(now, seen, self.location)
        features = self.encoder(window.apply(rows.context), rows.observed)
        spread = F.softplus(self.raw_spread) + MINIMUM_SPREAD
        inferred = self.infer(features, rows.first)
        return Reading(window.first(len(context)), spread.new_zeros(()), spread, *inferred)

    def distribution(self, reading: Reading) -> AbstractTrajectory:
        """A mixture over draws of z; one path where units do not draw."""
        if reading.latent is None:
            raise ValueError("the reading has no latent: this network has no path without units")
        latent = reading.latent
        if self.units.variational and not self.units.deterministic:
            draws = self.train_draws if self.training else self.draws
            hidden = self.head.opposite(self.loc(latent), self._deviation(latent), draws)
        else:
            hidden = self.head.split(self.head.read(self.loc(latent))[:, None])
        return self.mixture(reading, hidden)

    def loc(self, latent: Latent) -> Tensor:
        """Mean of what the head reads of the units, their pooled activity, [batch, inputs]."""
        return self._pool(latent.loc)

    def scale(self, latent: Latent) -> Tensor:
        """Its standard deviation, [batch, inputs]."""
        if self.units.activity == "raw":
            return latent.scale.flatten(1)
        # The k latents are independent, and pooling multiplies each by the same number.
        k = latent.scale.shape[-1]
        each = pool(latent.scale.new_ones(k), self.units.activity) / k
        return each * latent.scale.square().sum(-1).sqrt()

    def mixture(self, reading: Reading, hidden: Hidden) -> AbstractTrajectory:
        """From the head's first maps, [batch, S, ...], to the predictive distribution."""
        window = reading.window
        path, scores = self.head.paths(hidden)
        loc = window.location[:, None] + window.scale[:, None] * path
        scale = window.scale * reading.spread
        if loc.shape[1] == 1:
            return TrajectoryDistribution(loc[:, 0], scale, self.df())
        weights = None if scores is None else scores.log_softmax(dim=1)
        return MixtureTrajectory(loc, scale, self.df(), weights, self.combine == "median")

    def signed_noise(self, latent: Latent) -> Tensor:
        """ε of every draw of a forecast, [1, S, inputs]."""
        half = self._fixed_noise(latent)
        return torch.cat([half, -half], dim=1)[:, : self.draws]

    def draws_of(self, latent: Latent) -> Tensor:
        """The draws of z that a forecast is made of, as the head reads them, [batch, S, inputs]."""
        noise = self.signed_noise(latent)
        return self.loc(latent)[:, None] + self.scale(latent)[:, None] * noise

    def _deviation(self, latent: Latent) -> Tensor:
        """σ ε of every second draw, [batch, pairs, inputs]; the others have the opposite."""
        scale = self.scale(latent)[:, None]
        if not self.training:
            return scale * self._fixed_noise(latent)
        first = self._pool(latent.sample - latent.loc)[:, None]  # the units have drawn once
        pairs = (self.train_draws + 1) // 2
        if pairs == 1:
            return first
        shape = (scale.shape[0], pairs - 1, scale.shape[2])
        noise = torch.randn(shape, dtype=scale.dtype, device=scale.device)
        return torch.cat([first, scale * noise], dim=1)

    def _pool(self, values: Tensor) -> Tensor:
        kind = self.units.activity
        return values.flatten(1) if kind == "raw" else pool(values, kind)

    def _fixed_noise(self, latent: Latent) -> Tensor:
        inputs = self.head.first.in_features
        return fixed_noise((self.draws + 1) // 2, inputs).to(latent.loc)


def fixed_noise(pairs: int, inputs: int) -> Tensor:
    """The ε of forecasts, the same wherever they are made, [1, pairs, inputs].

    Example:
        >>> bool((fixed_noise(2, 3) == fixed_noise(2, 3)).all())
        True
    """
    return torch.randn(1, pairs, inputs, generator=torch.Generator().manual_seed(0))


def _check(
    units: AbstractUnit,
    hidden: int,
    likelihood: str,
    combine: str,
    train_draws: int,
    draws: int,
) -> None:
    if likelihood not in get_args(Likelihood):
        raise ValueError(f"likelihood is {likelihood!r}, expected one of {get_args(Likelihood)}.")
    if combine not in get_args(Combine):
        raise ValueError(f"combine is {combine!r}, expected one of {get_args(Combine)}.")
    for name, value in (("train_draws", train_draws), ("draws", draws)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1 draw.")
    if units.in_features != hidden:
        raise ValueError(
            f"the units take {units.in_features} features, expected {hidden} (hidden): build them "
            "with that width."
        )
