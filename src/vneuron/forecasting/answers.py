"""What a fitted forecaster answers: forecasts, scores, health, pictures; and how it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..training.numbers import whole_number
from ..vitals.health import Health
from . import frames, store
from .across import Across, total
from .aggregate import Statistic
from .conditional import OUTLIER, SCALE_WEIGHT, ConditionalForecast
from .data.frame import Panel
from .evaluation import Evaluation
from .fan import fan_window, one_series
from .intervals import DEFAULT_LEVELS, Levels
from .knowledge import Bounds, Linear, Total
from .latent_share import LatentShare, measure_latent_share
from .model import FittedModel
from .panel_scores import score_coupling
from .reading import read_like_fit

if TYPE_CHECKING:
    import plotly.graph_objects as go


class AbstractForecaster(ABC):
    """Everything that needs a fitted model and nothing else."""

    @property
    @abstractmethod
    def model(self) -> FittedModel:
        """The fitted model.

        Raises:
            NotFittedError: there is none.
        """

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the data at the fit, one sentence each."""
        return self.model.memory.notes

    @property
    def followed(self) -> Any:
        """Frame unique_id, shift, spread: what recent errors do to each series' next forecast.

        It is moved by `shift` of its own scales and its spread is multiplied by `spread`; 0 and 1
        where no recent errors are followed. See `EVEForecaster.following`.
        """
        return frames.followed(self.model)

    # -- forecasts ---------------------------------------------------------------------------

    def predict(
        self,
        df: object = None,
        *,
        level: Levels = DEFAULT_LEVELS,
        uncertainty: bool = False,
    ) -> Any:
        """Forecast the next H steps of each series.

        Args:
            df: other or newer series to forecast on, at least `input_size` rows each. Where one
                has fewer than `second_size`, the first reader forecasts all of them alone. None
                goes on from the last row of the fit.
            level: central intervals, in per cent.
            uncertainty: add EVE-noise-sd and EVE-unit-sd (standard deviations whose squares add
                up to the step's variance) and EVE-novelty (nats: how unlike training's a
                window is, to the units and by its own looks; about 8 is usual).

        Returns:
            Frame of the kind of `df`: unique_id, ds, EVE (the mean), EVE-median, EVE-lo-80, ...
        """
        return frames.prediction(self.model, self._context(df), level, uncertainty)

    def sample(
        self, n: int = 100, df: object = None, *, seed: int = 0, to: str | Path | None = None
    ) -> Any:
        """Joint sample paths of the next H steps.

        After a fit with series="coupled" paths of the same number and origin belong together, and
        may be added up over series.

        Args:
            n: paths per series.
            df: as in `predict`.
            seed: the same seed gives the same paths.
            to: Parquet file that takes the rows as they are drawn, so that memory does not grow
                with the number of series; it appears when it is whole. None gives a frame.

        Returns:
            Frame: unique_id, ds, path (0 to n − 1), y; with `to`, the number of rows written.
        """
        context = self._context(df)
        if to is None:
            return frames.samples(self.model, context, n, seed)
        from .path_file import write_samples  # pyarrow's writer is needed by nothing else

        return write_samples(self.model, context, n, seed, Path(to))

    def aggregate(
        self,
        statistic: Statistic,
        over: int | str | None = None,
        *,
        across: Across = False,
        level: Levels = DEFAULT_LEVELS,
        df: object = None,
        seed: int = 0,
    ) -> Any:
        """Forecast what steps come to together, block by block, and series too.

        Args:
            statistic: "sum" and "mean" are exact; "max", "min" and "ramp" (largest change between
                neighbouring steps) come from 2,000 joint draws, their intervals widened until they
                hold on validation windows as often as those of steps (`Widening`; not `across`).
            over: length of a block: steps, or a duration such as "24h"; None is the horizon. What
                remains of the horizon after whole blocks is left out.
            across: True takes the sum of all series, a mapping the sum with these weights by id
                (those it does not name are left out), in place of each series by itself, from
                2,000 joint draws. It needs a fit with series="coupled".
            level: central intervals, in per cent.
            df: as in `predict`.
            seed: of the draws.

        Returns:
            Frame: unique_id, ds (first step of the block), ds_end, EVE, EVE-median, EVE-lo-80, ...
            Of a total over series unique_id is "total".

        Raises:
            ValueError: across a model that takes series for independent.
            DataError: across series that are not there, were not in the fit, or do not end at the
                same stamp.
        """
        if not isinstance(across, bool | np.bool_) or across:
            panel = self._context(df)
            return total(self.model, panel, statistic, over, across, level, seed)
        return frames.aggregates(self.model, self._context(df), statistic, over, level, seed)

    def condition(
        self,
        observed: object = None,
        total: Total | None = None,
        bounds: Bounds | None = None,
        *,
        linear: Linear | None = None,
        scale_weight: float = SCALE_WEIGHT,
        outlier: float = OUTLIER,
        df: object = None,
        seed: int = 0,
    ) -> ConditionalForecast:
        """The forecast contracted on what has become known of its H steps.

        Steps that are observed and sums that are known give a law in closed form, again a
        multivariate t; bounds are kept by 2,000 joint draws per series. No context is shifted and
        nothing is fitted: what the model knows of how steps move together does it.

        Args:
            observed: frame of values that have come: unique_id, ds, y (unique_id may be left out
                where there is one series); any steps of the horizon, NaN where unknown.
            total: the sum over the horizon, one number for every series or numbers by id; or a
                frame of sums over spans: unique_id, ds (first step), ds_end (last step), y.
            bounds: (lower, upper) of every step, None where open; or a frame: unique_id, ds,
                lower, upper.
            linear: weights [sums, H] or [series, sums, H], and the values of these weighted sums.
            scale_weight: from 0 to 1, how far what is known may narrow or widen the rest by a
                common factor (the t's mixing variable). 1 is the model's conditional law; .1 gave
                better densities on all data tried, see the results. Locations do not change.
            outlier: how many scales of its step an observed value may lie from the forecast and
                still tell other steps all that it says; what lies further tells them no more than
                that. inf is the model's conditional law.
            df: as in `predict`.
            seed: of draws within bounds.

        Returns:
            A forecast with `predict`, `sample`, `aggregate`, `plot`, with `probability` (of the
            bounds), and with `condition` for what becomes known later.

        Raises:
            DataError: what is given does not fit the forecast, or contradicts itself.
            ValueError: a sum that is known already; bounds of a probability below 1e-12; a
                weight or number of scales out of range; or a forecast that is no multivariate t
                (the reference network's, and those of counts).
        """
        panel = self._context(df)
        start = ConditionalForecast.of(self.model, panel, scale_weight, outlier, seed)
        return start.condition(observed, total, bounds, linear)

    # -- judgement ---------------------------------------------------------------------------

    def evaluate(self, df: object, *, step: int = 1) -> dict[str, Any]:
        """Score the forecasts of all windows whose targets come after the rows of the fit.

        Where the fit held out test rows, these alone are scored; of series that were not in the
        fit, every window is.

        Args:
            df: long frame that goes on beyond the fit's rows.
            step: rows between windows.

        Returns:
            mse, mae, crps, nll (nats per step), coverage_80, coverage_95, joint_nll (nats per
            step), path_crps and path_coverage_80 (of the mean over the horizon), energy (energy
            score / √H), in training standard deviations of each series; the same under "raw" in
            the data's unit; latent_variance_share and latent_likelihood_share (what z carries of
            them, see `latent_share`; None where no window has its whole target); and "windows".
            After a fit with series="coupled" also "panel": joint NLL (nats per step and series)
            and energy of all series together, coverage and width of their total, and the same of
            independent series (`vneuron.forecasting.panel_scores`); None where no two series have
            whole targets from the same stamp on.

        Raises:
            DataError: no window can be scored.
        """
        step = whole_number("step", step, 1)
        panel = self._context(df)
        found = self.model.evaluation(panel, step)
        share = self.model.latent_share(panel, step)
        carried = {
            "latent_variance_share": None if share is None else share.variance,
            "latent_likelihood_share": None if share is None else share.likelihood,
        }
        scores = {**found.scores, **carried, "windows": found.windows}
        if self.model.shares is not None:
            scores["panel"] = score_coupling(self.model, panel, step)
        return scores

    def evaluation(self, df: object, *, step: int = 1) -> Evaluation:
        """As `evaluate`, with the calibration curves."""
        return self.model.evaluation(self._context(df), whole_number("step", step, 1))

    def latent_share(self, df: object) -> LatentShare:
        """How much of variance and likelihood z carries, on the windows that `evaluate` scores."""
        windows = self.model.some_windows_to_score(self._context(df))
        return measure_latent_share(self.model.network, windows)

    def health(self) -> Health:
        """Vitals and verdict of every unit; `.ok` says whether the model is well.

        `.latent_share` is what z carried of the forecasts of the validation windows; see
        `latent_share` for other windows.
        """
        return self.model.health()

    def plot(
        self,
        series: object = None,
        df: object = None,
        *,
        history: int | None = None,
        paths: int = 20,
        level: Levels = DEFAULT_LEVELS,
    ) -> go.Figure:
        """Fan chart of the forecast of one series, with joint sample paths.

        Args:
            series: its id; None is the first.
            df: as in `predict`.
            history: rows of the past to show; None is the context.
            paths: sample paths.
            level: central intervals, in per cent.
        """
        from ..figures.fan import fan_chart  # plotly costs half a second

        panel = one_series(self._context(df), series)
        window = fan_window(self.model, panel, level, paths, self.model.config.seed)
        return fan_chart(window, history=history)

    # -- keeping -----------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the fitted model to a folder, without its training history.

        Args:
            path: the folder.
            overwrite: replace an earlier model or run there.

        Raises:
            RunFolderError: the folder holds something else.
        """
        store.write_model(Path(path), self.model, overwrite=overwrite)

    def _context(self, df: object) -> Panel:
        context = self.model.memory.context
        return context if df is None else read_like_fit(df, self.model.config, context.freq)
