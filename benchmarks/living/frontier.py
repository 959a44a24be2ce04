"""The budget finds the information: joint NLL and path coverage against the units' rate.

A static low-rank head, prices of information fixed from 0 to 1, the papers' thermostat, and
budgets by use (`control="adaptive"`), on the same data, budget and seeds; checkpoints by
validation joint NLL, scores on test rows. Resumable: each result is kept as it comes.

    python benchmarks/living/frontier.py DATA --train-size 5311 --val-size 760 --test-size 1517
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import Contender
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.evaluation import evaluate
from vneuron.forecasting.fitting import train
from vneuron.forecasting.material import prepare
from vneuron.vitals.health import health


@dataclass(frozen=True)
class Setting:
    name: str
    contender: Contender = "EVE"
    control: str = "none"
    beta: float = 0.1


SETTINGS = (
    Setting("static head", "lowrank"),
    Setting("β = 0", beta=0.0),
    Setting("β = 0.01", beta=0.01),
    Setting("β = 0.1", beta=0.1),
    Setting("β = 1", beta=1.0),
    Setting("thermostat", control="free"),
    Setting("adaptive", control="adaptive"),
)
SCORES = ("joint_nll", "path_coverage_80", "path_crps", "energy", "crps", "mse")


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    panel = read(arguments.data, arguments.every)
    name = Path(arguments.data).name.split(".")[0]
    folder = arguments.out / name
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in arguments.seeds:
        for setting in SETTINGS:
            if arguments.settings and setting.name not in arguments.settings:
                continue
            kept = folder / f"{setting.name}-{seed}.json".replace(" ", "")
            if not kept.exists():
                kept.write_text(json.dumps(result(panel, arguments, setting, seed)))
            rows.append({**json.loads(kept.read_text()), "setting": setting.name, "seed": seed})
    frame = pd.DataFrame(rows)
    frame.to_parquet(folder / "frontier.parquet", index=False)
    print(f"{name}: test scores, mean (sd) over {len(arguments.seeds)} seeds; rate in nats")
    numbers = frame.drop(columns="seed").groupby("setting", sort=False)
    mean, spread = numbers.mean(), numbers.std()
    print((mean.map("{:.4f}".format) + spread.map(" ({:.4f})".format)).to_string())
    for setting in ("thermostat", "adaptive"):
        beyond = pd.Series([beyond_frontier(own, setting) for _, own in frame.groupby("seed")])
        print(
            f"{setting}: {beyond.mean():+.4f} ({beyond.std():.4f}) nats per step from the frontier "
            "of fixed prices at its rate (below zero is better)"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--input-size", type=int, default=336)
    parser.add_argument("--epochs", type=int, default=8)
    for part in ("train", "val", "test"):
        parser.add_argument(f"--{part}-size", type=int)
    parser.add_argument("--step", type=int, default=1, help="rows between test windows")
    parser.add_argument("--every", type=int, default=1, help="use every n-th row of the file")
    parser.add_argument("--settings", nargs="+", help="only settings with these names")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/frontier"))
    return parser.parse_args()


def beyond_frontier(own: pd.DataFrame, setting: str) -> float:
    """Joint NLL of a setting over that of fixed prices, interpolated to its rate; one seed's.

    The frontier is the lower envelope in rate: a fixed price that is worse at a higher rate than
    another at a lower one does not count.
    """
    fixed = own[own["setting"].str.startswith(("static", "β"))].sort_values("rate")
    found = own[own["setting"] == setting].iloc[0]
    best = fixed["joint_nll"].cummin()
    return float(found["joint_nll"] - np.interp(found["rate"], fixed["rate"], best))


def read(path: str, every: int) -> Panel:
    """The file's series; thinned, its dates are nominal: every series keeps each n-th row."""
    if every == 1:
        return read_table(path, missing="interpolate", duplicates="first").panel
    frame = pd.read_csv(path).iloc[::every].reset_index(drop=True)
    long = frame.drop(columns="date").melt(var_name="unique_id", value_name="y", ignore_index=False)
    return Panel.from_frame(long.rename_axis("ds").reset_index())


def result(
    panel: Panel, arguments: argparse.Namespace, setting: Setting, seed: int
) -> dict[str, float]:
    config = ForecasterConfig(
        arguments.horizon,
        arguments.input_size,
        epochs=arguments.epochs,
        beta=setting.beta,
        control=setting.control,
        second="none",
        seed=seed,
    )
    sizes = {f"{p}_size": getattr(arguments, f"{p}_size") for p in ("train", "val", "test")}
    material = prepare(panel, config, **sizes)
    model, outcome = train(setting.contender, material, quiet=True)
    windows = model.windows_to_score(panel, arguments.step)

    scores = evaluate(model.forecast, windows, model.scaling(panel), seed=seed).scores
    found = {score: scores[score] for score in SCORES}
    found |= {"rate": 0.0, "kl": 0.0, "living": 0.0}
    if setting.contender == "EVE":
        units = health(model.network).units
        found["rate"], found["kl"] = float(units["rate"].sum()), float(units["kl"].sum())
        found["living"] = float((units["verdict"] == "living").sum())
    found["cpu_seconds"] = outcome.cpu_seconds
    print(setting.name, seed, {k: round(v, 4) for k, v in found.items()}, flush=True)
    return found


if __name__ == "__main__":
    main()
