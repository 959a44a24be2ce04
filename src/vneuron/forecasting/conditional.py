"""A forecast contracted on what has become known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import torch

from . import frames
from .aggregate import DRAWS, Statistic
from .data.errors import DataError
from .data.frame import Panel
from .data.rows import Floats, counted
from .fan import fan_rows
from .intervals import DEFAULT_LEVELS, Levels, array
from .knowledge import Bounds, Knowledge, Linear, Total
from .laws.conditioned import ConditionedTrajectory
from .laws.drawn import DrawnPaths
from .laws.predictive import TrajectoryDistribution
from .laws.truncated import Bounded, truncate
from .model import FittedModel, RawForecast

if TYPE_CHECKING:
    import plotly.graph_objects as go


SCALE_WEIGHT = 0.1
"""How much of what observed steps say about the common spread is believed. With all of it the 72
steps that follow 24 observed ones lose .012 to .058 nats per step against .1 on validation rows of
ETTh1, ETTm1, Exchange, ILI and Weather, and on ETTm1 and Weather against no conditioning at all;
0 loses up to .002, and gains .003 on Weather; .3 loses up to .013."""

OUTLIER = 8.0
"""Scales of its step beyond which an observed value tells the others no more. A dry window's rain
has a scale of 1e-5 of its deviation, and the first drop lies 47,000 of them off: taken at its word
it widens all that follows (Weather, CRPS of the rest .227 in place of .194 on validation rows;
.191 with 5, .200 with 12). On ETTh1, Exchange, ETTm1 and ILI it costs up to .3% of the CRPS and
.0013 nats per step."""


@dataclass(frozen=True, eq=False)
class ConditionalForecast:
    """What a forecaster says of its next H steps, given what is known; answers like a forecast.

    Observed steps and known sums are exact: the conditional law is again a multivariate t. Bounds
    are kept by 2,000 joint draws per series, from which everything is then answered.

    Attributes:
        model: the fitted model.
        panel: the series that are forecast.
        before: forecasts with nothing known, some series each.
        exact: the same given all but the bounds.
        lower: of each step, [series, H], −inf where open.
        upper: likewise, inf where open.
        seed: of draws within bounds.
        outlier: scales beyond which an observed value tells other steps no more.
    """

    model: FittedModel
    panel: Panel
    before: tuple[RawForecast, ...]
    exact: tuple[RawForecast, ...]
    lower: Floats
    upper: Floats
    seed: int
    outlier: float = OUTLIER

    @classmethod
    def of(
        cls,
        model: FittedModel,
        panel: Panel,
        scale_weight: float = SCALE_WEIGHT,
        outlier: float = OUTLIER,
        seed: int = 0,
    ) -> ConditionalForecast:
        """The forecast of a panel's next steps, with nothing known yet.

        Raises:
            ValueError: the network's forecast is no multivariate t, or a weight or number of
                scales out of range.
        """
        if not outlier > 0.0:
            raise ValueError(
                f"outlier is {outlier}, expected the positive number of scales beyond which an "
                "observed value tells other steps no more (inf: it always does)"
            )
        windows, scaling = model.last_windows(panel), model.scaling(panel)
        size = frames.at_once(DRAWS, model.config.horizon)
        before, found = [], []
        for forecast in model.raw_forecasts(windows, scaling, size, novelty=True):
            if not isinstance(forecast.path, TrajectoryDistribution):
                raise ValueError(
                    f"condition needs a forecast that is one multivariate t, this one is a "
                    f"{type(forecast.path).__name__} (network {model.config.network!r}, likelihood "
                    f"{model.config.likelihood!r}): fit with network='trajectory' and likelihood "
                    "'student' or 'gaussian'"
                )
            path = ConditionedTrajectory.of(forecast.path, scale_weight)
            before.append(forecast)
            found.append(forecast._replace(path=path))
        open_end = np.full((len(panel), model.config.horizon), np.inf)
        known = tuple(before), tuple(found)
        return cls(model, panel, *known, -open_end, open_end, seed, outlier)

    def condition(
        self,
        observed: object = None,
        total: Total | None = None,
        bounds: Bounds | None = None,
        linear: Linear | None = None,
    ) -> ConditionalForecast:
        """Given still more; see `EVEForecaster.condition`.

        Steps observed in parts say what they say together: this posterior is the next prior.

        Raises:
            DataError: what is given does not fit the forecast, or itself.
            ValueError: a sum that is known already, or a value other than the one known.
        """
        more = Knowledge.read(
            self.panel, self.model.config.horizon, observed, total, bounds, linear
        )
        self._refuse_other_values(more)
        pairs = zip(self.before, self.exact, strict=True)
        found = replace(
            self,
            exact=tuple(_given(first, last, more, self.outlier) for first, last in pairs),
            lower=np.maximum(self.lower, more.lower),
            upper=np.minimum(self.upper, more.upper),
        )
        found._forecasts  # noqa: B018 (bounds that cannot hold are refused here, not at an answer)
        return found

    # -- answers -----------------------------------------------------------------------------

    def predict(self, *, level: Levels = DEFAULT_LEVELS, uncertainty: bool = False) -> Any:
        """Every step of the horizon, as `EVEForecaster.predict`; observed ones as they are."""
        horizon = self.model.config.horizon
        return frames.prediction_of(self.panel, self._forecasts, horizon, level, uncertainty)

    def sample(self, n: int = 100, *, seed: int = 0) -> Any:
        """Joint paths that agree with what is known, as `EVEForecaster.sample`.

        Within bounds they are drawn from the 2,000 that are held, again and again beyond those.
        """
        horizon = self.model.config.horizon
        drawn = frames.sampled_of(self._forecasts, n, seed)
        return frames.samples_of(self.panel, drawn, horizon, n)

    def aggregate(
        self,
        statistic: Statistic,
        over: int | str | None = None,
        *,
        level: Levels = DEFAULT_LEVELS,
        seed: int = 0,
    ) -> Any:
        """Blocks of steps, as `EVEForecaster.aggregate`; observed steps count with their value."""
        horizon = self.model.config.horizon
        return frames.aggregates_of(
            self.panel, self._forecasts, horizon, statistic, over, level, seed
        )

    def probability(self) -> Any:
        """How probable the bounds were, given all else that is known.

        Returns:
            Frame: unique_id, probability, effective_draws (how many independent draws would tell
            as much as those held; of 2,000, and few where the bounds are improbable). A series
            without bounds has probability 1, and is exact where no series has any.
        """
        log_probability, effective = self._within[1:]
        everyone = np.arange(len(self.panel))
        columns = {"probability": np.exp(log_probability), "effective_draws": effective}
        last = self.panel.future_times(1)[:, 0]
        frame = self.panel.to_native(everyone, last, columns)
        return nw.from_native(frame, eager_only=True).drop("ds").to_native()

    def plot(
        self,
        series: object = None,
        *,
        history: int | None = None,
        paths: int = 20,
        level: Levels = DEFAULT_LEVELS,
    ) -> go.Figure:
        """Fan chart of one series, as `EVEForecaster.plot`."""
        from ..figures.fan import fan_chart  # plotly costs half a second
        from .fan import series_position

        at = series_position(self.panel, series)
        generator = torch.Generator().manual_seed(self.seed)
        for forecast in self._forecasts:
            for window in np.flatnonzero(forecast.series == at):
                rows = fan_rows(
                    self.model, self.panel, forecast, int(window), level, paths, generator
                )
        return fan_chart(rows, history=history)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which observed values tell other steps less than they are, in one line; none is none."""
        count, first = 0, ""
        for free, given in zip(self.before, self.exact, strict=True):
            law, path = free.path, given.path
            assert isinstance(law, TrajectoryDistribution)
            assert isinstance(path, ConditionedTrajectory)
            away = law.residual(path.loc).abs()
            far = path.known & (away > self.outlier)
            if not count and bool(far.any()):
                window, step = (int(i) for i in far.nonzero()[0])
                series = int(given.series[window])
                first = (
                    f"series {self.panel.ids[series]!r}, step {step + 1} of the forecast: "
                    f"{float(path.loc[window, step]):.9g} is {float(away[window, step]):.3g} off"
                )
            count += int(far.sum())
        if not count:
            return ()
        return (
            f"{counted(count, 'observed value')} further than {self.outlier:g} scales from the "
            f"forecast tell other steps no more than that (outlier); first {first}",
        )

    def _refuse_other_values(self, more: Knowledge) -> None:
        """A step that is known already keeps its value."""
        for forecast in self.exact:
            path = forecast.path
            assert isinstance(path, ConditionedTrajectory)
            known, before = path.known.numpy(), array(path.loc)
            told = more.observed[forecast.series]
            other = known & ~np.isclose(told, before, rtol=1e-9, atol=0.0) & ~np.isnan(told)
            if other.any():
                window, step = (int(i) for i in np.argwhere(other)[0])
                series = int(forecast.series[window])
                raise DataError(
                    f"series {self.panel.ids[series]!r}, step {step + 1} of the forecast: observed "
                    f"is {told[window, step]:.9g}, and was {before[window, step]:.9g} before: "
                    "correct one of them"
                )

    # -- bounds ------------------------------------------------------------------------------

    @property
    def _forecasts(self) -> tuple[RawForecast, ...]:
        return self._within[0]

    @cached_property
    def _within(self) -> tuple[tuple[RawForecast, ...], Floats, Floats]:
        """Forecasts within the bounds; by series, ln of the bounds' probability, and draws."""
        log_probability = np.zeros(len(self.panel))
        effective = np.full(len(self.panel), float(DRAWS))
        limited = np.isfinite(self.lower) | np.isfinite(self.upper)
        if not limited.any():
            return self.exact, log_probability, effective
        found = []
        for forecast in self.exact:
            path = forecast.path
            assert isinstance(path, ConditionedTrajectory)
            draws = []
            for window, series in enumerate(forecast.series):
                generator = np.random.default_rng([self.seed, int(series)])
                bounded = _bounded(path, window, self.lower[series], self.upper[series])
                name = self.panel.ids[series]
                try:
                    one = truncate(bounded, DRAWS, generator)
                except ValueError as error:
                    raise ValueError(f"series {name!r}: {error}") from None
                draws.append(torch.from_numpy(one.draws))
                log_probability[series], effective[series] = one.log_probability, one.effective
            drawn = DrawnPaths(torch.stack(draws), path.unit_share())
            found.append(forecast._replace(path=drawn))
        return tuple(found), log_probability, effective


def _given(
    before: RawForecast, forecast: RawForecast, more: Knowledge, outlier: float
) -> RawForecast:
    """One batch of forecasts given what is known of its series.

    What lies far off is measured by the forecast with nothing known, so that steps observed in
    parts say what they say together.
    """
    free, path = before.path, forecast.path
    assert isinstance(free, TrajectoryDistribution)
    assert isinstance(path, ConditionedTrajectory)
    series = forecast.series
    y = torch.from_numpy(more.observed[series])
    seen = ~y.isnan()
    if bool(seen.any()):
        path = path.observe(y, seen, free.within(y, outlier))
    if more.weights.shape[1]:
        weights, values = more.weights[series], more.values[series]
        path = path.equate(torch.from_numpy(weights), torch.from_numpy(values))
    return forecast._replace(path=path)


def _bounded(path: ConditionedTrajectory, window: int, lower: Floats, upper: Floats) -> Bounded:
    """One window as the sampler takes it; bounds on known steps hold, and are left out."""
    one = path.window(window)
    scale = array(one.scale())[0]
    free = scale > 0.0

    def deviation(noise: Floats) -> Floats:
        return np.asarray(array(one.deviation(torch.from_numpy(noise)[None]))[0])

    return Bounded(
        deviation=deviation,
        dimensions=one.shared.shape[-1] + one.horizon,
        loc=array(one.loc)[0],
        scale=scale,
        df=None if one.df is None else float(one.df[0]),
        lower=np.where(free, lower, -np.inf),
        upper=np.where(free, upper, np.inf),
    )
