"""A run folder made up from plausible numbers, so that pages can be tested without training."""

import numpy as np
import pandas as pd
import pytest

from vneuron.training.run_folder import RunFolder

LEVELS = np.arange(0.05, 1.0, 0.05)
HORIZON = 48
HISTORY = 168


def fabricate(path, *, series=("OT", "HUFL", "LULL"), units=8, epochs=12, windows=3, seed=0):
    """Write a whole run to `path`; leave files out afterwards to make a partial one."""
    rng = np.random.default_rng(seed)
    with RunFolder.create(path) as run:
        run.write_json("config.json", config(series, units))
        run.write_bytes("checkpoints/best.safetensors", b"weights")
        run.keep()
        write_events(run, rng, epochs)
        run.write_parquet("vitals.parquet", vitals(rng, units, epochs))
        run.write_json("metrics.json", metrics(rng, units))
        run.write_parquet("forecasts.parquet", forecasts(rng, series, windows))
    return run


def config(series, units):
    return {
        "vneuron": "0.1.0",
        "model": {
            "horizon": HORIZON,
            "input_size": 336,
            "units": units,
            "latent_dim": 1,
            "network": "trajectory",
            "control": "adaptive",
            "objective": "rate",
            "max_epochs": 12,
            "seed": 0,
        },
        "data": {
            "path": "data/ETTh1.csv",
            "kind": "wide",
            "time_col": "date",
            "target": list(series),
            "freq": "h",
            "series": list(series),
            "rows": 17420,
            "train_size": 11640,
            "val_size": 2880,
            "test_size": 2900,
            "scaling": {name: [13.2 + i, 8.4] for i, name in enumerate(series)},
            "notes": ["sorted 3 unsorted rows of series OT"],
        },
        "seed": 0,
        "created": "2025-03-04T09:12:33+00:00",
    }


def write_events(run, rng, epochs):
    with run.events() as events:
        events.write("start", model="EVE")
        for model, level in (("EVE", 0.0), ("lowrank", 0.03), ("twin", 0.5), ("linear", 0.53)):
            for epoch in range(1, epochs + 1):
                decay = np.exp(-epoch / 3) + 0.02 * max(0, epoch - 8)
                events.write(
                    "epoch",
                    model=model,
                    epoch=epoch,
                    step=225 * epoch,
                    loss=level + 0.9 * np.exp(-epoch / 3) + 0.01 * rng.standard_normal(),
                    nll=level + 0.5,
                    kl=3.0,
                    alive=0.8,
                    val_joint_nll=level + decay + 0.01 * rng.standard_normal(),
                    val_nll=0.6,
                    seconds=4.2,
                )
        events.write("stop", reason="patience", epoch=epochs)


def vitals(rng, units, epochs):
    strength = np.sort(rng.gamma(1.2, 0.25, units))[::-1]
    strength[-max(1, units // 6) :] = 1e-6
    static = rng.random(units) < 0.3
    parts = []
    for epoch in range(1, epochs + 1):
        grown = strength * (1 - np.exp(-epoch / 3)) * rng.lognormal(0, 0.1, units)
        use = np.where(grown > 1e-4, 0.8 * grown, 0.0)
        dynamic = use * np.where(static, 0.03, rng.uniform(0.3, 0.9, units))
        rate = np.where(static, 1e-4, grown)
        verdict = np.where(grown < 1e-4, "dead", np.where(static, "static", "living"))
        parts.append(
            pd.DataFrame(
                {
                    "model": "EVE",
                    "epoch": epoch,
                    "step": 225 * epoch,
                    "layer": "units",
                    "unit": np.arange(units),
                    "kl": grown,
                    "energy": 0.3 * grown + 0.02,
                    "rate": rate,
                    "loc_variance": rate,
                    "scale_mean": 1 / (1 + grown),
                    "beta": 0.1,
                    "use": use if epoch % 2 == 0 or epoch == epochs else np.nan,
                    "dynamic_use": dynamic if epoch % 2 == 0 or epoch == epochs else np.nan,
                    "outcome_information": 0.5 * grown,
                    "alive": grown > 1e-4,
                    "active": rate > 0.01,
                    "verdict": verdict,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def metrics(rng, units):
    def scores(mse, crps, nll, joint, path):
        return {
            "mse": mse,
            "mae": 0.42 * np.sqrt(mse / 0.36),
            "crps": crps,
            "nll": nll,
            "coverage_80": 0.81,
            "coverage_95": 0.94,
            "joint_nll": joint,
            "path_crps": None if path is None else 0.3 - 0.1 * path,
            "path_coverage_80": path,
            "energy": None if path is None else crps * 1.38,
            "raw": {
                "mse": mse * 70.6,
                "mae": 0.42 * np.sqrt(mse / 0.36) * 8.4,
                "crps": crps * 8.4,
                "nll": None if nll is None else nll + 2.13,
                "coverage_80": 0.81,
                "coverage_95": 0.94,
                "joint_nll": None if joint is None else joint + 2.13,
                "path_crps": None,
                "path_coverage_80": path,
                "energy": None,
            },
        }

    def curve(slope, path_slope):
        bins = np.ones(20) / 20 + 0.004 * rng.standard_normal(20)
        return {
            "levels": LEVELS,
            "coverage": LEVELS**slope,
            "path_coverage": LEVELS**path_slope,
            "pit": bins / bins.sum(),
        }

    return {
        "test": {
            "EVE": scores(0.3597, 0.2791, 0.5968, -0.0221, 0.812),
            "twin": scores(0.3651, 0.2824, 0.6172, 0.539, 0.231),
            "linear": scores(0.3592, 0.2782, 0.6011, 0.531, 0.243),
            "lowrank": scores(0.3591, 0.2783, 0.6008, -0.0012, 0.818),
            "residual": scores(0.3713, 0.2951, None, None, 0.44),
            "seasonal_naive": scores(0.512, 0.351, None, None, 0.51),
            "repeat_last": scores(1.294, 0.571, None, None, None),
        },
        "windows": 2804,
        "calibration": {
            "EVE": curve(0.97, 1.02),
            "lowrank": curve(0.98, 1.0),
            "twin": curve(0.9, 2.6),
            "linear": curve(0.92, 3.1),
        },
        "health": {
            "counts": {"living": units - units // 3, "static": units // 3},
            "ok": True,
            "layers": [],
        },
        "seconds": {"fit": 184.2, "evaluate": 12.4},
    }


def forecasts(rng, series, windows):
    steps = np.arange(1 - HISTORY, HORIZON + 1)
    future = steps > 0
    z = {50: 0.674, 80: 1.282, 95: 1.96}
    parts = []
    for i, name in enumerate(series):
        for w in range(windows):
            cutoff = pd.Timestamp("2018-02-01") + pd.Timedelta(days=9 * w)
            ds = cutoff + pd.to_timedelta(steps, unit="h")
            level = 15.0 + 4.0 * i
            season = 4.0 * np.sin(2 * np.pi * (steps + 5 * w) / 24)
            walk = np.cumsum(rng.normal(0, 0.28, len(steps)))
            y = level + season + walk - walk[HISTORY - 1] + rng.normal(0, 0.5, len(steps))
            mean = np.where(future, level + season + 0.02 * steps, np.nan)
            sd = np.where(future, 0.6 + 0.28 * np.sqrt(np.maximum(steps, 1)), np.nan)
            columns = {
                "unique_id": name,
                "cutoff": cutoff,
                "ds": ds,
                "step": steps,
                "y": y,
                "EVE": mean,
                "EVE-median": mean,
                "EVE-unit-sd": 0.8 * sd,
                "EVE-noise-sd": 0.6 * sd,
                "EVE-novelty": np.where(future, 1.1 + 0.4 * w, np.nan),
            }
            for grade, quantile in z.items():
                columns[f"EVE-lo-{grade}"] = mean - quantile * sd
                columns[f"EVE-hi-{grade}"] = mean + quantile * sd
            for p in range(1, 21):
                path = np.cumsum(rng.normal(0, 0.28, len(steps)) * future)
                columns[f"EVE-path-{p}"] = mean + path + rng.normal(0, 0.55, len(steps))
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def make_run():
    """The function that writes a made-up run."""
    return fabricate
