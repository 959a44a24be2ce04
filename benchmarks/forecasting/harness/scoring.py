"""Scores window by window, so that any two models can be compared on the same windows later.

The means over windows are those of `vneuron.forecasting.evaluation.evaluate` (a test holds them to
it); what that does not have is every window's own row, which paired intervals need, and models
that are no densities: quantiles, conformal intervals, draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vneuron.forecasting.data.windows import WindowBatch, Windows
from vneuron.forecasting.laws.law import AbstractLaw, AbstractNumbers
from vneuron.forecasting.laws.trajectory import AbstractPaths, AbstractTrajectory
from vneuron.forecasting.scoring.calibration import PitSummary
from vneuron.forecasting.scoring.path_scores import energy_score, energy_score_point, path_mean
from vneuron.forecasting.scoring.quantile_scores import LEVELS
from vneuron.forecasting.scoring.scores import absolute_error, crps_point, squared_error

Forecast = Callable[[WindowBatch], AbstractPaths | Tensor]
"""A model: windows in, paths out; a bare path [batch, H] is a forecast that claims certainty."""

COVERAGES = (0.8, 0.95)
PATHS = 100
CHUNK = 256
SCORES = (
    "mse",
    "mae",
    "crps",
    "nll",
    "coverage_80",
    "coverage_95",
    "joint_nll",
    "path_crps",
    "path_coverage_80",
    "energy",
)


@torch.no_grad()
def score_windows(
    forecast: Forecast, windows: Windows, *, joint: bool, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Every score of every window, in training deviations.

    Args:
        forecast: the model.
        windows: scaled.
        joint: whether the model speaks of whole paths; if not, scores of paths are missing.
        seed: of the draws behind the energy score.

    Returns:
        A row per window (series, cutoff, scores, `path_pit`), and facts about all of them:
        calibration of steps and of path means, and the processor seconds of forecasting.
    """
    generator = torch.Generator().manual_seed(seed)
    steps, paths = PitSummary(LEVELS), PitSummary(LEVELS)
    parts, seconds = [], 0.0
    for batch in windows.batches(CHUNK):
        began = time.process_time()
        path = forecast(batch)
        seconds += time.process_time() - began
        y = target_of(batch)
        if isinstance(path, Tensor):
            parts.append(certain(y, path.double().numpy()))
            continue
        row = step_scores(y, path, steps)
        if joint:
            row |= path_scores(y, batch, path, generator)
            paths.update(row["path_pit"])
        parts.append(row)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    frame = pd.DataFrame({"series": windows.series.numpy(), "cutoff": windows.cutoffs, **columns})
    facts = {
        "forecast_cpu_seconds": seconds,
        "levels": list(LEVELS),
        "coverage": listed(steps.coverage()),
        "path_coverage": listed(paths.coverage()),
        "pit": listed(steps.histogram()),
    }
    return frame, facts


def means(frame: pd.DataFrame) -> dict[str, float | None]:
    """Of each score over windows, each as often as it has steps; None where not defined."""
    found: dict[str, float | None] = dict.fromkeys(SCORES)
    for name in SCORES:
        if name in frame and frame[name].notna().any():
            weight = frame["steps"] if name in STEP_SCORES else np.ones(len(frame))
            known = frame[name].notna()
            found[name] = float(np.average(frame[name][known], weights=weight[known]))
    return found


STEP_SCORES = ("mse", "mae", "crps", "nll", "coverage_80", "coverage_95")


def target_of(batch: WindowBatch) -> np.ndarray:
    target = batch.target.double()
    if batch.target_observed is not None:
        target = target.masked_fill(~batch.target_observed, torch.nan)
    return target.numpy()


def certain(y: np.ndarray, path: np.ndarray) -> dict[str, np.ndarray]:
    """What a bare path defines: its CRPS is its absolute error."""
    error = absolute_error(y, path)
    return {
        "steps": (~np.isnan(y)).sum(1),
        "mse": over_steps(squared_error(y, path)),
        "mae": over_steps(error),
        "crps": over_steps(crps_point(y, path)),
        "path_crps": crps_point(path_mean(y), path_mean(path)),
        "energy": energy_score_point(y, path),
    }


def step_scores(y: np.ndarray, path: AbstractPaths, pits: PitSummary) -> dict[str, np.ndarray]:
    law = path.steps()
    pit = law.pit(y)
    pits.update(pit)
    row = {
        "steps": (~np.isnan(y)).sum(1),
        "mse": over_steps(squared_error(y, path.point().double().numpy())),
        "mae": over_steps(absolute_error(y, law.median())),
        "crps": over_steps(law.crps(y)),
    }
    if isinstance(law, AbstractLaw):
        row["nll"] = over_steps(law.nll(y))
    for level in COVERAGES:
        if level <= widest(law):
            row[f"coverage_{100 * level:g}"] = over_steps(covered(pit, level))
    return row


def widest(law: AbstractNumbers) -> float:
    """The widest central interval that a law defines: less than 1 for a few quantiles."""
    return float(getattr(law, "widest_interval", 1.0))


def path_scores(
    y: np.ndarray, batch: WindowBatch, path: AbstractPaths, generator: torch.Generator
) -> dict[str, np.ndarray]:
    row: dict[str, np.ndarray] = {}
    if isinstance(path, AbstractTrajectory):
        steps = (~np.isnan(y)).sum(axis=1)
        nats = path.joint_nll(batch.target, batch.target_observed).double().numpy()
        row["joint_nll"] = nats / np.where(steps > 0, steps, np.nan)
    law = path.functional(torch.full((path.horizon,), 1.0 / path.horizon))
    mean = path_mean(y)
    row["path_crps"], row["path_pit"] = law.crps(mean), law.pit(mean)
    row["path_coverage_80"] = covered(row["path_pit"], 0.8)
    draws = path.sample(PATHS, generator).double().numpy()
    row["energy"] = energy_score(y, draws)
    return row


def covered(pit: np.ndarray, level: float) -> np.ndarray:
    """Whether the central interval held, 1 or 0; NaN where what came is missing."""
    return np.where(np.isnan(pit), np.nan, np.abs(pit - 0.5) <= level / 2 + 1e-12)


def over_steps(values: np.ndarray) -> np.ndarray:
    """Mean over the steps that are known, [windows]; NaN where none is."""
    seen = ~np.isnan(values)
    count = seen.sum(-1)
    total = np.where(seen, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def listed(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
