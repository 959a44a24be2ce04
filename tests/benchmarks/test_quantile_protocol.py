"""ProbTS' metric against scoringrules' pinball loss, window by window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scoringrules as sr
import torch
from harness.quantile_protocol import score_quantiles
from harness.scoring import target_of

from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.split import RowRange
from vneuron.forecasting.data.windows import flatten, windows_between
from vneuron.forecasting.laws.predictive import TrajectoryDistribution

LEVELS = np.round(np.arange(0.05, 0.96, 0.05), 2)


def material():
    rng = np.random.default_rng(1)
    rows = 60
    frame = pd.DataFrame(
        {"unique_id": np.repeat(["a", "b"], rows), "ds": np.tile(np.arange(rows), 2)}
    )
    y = np.concatenate([rng.normal(3, 2, rows), rng.normal(-50, 30, rows)])
    panel = Panel.from_frame(frame.assign(y=y))
    scaling = Scaling.fit(panel)
    span = RowRange(np.array([20, 20]), np.array([60, 60]))
    windows = windows_between(flatten(panel, scaling), span, 8, 6, 10)
    return windows, scaling


def forecast(batch):
    loc = batch.context.mean(1, keepdim=True).expand(-1, 6)
    scale = 0.5 + 0.1 * torch.arange(6.0).expand(len(loc), 6)
    return TrajectoryDistribution(loc, scale, torch.tensor(4.0))


def reference(windows, scaling, quantiles) -> tuple[float, float]:
    """By scoringrules alone: mean over windows of summed losses over summed magnitudes."""
    batch = windows.gather(torch.arange(len(windows)))
    series = batch.series.numpy()
    y = scaling.invert(target_of(batch), series)
    per_series = len(windows) // 2
    crps, nmae = [], []
    for w in range(per_series):
        both = [w, per_series + w]
        total = np.array(
            [2 * sr.quantile_score(y[both], quantiles[both][..., i], q).sum()
             for i, q in enumerate(LEVELS)]
        )  # fmt: skip
        magnitude = np.abs(y[both]).sum()
        crps.append(total.mean() / magnitude)
        nmae.append(np.abs(y[both] - quantiles[both][..., 9]).sum() / magnitude)
    return float(np.mean(crps)), float(np.mean(nmae))


def test_sampled_and_exact_scores_are_scoringrules_own() -> None:
    windows, scaling = material()
    found = score_quantiles(forecast, windows, scaling, seed=3)
    batch = windows.gather(torch.arange(len(windows)))
    path, series = forecast(batch), batch.series.numpy()

    draws = path.sample(100, torch.Generator().manual_seed(3)).double().numpy()
    sampled = np.moveaxis(np.quantile(draws, LEVELS, axis=1), 0, -1)
    crps, nmae = reference(windows, scaling, scaling.invert(sampled, series))
    assert found["probts_crps"] == pytest.approx(crps, rel=1e-9)
    assert found["probts_nmae"] == pytest.approx(nmae, rel=1e-9)

    own = np.stack([path.steps().quantile(q) for q in LEVELS], -1)
    crps, nmae = reference(windows, scaling, scaling.invert(own, series))
    assert found["exact_crps"] == pytest.approx(crps, rel=1e-9)
    assert found["exact_nmae"] == pytest.approx(nmae, rel=1e-9)
    assert found["exact_crps"] != pytest.approx(found["probts_crps"], rel=1e-4)


def test_a_bare_path_has_its_nmae_for_crps() -> None:
    windows, scaling = material()
    found = score_quantiles(lambda b: b.context[:, -6:], windows, scaling, seed=0)
    assert found["probts_crps"] == pytest.approx(found["probts_nmae"], rel=1e-9)
    assert found["probts_crps"] == pytest.approx(found["exact_crps"], rel=1e-12)
