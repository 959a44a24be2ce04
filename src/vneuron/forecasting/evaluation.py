"""One model's scores over a set of windows, in scaled and in raw units, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .data.rows import Floats
from .data.scaling import Scaling
from .data.windows import WindowBatch, Windows
from .laws.trajectory import AbstractTrajectory
from .scoring.metrics import MetricAccumulator
from .scoring.path_scores import energy_score, energy_score_point, path_mean
from .scoring.scores import (
    absolute_error,
    crps_point,
    squared_error,
)

Forecast = Callable[[WindowBatch], AbstractTrajectory | Tensor]
"""A model as evaluation sees it: windows in, distributions or bare paths [batch, H] out."""

PATHS = 100
CHUNK = 256


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        scores: metrics in training standard deviations of each series, and under "raw" the same
            in the data's unit; None where the model defines no such score.
        calibration: coverage by level for steps and for the path mean, and the PIT histogram.
        windows: how many windows were scored.
    """

    scores: dict[str, Any]
    calibration: dict[str, Any]
    windows: int


@torch.no_grad()
def evaluate(
    forecast: Forecast, windows: Windows, scaling: Scaling, *, joint: bool = True, seed: int = 0
) -> Evaluation:
    """Score a model on every window.

    Args:
        forecast: the model.
        windows: what to forecast, scaled.
        scaling: of the same series, for the raw units.
        joint: whether the model speaks of whole paths; if not, joint scores are None.
        seed: of the sample paths behind the energy score.
    """
    totals = _Totals(scaling, joint, torch.Generator().manual_seed(seed))
    for batch in windows.batches(CHUNK):
        totals.update(batch, forecast(batch))
    return Evaluation(totals.scores(), totals.scaled.calibration(), len(windows))


class StepScores(NamedTuple):
    """Scores of single steps, means over all observed ones.

    Attributes:
        crps: in the windows' unit.
        nll: in nats per step.
    """

    crps: float
    nll: float


@torch.no_grad()
def step_scores(forecast: Forecast, windows: Windows) -> StepScores:
    """CRPS and NLL of single steps.

    Args:
        forecast: a model of distributions.
        windows: what to forecast.
    """
    crps_total, nll_total, count = 0.0, 0.0, 0
    for batch in windows.batches(CHUNK):
        path = forecast(batch)
        if isinstance(path, Tensor):
            raise TypeError("found bare paths, expected distributions")
        target = batch.target.double().cpu()
        if batch.target_observed is not None:
            target = target.masked_fill(~batch.target_observed.cpu(), torch.nan)
        crps = path.steps().crps(target.numpy())
        seen = ~np.isnan(crps)
        crps_total += float(crps[seen].sum())
        nll_total += float(path.marginal_nll(batch.target, batch.target_observed).sum())
        count += int(seen.sum())
    return StepScores(crps_total / max(count, 1), nll_total / max(count, 1))


class _Totals:
    """Running means in both units.

    Raw scores follow from scaled ones window by window: y_raw = sd · y + mean multiplies an error
    by sd and a density by 1/sd.
    """

    def __init__(self, scaling: Scaling, joint: bool, generator: torch.Generator) -> None:
        self.scaled = MetricAccumulator()
        self._raw = MetricAccumulator()
        self._sd = scaling.sd
        self._joint = joint
        self._generator = generator

    def update(self, batch: WindowBatch, path: AbstractTrajectory | Tensor) -> None:
        target = batch.target.double().cpu()
        if batch.target_observed is not None:
            target = target.masked_fill(~batch.target_observed.cpu(), torch.nan)
        y, sd = target.numpy(), self._sd[batch.series.cpu().numpy()]
        if isinstance(path, Tensor):
            self._certain(y, sd, path.double().cpu().numpy())
            return
        self._steps(y, sd, path)
        if self._joint:
            self._paths(y, sd, batch, path)

    def scores(self) -> dict[str, Any]:
        scaled, raw = self.scaled.result(), self._raw.result()
        for name in scaled:
            if "coverage" in name:
                raw[name] = scaled[name]
        return {**scaled, "raw": raw}

    def _certain(self, y: Floats, sd: Floats, path: Floats) -> None:
        self._squared(y, sd, path)
        self._error("mae", absolute_error(y, path), sd)
        self._error("crps", crps_point(y, path), sd)
        self._error("path_crps", crps_point(path_mean(y), path_mean(path)), sd)
        self._error("energy", energy_score_point(y, path), sd)

    def _steps(self, y: Floats, sd: Floats, path: AbstractTrajectory) -> None:
        law = path.steps()
        self._squared(y, sd, path.point().double().cpu().numpy())
        self._error("mae", absolute_error(y, law.median()), sd)
        self._error("crps", law.crps(y), sd)
        self._density("nll", law.nll(y), sd)
        self.scaled.add_step_pit(law.pit(y))

    def _paths(self, y: Floats, sd: Floats, batch: WindowBatch, path: AbstractTrajectory) -> None:
        steps = (~np.isnan(y)).sum(axis=1)
        nats = path.joint_nll(batch.target, batch.target_observed).double().cpu().numpy()
        self._density("joint_nll", nats / np.where(steps > 0, steps, np.nan), sd)
        law = path.functional(torch.full((path.horizon,), 1.0 / path.horizon))
        self._error("path_crps", law.crps(path_mean(y)), sd)
        self.scaled.add_path_pit(law.pit(path_mean(y)))
        draws = path.sample(PATHS, self._generator).cpu().numpy()
        self._error("energy", energy_score(y, draws), sd)

    def _squared(self, y: Floats, sd: Floats, point: Floats) -> None:
        squared = squared_error(y, point)
        self.scaled.add("mse", squared)
        self._raw.add("mse", squared * sd[:, None] ** 2)

    def _error(self, name: str, values: Floats, sd: Floats) -> None:
        self.scaled.add(name, values)
        self._raw.add(name, values * (sd[:, None] if values.ndim == 2 else sd))

    def _density(self, name: str, values: Floats, sd: Floats) -> None:
        self.scaled.add(name, values)
        self._raw.add(name, values + np.log(sd[:, None] if values.ndim == 2 else sd))
