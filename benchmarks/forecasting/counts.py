"""Forecasts of passenger counts under four likelihoods, beside the season before.

    python benchmarks/forecasting/counts.py ../shared/data/counts/hangzhou_metro_tensor.mat

Metro stations, 25 days of 108 ten-minute slots each (the night is not in the data): --stations of
them, evenly spaced; 17 days to learn from, 3 to validate, the rest to score, every --step rows.
Each score is in counts, mean over windows, stations and steps. `mass` is −ln of the probability
that the law gives to the count itself, for continuous laws that of [y − ½, y + ½], so that all are
of one kind; a tenth of a nat is a factor of 1.1. `path` scores are of the mean over the horizon.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import torch

import vneuron as vn
from vneuron.forecasting.evaluation import evaluate
from vneuron.forecasting.naive import SeasonalNaive
from vneuron.forecasting.reading import read_frame

DAY, DAYS = 108, (17, 3)
LIKELIHOODS = ("negbinomial", "poisson", "student", "gaussian")
SCORES = ("mae", "crps", "coverage_80", "path_crps", "path_coverage_80", "energy")


def frame_of(path: Path, stations: int) -> pd.DataFrame:
    """The tensor as a long frame with whole-number time."""
    tensor = scipy.io.loadmat(path)["tensor"].astype(np.float64)
    chosen = np.linspace(0, len(tensor) - 1, stations).round().astype(int)
    rows = tensor[chosen].reshape(stations, -1)
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"station {i}" for i in chosen], rows.shape[1]),
            "ds": np.tile(np.arange(rows.shape[1]), stations),
            "y": rows.reshape(-1),
        }
    )


@torch.no_grad()
def mass(forecaster: vn.EVEForecaster, df: pd.DataFrame, step: int) -> float:
    """Mean −ln P(Y = y), nats per step."""
    model = forecaster.model
    panel = read_frame(df, forecaster.config)
    scaling = model.scaling(panel)
    total, count = 0.0, 0
    for batch in model.windows_to_score(panel, step).batches(256):
        series = batch.series.numpy()
        mean, sd = torch.from_numpy(scaling.mean[series]), torch.from_numpy(scaling.sd[series])
        law = model.forecast(batch).rescale(mean, sd).steps()
        y = np.round(scaling.invert(batch.target.double().numpy(), series))
        within = law.cdf(y + 0.5) - law.cdf(y - 0.5)
        total -= float(np.log(np.maximum(within, 1e-12)).sum())
        count += y.size
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--stations", type=int, default=10)
    parser.add_argument("--horizon", type=int, default=18)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--step", type=int, default=9)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--poisson-units", action="store_true", help="run these too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.data.is_file():
        print(f"skipped: no file {options.data}")
        return
    df = frame_of(options.data, options.stations)
    days = len(df) // options.stations // DAY
    test_size = (days - sum(DAYS)) * DAY
    models = [(likelihood, "gaussian") for likelihood in LIKELIHOODS]
    if options.poisson_units:
        models.append(("negbinomial", "poisson"))
    rows = []
    for likelihood, family in models:
        for seed in options.seeds:
            forecaster = vn.EVEForecaster(
                horizon=options.horizon,
                input_size=DAY,
                epochs=options.epochs,
                likelihood=likelihood,
                units_family=family,
                seed=seed,
                quiet=True,
            )
            start = time.process_time()
            forecaster.fit(df, val_size=DAYS[1] * DAY, test_size=test_size)
            seconds = time.process_time() - start
            found = forecaster.evaluate(df, step=options.step)
            name = likelihood if family == "gaussian" else f"{likelihood}, Poisson units"
            row = {"model": name, "mass": mass(forecaster, df, options.step)}
            row |= {score: found["raw"][score] for score in SCORES}
            rows.append(row | {"joint_nll": found["raw"]["joint_nll"], "cpu_s": seconds})
            print({k: v if isinstance(v, str) else round(v, 4) for k, v in rows[-1].items()})
    panel = read_frame(df, forecaster.config)
    naive = evaluate(
        SeasonalNaive(options.horizon, DAY),
        forecaster.model.windows_to_score(panel, options.step),
        forecaster.model.scaling(panel),
        joint=False,
    )
    rows.append({"model": "season before"} | {s: naive.scores["raw"].get(s) for s in SCORES})
    table = pd.DataFrame(rows).astype({"mae": float}).groupby("model", sort=False)
    numbers, spread = table.mean(), table.std()
    print(f"{found['windows']:,} test windows, mean (sd) over {len(options.seeds)} seeds")
    text = numbers.map("{:.4g}".format) + spread.map(lambda v: "" if np.isnan(v) else f" ({v:.2g})")
    print(text.to_string())


if __name__ == "__main__":
    main()
