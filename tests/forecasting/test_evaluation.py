"""Scoring of one model: both units agree, the truth is calibrated, gaps count nothing."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.scaling import Scaling
from vneuron.forecasting.data.split import RowRange
from vneuron.forecasting.data.windows import flatten, windows_between
from vneuron.forecasting.evaluation import CHUNK, evaluate
from vneuron.forecasting.laws.predictive import TrajectoryDistribution

L, H = 4, 5
KEYS = {
    "mse", "mae", "crps", "nll", "coverage_80", "coverage_95", "joint_nll", "path_crps",
    "path_coverage_80", "energy",
}  # fmt: skip


def panel_of(*values):
    parts = [
        pd.DataFrame({"unique_id": f"s{i}", "ds": range(len(v)), "y": v})
        for i, v in enumerate(values)
    ]
    return Panel.from_frame(pd.concat(parts), freq=1, missing="mask")


def windows_of(panel, scaling, step=1):
    zero, whole = np.zeros(len(panel), dtype=np.int64), panel.lengths
    return windows_between(flatten(panel, scaling), RowRange(zero, whole), L, H, step)


def identity(panel):
    return Scaling(panel.ids, np.zeros(len(panel)), np.ones(len(panel)))


LOADING = torch.randn(H, 2, generator=torch.Generator().manual_seed(0))


def wide(batch):
    """A forecast in the units of its windows: their mean, with a spread as wide as they are."""
    size = batch.context.std(-1, keepdim=True).expand(-1, H) + 0.1
    loc = batch.context.mean(-1, keepdim=True).expand(-1, H)
    return TrajectoryDistribution(loc, size, torch.tensor(4.0), LOADING, torch.ones(2))


def test_raw_scores_are_the_scores_of_raw_forecasts(rng):
    panel = panel_of(rng.normal(3, 2, size=60), rng.normal(-50, 10, size=40))
    scaling = Scaling.fit(panel)

    def unscaled(batch):
        mean, sd = (torch.from_numpy(v)[batch.series] for v in (scaling.mean, scaling.sd))
        moved = batch._replace(context=(batch.context - mean[:, None]) / sd[:, None])
        return wide(moved).rescale(mean, sd)

    found = evaluate(wide, windows_of(panel, scaling), scaling).scores
    direct = evaluate(unscaled, windows_of(panel, identity(panel)), identity(panel)).scores
    assert found["raw"].keys() == KEYS
    for name, value in found["raw"].items():
        # the two draw their sample paths alike, in single and in double precision
        tolerance = 0.05 if name == "energy" else 1e-4
        assert value == pytest.approx(direct[name], rel=tolerance, abs=tolerance), name
    assert found["mse"] != pytest.approx(found["raw"]["mse"], rel=0.1)


def test_by_hand_on_one_window():
    panel = panel_of([1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 6.0])

    def normal(batch):
        return TrajectoryDistribution(torch.full((1, H), 5.0), torch.full((1, H), 2.0), None)

    found = evaluate(normal, windows_of(panel, identity(panel)), identity(panel))
    scores = found.scores
    assert found.windows == 1
    assert scores["mse"] == pytest.approx(0.2)
    assert scores["mae"] == pytest.approx(0.2)
    per_step = 0.5 * math.log(2 * math.pi) + math.log(2) + 0.5 * 0.2 / 4
    assert scores["nll"] == pytest.approx(per_step)
    assert scores["joint_nll"] == pytest.approx(per_step, rel=1e-5)
    assert scores["coverage_80"] == scores["path_coverage_80"] == 1.0


def test_a_bare_path_defines_no_density():
    panel = panel_of(np.arange(9.0))
    found = evaluate(lambda b: b.context[:, -1:].expand(-1, H), windows_of(panel, identity(panel)),
                     identity(panel)).scores  # fmt: skip
    assert found.keys() - {"raw"} == KEYS
    assert (found["mse"], found["mae"], found["crps"]) == (11.0, 3.0, 3.0)
    assert found["path_crps"] == 3.0
    assert found["energy"] == pytest.approx(11**0.5)
    for name in ("nll", "joint_nll", "coverage_80", "coverage_95", "path_coverage_80"):
        assert found[name] is None
        assert found["raw"][name] is None


def test_a_model_of_single_steps_has_no_joint_scores(rng):
    panel = panel_of(rng.normal(size=30))
    found = evaluate(wide, windows_of(panel, identity(panel)), identity(panel), joint=False).scores
    undefined = {name for name in KEYS if found[name] is None}
    assert undefined == {"joint_nll", "path_crps", "path_coverage_80", "energy"}


@pytest.mark.parametrize("df", [4.0, None])
def test_who_knows_the_truth_is_calibrated_and_scores_best(df):
    """Windows drawn from the law that is forecast; then the same law too wide, and without C."""
    count = 3000
    law = TrajectoryDistribution(
        torch.zeros(count, H),
        torch.full((count, H), 0.7),
        None if df is None else torch.tensor(df),
        LOADING,
        torch.tensor([1.0, 2.0]),
    )
    target = law.sample(1, torch.Generator().manual_seed(0))[:, 0]
    values = torch.cat([torch.zeros(count, L), target], dim=1).reshape(-1).numpy()
    panel = panel_of(values)
    windows = windows_of(panel, identity(panel), step=L + H)
    assert len(windows) == count

    def forecast(scale=0.7, loading=LOADING):
        def of(batch):
            n = len(batch.target)
            return TrajectoryDistribution(
                torch.zeros(n, H),
                torch.full((n, H), scale),
                law.df,
                loading,
                None if loading is None else law.unit_scale,
            )

        return of

    truth = evaluate(forecast(), windows, identity(panel))
    scores = truth.scores
    for name, level in (("path_coverage_80", 0.8), ("coverage_80", 0.8), ("coverage_95", 0.95)):
        # steps of a window are dependent: count windows, not steps
        assert abs(scores[name] - level) < 4 * (level * (1 - level) / count) ** 0.5
    pit = np.asarray(truth.calibration["pit"])
    assert np.abs(pit - 1 / len(pit)).max() < 4 * (1 / len(pit) / count) ** 0.5
    for wrong in (forecast(scale=1.4), forecast(loading=None)):
        other = evaluate(wrong, windows, identity(panel)).scores
        assert other["joint_nll"] > scores["joint_nll"]
        assert other["energy"] > scores["energy"]
        assert other["path_crps"] > scores["path_crps"]
        assert abs(other["path_coverage_80"] - 0.8) > 0.05


def test_missing_steps_count_nothing(rng):
    values = rng.normal(size=60)
    gaps = values.copy()
    gaps[[20, 33, 34]] = np.nan
    panel = panel_of(gaps)
    windows = windows_of(panel, identity(panel))
    found = evaluate(wide, windows, identity(panel)).scores
    batch = windows.gather(torch.arange(len(windows)))
    path, seen = wide(batch), batch.target_observed
    error = (batch.target - path.loc).square()[seen]
    assert found["mse"] == pytest.approx(float(error.mean()), rel=1e-5)
    nll = path.marginal_nll(batch.target)[seen]
    assert found["nll"] == pytest.approx(float(nll.mean()), rel=1e-5)
    joint = path.joint_nll(batch.target, seen) / seen.sum(-1)
    assert found["joint_nll"] == pytest.approx(float(joint.mean()), rel=1e-5)
    whole = [k for k in range(len(windows)) if bool(seen[k].all())]
    mean_loc, mean_scale = path.linear(torch.full((H,), 1 / H))
    held = (batch.target.mean(-1) - mean_loc).abs() < 1.5332062 * mean_scale  # t_4, 80%
    assert found["path_coverage_80"] == pytest.approx(float(held[whole].float().mean()))


def test_scores_do_not_depend_on_how_windows_are_chunked(rng):
    panel = panel_of(rng.normal(size=CHUNK + 60))
    windows = windows_of(panel, identity(panel))
    assert len(windows) > CHUNK
    found = evaluate(wide, windows, identity(panel)).scores
    batch = windows.gather(torch.arange(len(windows)))
    nll = wide(batch).joint_nll(batch.target).mean() / H
    assert found["joint_nll"] == pytest.approx(float(nll), rel=1e-5)


def test_the_seed_decides_the_energy_score_alone(rng):
    panel = panel_of(rng.normal(size=40))
    windows = windows_of(panel, identity(panel))
    first, again, other = (
        evaluate(wide, windows, identity(panel), seed=seed).scores for seed in (1, 1, 2)
    )
    assert first == again
    differing = {name for name in KEYS if first[name] != other[name]}
    assert differing == {"energy"}


def test_huge_values_are_scored_in_both_units(rng):
    panel = panel_of(1e9 + 1e3 * rng.normal(size=60))
    scaling = Scaling.fit(panel)
    found = evaluate(wide, windows_of(panel, scaling), scaling).scores
    assert 0.1 < found["mse"] < 10
    assert found["raw"]["mse"] == pytest.approx(found["mse"] * scaling.sd[0] ** 2)
    assert found["raw"]["nll"] == pytest.approx(found["nll"] + math.log(scaling.sd[0]))
