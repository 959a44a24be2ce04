"""A point model with the spread of its own past errors: what careful practice without units is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .data.windows import WindowBatch, Windows
from .laws.predictive import TrajectoryDistribution
from .networks.normalisation import Location, WindowScale, window_scale
from .networks.pairs import last_rows

BATCH = 4096
SMALLEST_SPREAD = 1e-3
"""In training deviations: a series that validation forecast without error is not certain."""

PENALTIES = (1e-7, 1e-5, 1e-3, 0.1, 10.0)
"""Candidates for the ridge, in units of a mean squared input of one; validation chooses."""


class ResidualSpread(nn.Module):
    r"""Ridge regression of the normalised path on the normalised window, with empirical spread.

    .. math:: y \sim N\bigl(\hat y(x), \mathrm{diag}(\hat\sigma_{ih}^2)\bigr)

    with σ̂ the root mean squared error on validation windows, by series and step: a strong point
    forecast with intervals as wide as its errors were (Lai et al. 2025, arXiv:2509.02341, find
    that such a spread rivals learned ones in CRPS). It says nothing of whole paths. Errors count
    in training deviations of the series, as the point metrics do.

    Args:
        input_size: L, the last rows of each context.
        horizon: H.
        series: number of series that it is fitted on.
        location: what a window is centred on.

    Attributes:
        weight: buffer, [L + 1, H]; the last row is the intercept.
        spread: buffer, [series + 1, H]; the last row is over all series, for new ones.

    Example:
        >>> ResidualSpread(input_size=24, horizon=6, series=2).spread.shape
        torch.Size([3, 6])
    """

    weight: Tensor
    spread: Tensor

    def __init__(
        self, input_size: int, horizon: int, series: int, location: Location = "mean"
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.location: Location = location
        self.register_buffer("weight", torch.zeros(input_size + 1, horizon, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(series + 1, horizon))

    @torch.no_grad()
    def fit(self, train: Windows, validation: Windows) -> ResidualSpread:
        """The path by `fit_path`, and its spread on held-out windows."""
        self.fit_path(train, validation)
        self.spread.copy_(self._errors(validation))
        return self

    @torch.no_grad()
    def fit_path(self, train: Windows, validation: Windows) -> ResidualSpread:
        """Solve the normal equations on the training windows; choose the ridge on held-out ones.

        Windows with a missing target teach nothing and are left out of the regression; where every
        one has a gap, the path is the window's location.
        """
        gram, cross, rows = self._normal_equations(train)
        if rows == 0.0:
            gram, rows = torch.eye(len(gram), dtype=gram.dtype), 1.0
        identity = torch.eye(len(gram), dtype=gram.dtype)
        identity[-1, -1] = 0.0  # the intercept is free
        candidates = []
        for penalty in PENALTIES:
            weight = torch.linalg.solve(gram + penalty * rows * identity, cross)
            candidates.append((self._squared_error(weight, validation), weight))
        self.weight.copy_(min(candidates, key=lambda found: found[0])[1])
        return self

    def forward(self, batch: WindowBatch) -> TrajectoryDistribution:
        """Independent Gaussian steps.

        Args:
            batch: windows; `series` counts as at the fit, or is −1 for a series new to it.
        """
        loc = self._path(self.weight, batch)
        return TrajectoryDistribution(loc, self.spread[batch.series], df=None)

    def _normal_equations(self, windows: Windows) -> tuple[Tensor, Tensor, float]:
        size = self.input_size + 1
        gram = torch.zeros(size, size, dtype=torch.float64)
        cross = torch.zeros(size, windows.horizon, dtype=torch.float64)
        weight = 0.0
        for batch in map(WindowBatch.complete, windows.batches(BATCH)):
            window, inputs = self.design(batch)
            # errors are to count in the series' deviations, not the window's
            design = (inputs * window.scale).double()
            gram += design.T @ design
            cross += design.T @ (batch.target - window.location).double()
            weight += float(window.scale.double().square().sum())
        return gram, cross, weight

    def design(self, batch: WindowBatch) -> tuple[WindowScale, Tensor]:
        """Each window's location and scale, and what is regressed on: it and a one, [n, L + 1]."""
        context, observed = last_rows(batch.context, batch.context_observed, self.input_size)
        window = window_scale(context, observed, self.location)
        inputs = window.apply(context)
        return window, torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=-1)

    def _path(self, weight: Tensor, batch: WindowBatch) -> Tensor:
        window, inputs = self.design(batch)
        return window.location + window.scale * (inputs @ weight.to(inputs))

    def _squared_error(self, weight: Tensor, windows: Windows) -> float:
        """Mean over steps that were observed."""
        total = count = 0.0
        for batch in windows.batches(BATCH):
            squared, known = self._squared(weight, batch)
            total += float((squared * known).sum())
            count += float(known.sum())
        return total / max(count, 1.0)

    def _errors(self, windows: Windows) -> Tensor:
        """Root mean squared error by series and step, with a last row for all."""
        shape = (len(windows.flat.ids), windows.horizon)
        total = torch.zeros(shape, dtype=torch.float64)
        count = torch.zeros(shape, dtype=torch.float64)
        for batch in windows.batches(BATCH):
            squared, known = self._squared(self.weight, batch)
            total.index_add_(0, batch.series, squared * known)
            count.index_add_(0, batch.series, known)
        overall = total.sum(0) / count.sum(0).clamp_min(1.0)
        by_series = torch.where(count > 0, total / count.clamp_min(1.0), overall)
        spread = torch.cat([by_series, overall[None]]).sqrt()
        return spread.clamp_min(SMALLEST_SPREAD).float()

    def _squared(self, weight: Tensor, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """Squared errors, and one where the step was observed, nought where not, [batch, H]."""
        squared = (batch.target - self._path(weight, batch)).square().double()
        seen = batch.target_observed
        return squared, torch.ones_like(squared) if seen is None else seen.double()
