"""A fitted network with what it remembers of its data: forecasts in scaled and in raw units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core import muted
from ..vitals.health import Health, health
from .config import ForecasterConfig
from .contenders import Contender, build_network
from .coupling import Coupling
from .data.counts import check_counts
from .data.errors import DataError
from .data.frame import Panel
from .data.place import Place
from .data.rows import Floats, Ints, counted
from .data.scaling import Scaling
from .data.windows import (
    FlatSeries,
    WindowBatch,
    Windows,
    flatten,
    last_windows,
    windows_between,
)
from .evaluation import Evaluation, evaluate
from .following.following import DEFAULT, Following, Rates
from .latent_share import LatentShare, measure_latent_share, remembered_latent_share
from .laws.trajectory import AbstractPaths, AbstractTrajectory
from .memory import Memory
from .networks.forecast_network import AbstractForecastNetwork
from .novelty import novelty
from .widening import Widening

PREDICTION_BATCH = 1024


class RawForecast(NamedTuple):
    """Forecasts of some windows, in the data's unit.

    Attributes:
        series: position of each window's series in the panel, [batch].
        cutoff: flat row of each window's last context value, [batch].
        path: the distribution, double precision.
        novelty: nats per window, [batch]; None where not asked for, or without units.
        followed: whether the panel holds the H rows after the cut-off.
    """

    series: Ints
    cutoff: Ints
    path: AbstractPaths
    novelty: Tensor | None
    followed: bool


@dataclass(frozen=True, eq=False)
class FittedModel:
    """What forecasting needs, whoever trained it.

    Attributes:
        config: sizes and options.
        memory: scaling and last context.
        network: in evaluation mode.
        coupling: what series share; None where they are independent, or where the run stopped
            before it was learned (`shares` tells them apart).
        widening: of intervals of maxima, minima and ramps; None where it was not measured.
        followed: what recent errors say; None where none are followed.
    """

    config: ForecasterConfig
    memory: Memory
    network: AbstractForecastNetwork
    coupling: Coupling | None = None
    widening: Widening | None = None
    followed: Following | None = None

    @classmethod
    def untrained(
        cls, contender: Contender, config: ForecasterConfig, memory: Memory
    ) -> FittedModel:
        """A fresh network for this data."""
        network = build_network(
            contender, config, memory.location, memory.mask_inputs, memory.surroundings
        )
        return cls(config, memory, network.eval())

    @property
    def shares(self) -> Coupling | None:
        """What series share; None where they are independent.

        Raises:
            ValueError: it was to be learned, and was not.
        """
        if self.coupling is None and self.config.series == "coupled":
            raise ValueError(
                "the run stopped before it had learned what its series share: go on with it "
                "(resume=True, or vneuron fit --resume)"
            )
        return self.coupling

    @torch.no_grad()
    def forecast(self, batch: WindowBatch) -> AbstractTrajectory:
        """Scaled windows in, scaled distributions out, on their device; nothing is recorded."""
        with muted():
            path: AbstractTrajectory = self.network(*self._inputs(batch))
        path = path.to(batch.context.device)
        if self.followed is None or batch.place is None:
            return path
        return self.followed.apply(path, batch.place)

    def following(self, panel: Panel, rates: Rates = DEFAULT) -> FittedModel:
        """The same with forecasts moved and scaled by errors since the fit.

        Forecasts go on from the panel's last rows.

        Args:
            panel: rows from the fit on, or some of them.
            rates: how fast to follow.

        Raises:
            ValueError: a model of counts.
        """
        followed = Following.measure(
            replace(self, followed=None).forecast,
            self.flatten(panel),
            self.memory.rows_after(panel),
            self.windows_to_score(panel).input_size,
            self.config.horizon,
            rates,
        )
        memory = replace(self.memory, context=panel.tail(self.config.lookback))
        return replace(self, memory=memory, followed=followed)

    def next_followed(self) -> tuple[Floats, Floats]:
        """Shift in scales, and factor of spread, of the next forecast of each series."""
        panel = self.memory.context
        if self.followed is None:
            return np.zeros(len(panel)), np.ones(len(panel))
        last = torch.from_numpy(panel.times.view(np.int64)[panel.offsets[1:] - 1])
        series = torch.from_numpy(self.memory.identity(panel))
        return self.followed.at(Place(series, last, torch.zeros_like(last)))

    def health(self) -> Health:
        """Vitals and verdict of every unit, and what z carries of the forecasts.

        Raises:
            ValueError: a model without units that draw.
        """
        share = remembered_latent_share(self.network)
        judged = health(self.network)
        return judged if share is None else replace(judged, latent_share=share.as_dict())

    def scaling(self, panel: Panel) -> Scaling:
        """Of the panel's series: as at the fit where known. Counts stay as they are.

        Raises:
            DataError: the model is of counts, and the panel is not.
        """
        if self.config.counts:
            check_counts(panel, self.config.likelihood)
            return Scaling.identity(panel)
        return self.memory.scaling.aligned(panel)

    def flatten(self, panel: Panel) -> FlatSeries:
        """The panel's series, scaled, each known by its place at the fit."""
        return flatten(panel, self.scaling(panel), self.memory.identity(panel))

    def windows_to_score(self, panel: Panel, step: int = 1) -> Windows:
        """Windows whose targets follow the rows of the fit.

        Where there is none of as many rows as a second reader reads, they are the first reader's.
        """
        flat, config = self.flatten(panel), self.config
        rows = self.memory.rows_to_score(panel)
        windows = windows_between(flat, rows, config.lookback, config.horizon, step)
        if len(windows) or config.lookback == config.first_lookback:
            return windows
        alone = windows_between(flat, rows, config.first_lookback, config.horizon, step)
        return alone if len(alone) else windows

    def evaluation(self, panel: Panel, step: int = 1) -> Evaluation:
        """Scores of all windows whose targets follow the rows of the fit.

        Raises:
            DataError: there is no window to score.
        """
        windows = self.some_windows_to_score(panel, step)
        return evaluate(self.forecast, windows, self.scaling(panel), seed=self.config.seed)

    def latent_share(self, panel: Panel, step: int = 1) -> LatentShare | None:
        """What z carries on the windows to score; None where none of them has its whole target."""
        windows = self.some_windows_to_score(panel, step)
        try:
            return measure_latent_share(self.network, windows)
        except ValueError:
            return None

    def some_windows_to_score(self, panel: Panel, step: int = 1) -> Windows:
        """As `windows_to_score`, but not none.

        Raises:
            DataError: there is no window to score.
        """
        windows = self.windows_to_score(panel, step)
        if not len(windows):
            raise DataError(
                "no window to score: the frame holds no whole horizon after the rows of the fit; "
                "give a frame that goes on beyond them, or fit with test_size"
            )
        return windows

    def last_windows(self, panel: Panel) -> Windows:
        """The last context of each series, as far back as `reach`."""
        pad = self.config.missing == "mask"
        return last_windows(self.flatten(panel), self.reach(panel), pad=pad)

    def reach(self, panel: Panel) -> int:
        """Rows before its end that the next forecasts of a panel go by.

        Where a series has fewer than a second reader reads, the first reader forecasts all of them
        alone: unless it learned to go by less (missing="mask"), the second knows whole windows.
        """
        config = self.config
        whole = len(panel) == 0 or int(panel.lengths.min()) >= config.lookback
        return config.lookback if whole or config.missing == "mask" else config.first_lookback

    def notes_on(self, panel: Panel, *, scored: bool = False) -> tuple[str, ...]:
        """What is not as usual about the next forecasts of a panel, or those that are scored."""
        reach = self.windows_to_score(panel).input_size if scored else self.reach(panel)
        if reach == self.config.lookback:
            return ()
        lengths = panel.lengths
        at = int(lengths.argmin())
        return (
            f"series {panel.ids[at]!r} has {counted(int(lengths[at]), 'row')} of the "
            f"{self.config.lookback} that the second reader reads (second_size): forecast by the "
            "first reader alone",
        )

    @torch.no_grad()
    def raw_forecasts(
        self,
        windows: Windows,
        scaling: Scaling,
        size: int = PREDICTION_BATCH,
        *,
        novelty: bool = False,
    ) -> Iterator[RawForecast]:
        """Forecasts of all windows, `size` at a time, on the host."""
        mean, sd = torch.from_numpy(scaling.mean), torch.from_numpy(scaling.sd)
        cutoffs, done = windows.cutoffs, 0
        for batch in windows.batches(size):
            series = batch.series
            raw = self.forecast(batch).rescale(mean[series], sd[series])
            stop = done + len(series)
            cutoff = np.asarray(cutoffs[done:stop])
            followed = windows.horizon > 0
            unusual = self._novelty(batch) if novelty else None
            yield RawForecast(series.numpy(), cutoff, raw, unusual, followed)
            done = stop

    def _inputs(self, batch: WindowBatch) -> tuple[Tensor, Tensor | None, Place | None]:
        """Context, its mask and the place, on the network's device."""
        device = next(self.network.parameters()).device
        seen, place = batch.context_observed, batch.place
        return (
            batch.context.to(device),
            None if seen is None else seen.to(device),
            None if place is None else place.to(device),
        )

    def _novelty(self, batch: WindowBatch) -> Tensor | None:
        with muted():
            latent = self.network.read(*self._inputs(batch)).latent
        if self.network.units is None or latent is None or not self.network.units.variational:
            return None
        found = novelty(self.network.units, latent).double().cpu()
        known = self.memory.familiarity
        if known is not None:
            context = batch.context[:, -self.config.first_lookback :]
            found = found + torch.from_numpy(known.nats(context.double().cpu().numpy()))
        return found
