r"""The network `trajectory`: a linear mean path, a spread by step, and units that bend the path.

.. math:: y = m(x) + R\mu(x) + \sqrt{\nu/g}\, D(x)\, n^{-1/2}
          (W S(x) \varepsilon_z + \Delta(x)\, \varepsilon), \qquad \varepsilon \sim N(0, R(\rho(x)))

A unit j infers q(z_j | x) = N(µ_j, s_j²) from the window. Its mean moves the mean path through
R; its deviation, z_j − µ_j, bends all steps together through its column of W, and how large that
is, s_j, also steers how rough the path is, through ρ and δ.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core import AbstractUnit, Latent, Reader
from ...functional.own_noise import OwnNoise
from ...units import GaussianUnits
from ..data.place import Place, Surroundings
from ..laws.predictive import TrajectoryDistribution
from .base_path import BasePath
from .features import Encoder, WindowFeatures
from .forecast_network import AbstractForecastNetwork, Reading, check_conditions, check_units
from .inputs import window_reader, with_mask, with_place
from .loading import cosine_loading
from .normalisation import Location, window_scale
from .path_noise import NoiseKind, PathNoise
from .place_features import FeatureKind, PlaceFeatures
from .pool import Margins, pooled_df
from .second_reader import check_second, laws_apart, margins_of, read_by_both, shares
from .shrinkage import drawn_to_level

Likelihood = Literal["student", "gaussian"]

NOWHERE = Surroundings()

MINIMUM_DF = 2.1
"""ν stays above it, so that every forecast has a variance."""

MINIMUM_SPREAD = 1e-3
"""Smallest τ, in scales of the window."""


class TrajectoryNetwork(AbstractForecastNetwork):
    """Windows in, distributions of trajectories out.

    What stands between features and path decides which model it is: `GaussianUnits` give EVE,
    `DeterministicUnits` its twin (µ on the mean path, C = I), `static_rank` alone a low-rank
    correlation that is the same for every window, and neither a linear model.

    The features of the steps' spread also feed the units, but only forward: gradients of the units'
    part do not reach them, since what serves dependence could then cost single steps their score.
    What they lack for it the units' own features learn.

    Args:
        input_size: L.
        horizon: H.
        units: a layer that maps `hidden` features to units; None for none.
        static_rank: columns of W whose s is learned but the same for every window, for a model
            without units.
        hidden: width of the features.
        dropout: share of features dropped in training.
        likelihood: "student" or "gaussian".
        location: what a window is centred on, "mean" or "last"; "none" does not normalise it.
        mask_inputs: give the network the mask of observed values beside the values.
        prior_lag: steps back to the window that the units' prior remembers, where it has a memory.
        macro: the layer that infers what the units' prior is conditioned on, where it takes that.
        encoder: "linear" has a linear mean path and one layer of features for the spread; "mlp"
            has two, and they add to the mean path what is not linear in the window; "multiscale"
            first reads the window as means over ever more rows, "patch" in short stretches.
        features: what the features tell of a window: its shape ("window"), and which series it
            is of ("series"), its calendar, level and scale ("place"), or all that ("full").
        surroundings: the series and the periods of the calendar that there are.
        noise: the steps' own noise, where there is dependence at all: "white", "lasting" (first
            order autoregressive) or "steered" (by the units' spread; without units lasting).
        base: whether there is a path that is known before training, on which all else is built;
            `start_at_ridge` fills it.
        second: a network of the same horizon without units and without columns, whose reading is
            pooled with this one's (`pool`); its window may be longer or shorter. Each is trained
            by its own likelihood; `second_share` is a buffer, half until validation has set it
            (see `calibrate`).
        own_features: whether the units' spread reads features of its own beside the shared ones,
            layers of the same kind, which learn from the joint likelihood. The units are then twice
            as wide, and their means read the first half.
        least_departure: of the path's way from the level of its window, how much forecasts keep at
            least; below 1 `departure` is a buffer, all of it until validation has set it (see
            `calibrate`).

    Raises:
        ValueError: sizes that are not positive, an unknown option, units of another width, or a
            second reader that forecasts something else.

    Example:
        >>> import vneuron as vn
        >>> network = TrajectoryNetwork(24, 6, units=vn.GaussianUnits(32, 4), hidden=32)
        >>> path, terms = vn.Collect(network)(torch.randn(3, 24))
        >>> path.loc.shape, terms[0].kl.shape
        (torch.Size([3, 6]), torch.Size([3, 4]))
    """

    mean_gain: Tensor
    second_share: Tensor | None
    departure: Tensor | None

    def __init__(
        self,
        input_size: int,
        horizon: int,
        *,
        units: AbstractUnit | None = None,
        static_rank: int = 0,
        hidden: int = 256,
        dropout: float = 0.3,
        likelihood: Likelihood = "student",
        location: Location = "mean",
        mask_inputs: bool = False,
        prior_lag: int = 0,
        macro: AbstractUnit | None = None,
        encoder: Encoder = "linear",
        features: FeatureKind = "window",
        surroundings: Surroundings = NOWHERE,
        noise: NoiseKind = "white",
        base: bool = False,
        second: TrajectoryNetwork | None = None,
        own_features: bool = False,
        least_departure: float = 1.0,
    ) -> None:
        super().__init__()
        for name, value, kinds in (
            ("encoder", encoder, get_args(Encoder)),
            ("likelihood", likelihood, get_args(Likelihood)),
        ):
            if value not in kinds:
                raise ValueError(f"{name} is {value!r}, expected one of {kinds}.")
        check_units(units, hidden, own_features, static_rank)
        check_second(second, horizon, heavy_tails=likelihood == "student")
        check_conditions(units, prior_lag, macro)
        self.input_size = input_size
        self.prior_lag = prior_lag
        self.lookback = max(input_size + prior_lag, 0 if second is None else second.lookback)
        self.horizon = horizon
        self.location: Location = location
        self.mask_inputs = mask_inputs
        self.mean_path = nn.Linear(input_size, horizon)
        nn.init.zeros_(self.mean_path.bias)
        flat = base or location == "last"
        nn.init.constant_(self.mean_path.weight, 0.0 if flat else 1 / input_size)
        self.base = BasePath(input_size, horizon) if base else None
        self._read_windows(encoder, features, surroundings, hidden, dropout)
        self.spread = nn.Linear(hidden, horizon)
        nn.init.constant_(self.spread.bias, math.log(math.expm1(1.0)))
        raw_df = torch.tensor(math.log(math.expm1(5.0)))
        self.raw_df = nn.Parameter(raw_df) if likelihood == "student" else None
        self.units = units
        self.macro = macro
        if units is not None:
            size = units.units * units.latent_dim
            self.mean_reader = nn.Parameter(torch.zeros(horizon, size))
            units.readers.append(Reader(self, "mean_reader"))
        # How much of Rµ a forecast uses: set at validation, 1 in training (see `calibrate`).
        self.register_buffer("mean_gain", torch.ones(()))
        self.loading: nn.Parameter | None = None
        self.static_scale: nn.Parameter | None = None
        self.noise: PathNoise | None = None
        self._tie_steps(static_rank, noise)
        self.second = second
        share = None if second is None else torch.tensor(0.5)
        self.register_buffer("second_share", share)
        self._draw_in(least_departure)
        self.own_features: WindowFeatures | None = None
        if own_features:  # last, so that all else starts as it does without
            self.own_features = WindowFeatures(self._widths, dropout, skip=self.reader is not None)

    def _draw_in(self, least_departure: float) -> None:
        """How much of their way from the level forecasts keep."""
        self.least_departure = least_departure
        self.register_buffer("departure", torch.ones(()) if least_departure < 1.0 else None)

    def _read_windows(
        self,
        encoder: Encoder,
        features: FeatureKind,
        surroundings: Surroundings,
        hidden: int,
        dropout: float,
    ) -> None:
        """What goes into the features, their layers, and what they add to the mean path."""
        self.place: PlaceFeatures | None = None
        if features != "window":
            self.place = PlaceFeatures(features, surroundings)
        channels = 2 if self.mask_inputs else 1
        self.reader = window_reader(encoder, self.input_size, channels)
        shape = self.input_size * channels if self.reader is None else self.reader.width
        widths = [shape + (0 if self.place is None else self.place.width), hidden]
        self.mean_residual: nn.Linear | None = None
        if encoder != "linear":
            widths.append(hidden)
            self.mean_residual = nn.Linear(hidden, self.horizon)
            nn.init.zeros_(self.mean_residual.weight)
            nn.init.zeros_(self.mean_residual.bias)
        self._widths = tuple(widths)
        self.features = WindowFeatures(widths, dropout, skip=self.reader is not None)

    def _tie_steps(self, static_rank: int, noise: NoiseKind) -> None:
        """What makes steps depend on each other: W of the units or of a static head, and noise."""
        units, columns = self.units, static_rank
        if units is not None:
            columns = units.units * units.latent_dim if units.variational else 0
        if not columns:
            return
        self.loading = nn.Parameter(cosine_loading(self.horizon, columns))
        if units is None:
            # A static head without scales of its own learns more slowly than units do, and then
            # loses to them for that reason alone (Exchange validation, joint NLL per step: −1.582
            # without, −1.637 with them; units, whose dynamics are worth nothing there, −1.636).
            self.static_scale = nn.Parameter(torch.zeros(static_rank))
        else:
            units.readers.append(Reader(self, "loading"))
        if noise != "white":
            kind: NoiseKind = "lasting" if units is None else noise
            self.noise = PathNoise(self.horizon, columns, kind)
            if units is not None and kind == "steered":
                units.readers.append(Reader(self.noise, "gain"))

    @property
    def shortest(self) -> int:
        """Rows of the reader that reads the fewest, where there are two; else `lookback`."""
        if self.second is None:
            return self.lookback
        return min(self.lookback, self.input_size, self.second.input_size)

    def margins(self) -> list[nn.Parameter]:
        """What single steps' laws are made of, a second reader apart: the joint NLL moves none."""
        parts = (self.mean_path, self.mean_residual, self.place, self.reader)
        modules = [*(p for p in parts if p is not None), self.features, self.spread]
        found = [parameter for module in modules for parameter in module.parameters()]
        if self.raw_df is not None:
            found.append(self.raw_df)
        if self.units is not None:
            found.append(self.mean_reader)
            if isinstance(self.units, GaussianUnits):
                found.extend(self.units.loc.parameters())
            elif not self.units.variational:
                found.extend(self.units.parameters())
        return found

    def dependence(self) -> list[nn.Parameter]:
        """What ties the steps together and is no part of the units: W, and the own noise's."""
        loading = [] if self.loading is None else [self.loading]
        noise = [] if self.noise is None else list(self.noise.parameters())
        return [*loading, *(parameter for parameter in noise if parameter.requires_grad)]

    def df(self) -> Tensor | None:
        """ν, the pool's where two read the window, or None under a Gaussian likelihood."""
        own = self._own_df()
        if self.second is None or self.second_share is None:
            return own
        return pooled_df([own, self.second.df()], shares(self.second_share))

    def read(
        self,
        context: Tensor,
        observed: Tensor | None = None,
        place: Place | None = None,
        *,
        drawn_in: bool = True,
    ) -> Reading:
        """Everything that depends on the window; records nothing.

        Args:
            context: at least L rows, of which the last L count, [batch, rows]; in training under
                a prior with a memory, its lag more; as many as a second reader reads.
            observed: mask of the same shape, None where all is observed.
            place: where each window stands; needed where the features tell.
            drawn_in: towards the level of the window, as far as forecasts are.

        Of windows that are too short for a second reader the first alone speaks.

        Raises:
            ValueError: the features need a place, and there is none.
        """
        batch = len(context)
        rows = self.windows(context, observed, self.input_size)
        window = window_scale(rows.context, rows.observed, self.location)
        inputs = window.apply(rows.context)
        seen = with_mask(inputs, rows.observed) if self.mask_inputs else inputs
        if self.reader is not None:
            seen = self.reader(seen)
        if self.place is not None:
            seen = with_place(seen, self.place, place, window, self.prior_lag)
        features = self.features(seen, batch)
        mean_path = self.mean_path(inputs[:batch])
        if self.mean_residual is not None:
            mean_path = mean_path + self.mean_residual(features[:batch])
        spread = F.softplus(self.spread(features[:batch])) + MINIMUM_SPREAD
        if self.base is not None:
            mean_path, spread = self.base(inputs[:batch], mean_path, spread)
        told = features.detach()
        if self.own_features is not None:
            told = torch.cat([told, self.own_features(seen.detach(), batch)], dim=-1)
        inferred = self.infer(told, rows.first)
        reading = Reading(window.first(batch), mean_path, spread, *inferred)
        first = Margins(mean_path, spread, self._own_df())
        other, share = self.second, self.second_share
        if other is not None and share is not None and context.shape[1] >= other.lookback:
            second = margins_of(other, self.input_size, reading.window, context, observed, place)
            reading = read_by_both(reading, first, second, share)
        if self.departure is None or not drawn_in:
            return reading
        return drawn_to_level(reading, first, self.departure)

    def distribution(self, reading: Reading) -> TrajectoryDistribution:
        """Assemble the predictive distribution from what was read."""
        path, unit_scale = reading.mean_path, None
        shift: Tensor | None = None
        if reading.latent is not None:
            gain = 1.0 if self.training else self.mean_gain
            shift = gain * self.mean_shift(reading.latent)
            path = path + (shift if reading.heard is None else reading.heard * shift)
            unit_scale = shared_row(reading.latent.scale.flatten(1))
        if self.static_scale is not None:
            unit_scale = self.static_scale.exp()
        loading: Tensor | None = self.loading
        own: OwnNoise | None = None
        if loading is not None and unit_scale is not None:
            own = self.own_noise(unit_scale)
            if own is not None and own.weight is not None and own.weight.dim() == 1:
                # δ that is the same for all windows is a matter of W's rows: one factorisation
                loading, own = loading / own.weight[:, None], OwnNoise(own.persistence)
        return TrajectoryDistribution(
            loc=reading.window.location + reading.window.scale * path,
            scale=reading.window.scale * reading.spread,
            df=self.df() if len(reading.readers) > 1 else self._own_df(),
            loading=loading,
            unit_scale=None if loading is None else unit_scale,
            own_noise=own,
            pooled=laws_apart(reading.readers, reading.window, shift) if self.training else (),
        )

    def own_noise(self, scale: Tensor) -> OwnNoise | None:
        """ρ and δ that go with the units' s [batch, M]; None where the noise is white."""
        return None if self.noise is None else self.noise(scale)

    def mean_shift(self, latent: Latent) -> Tensor:
        """Rµ, what the units add to the mean path, [batch, H], in scales of the window."""
        return latent.loc.flatten(1) @ self.path_reader().T

    def path_reader(self) -> Tensor:
        """R, [H, M], in scales of the window."""
        if self.base is None:
            return self.mean_reader
        return self.base.error[:, None] * self.mean_reader

    def _own_df(self) -> Tensor | None:
        return None if self.raw_df is None else MINIMUM_DF + F.softplus(self.raw_df)


def shared_row(scale: Tensor) -> Tensor:
    """The one row [columns] of scales that are expanded over the batch, else all as they are.

    Units whose scale is no function of the window then cost one factorisation for a whole batch.

    Example:
        >>> shared_row(torch.ones(2).expand(5, 2)).shape, shared_row(torch.ones(5, 2)).shape
        (torch.Size([2]), torch.Size([5, 2]))
    """
    return scale[0] if scale.shape[0] > 1 and scale.stride(0) == 0 else scale
