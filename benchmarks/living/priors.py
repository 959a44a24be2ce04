"""What a prior with a memory, or with a shared cause, changes: on validation rows alone.

Standard, learned, autoregressive at the season and at the papers' lag of 4, and macro, on the same
data, budget and seeds; β stays as it is, so that a nat costs the same everywhere. Printed: joint
NLL per step and MSE at the best epoch, the units' KL and rate in nats per window (with the macro
latent's own), φ, how alike a unit's µ is to itself 24 rows before on validation windows (which
every network is asked alike), and the shares that z carries. In the reference the lag is also the
distance of the two windows that it reads, so there the learned prior is run at both lags.

    python benchmarks/living/priors.py DATA --train-size 8640 --val-size 2880 --test-size 2880
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.data.windows import Windows
from vneuron.forecasting.fitting import train
from vneuron.forecasting.material import prepare
from vneuron.forecasting.model import FittedModel
from vneuron.forecasting.season import season_length
from vneuron.training.record import EpochRecord

APART = 24


class Setting(NamedTuple):
    name: str
    prior: str
    seasonal: bool = False  # or a lag of 4
    paired: bool = False  # only where the network reads pairs of windows


SETTINGS = (
    Setting("standard", "standard"),
    Setting("learned", "learned"),
    Setting("learned, season", "learned", seasonal=True, paired=True),
    Setting("autoregressive, season", "autoregressive", seasonal=True),
    Setting("autoregressive, lag 4", "autoregressive"),
    Setting("macro", "macro"),
)


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    panel = read_table(arguments.data, missing="interpolate", duplicates="first").panel
    rows = []
    for seed in arguments.seeds:
        for setting in SETTINGS:
            if setting.paired and arguments.network != "reference":
                continue
            name = f"{setting.name}-{seed}.json".replace(", ", "-").replace(" ", "")
            kept = arguments.out / name
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(result(panel, arguments, setting, seed)))
            rows.append({"setting": setting.name, **json.loads(kept.read_text())})
            print(rows[-1], flush=True)
    grouped = pd.DataFrame(rows).groupby("setting", sort=False)
    mean, spread = grouped.mean(), grouped.std()
    print(f"validation rows, mean (sd) over {len(arguments.seeds)} seeds")
    print((mean.map("{:.4f}".format) + spread.map(" ({:.4f})".format)).T.to_string())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--input-size", type=int, default=336)
    parser.add_argument("--encoder", default="linear", help="linear, mlp or auto")
    parser.add_argument("--network", default="trajectory")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--control", default="none")
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=8)
    for part in ("train", "val", "test"):
        parser.add_argument(f"--{part}-size", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/priors"))
    return parser.parse_args()


def result(
    panel: Panel, arguments: argparse.Namespace, setting: Setting, seed: int
) -> dict[str, float]:
    config = ForecasterConfig(
        arguments.horizon,
        arguments.input_size,
        units=arguments.units,
        network=arguments.network,
        control=arguments.control,
        beta=arguments.beta,
        epochs=arguments.epochs,
        encoder=arguments.encoder,
        second="none",
        prior=setting.prior,
        lag=season_length(panel.freq) if setting.seasonal else 4,
        seed=seed,
    )
    sizes = {f"{p}_size": getattr(arguments, f"{p}_size") for p in ("train", "val", "test")}
    material = prepare(panel, config, **sizes)
    epochs: list[EpochRecord] = []
    model, outcome = train("EVE", material, quiet=True, on_epoch=epochs.append)
    health = model.health()
    units = health.units[health.units["layer"] == "units"]
    macro = health.units[health.units["layer"] == "macro"]
    share = health.latent_share or {}
    return {
        "joint NLL per step": outcome.best_score,
        "MSE": epochs[outcome.best_epoch - 1].scores["val_mse"],
        "KL": float(units["kl"].sum()),
        "KL of g": float(macro["kl"].sum()),
        "rate": float(units["rate"].sum()),
        "phi": float(units["phi"].mean()),
        "persistence, training": float(units["persistence"].mean()),
        f"persistence, {APART} rows": persistence(model, material.validation),
        "active": float(units["active"].sum()),
        "living": float((units["verdict"] == "living").sum()),
        "variance share of z": share["variance"],
        "likelihood share of z": share["likelihood"],
        "CPU s": outcome.cpu_seconds,
    }


@torch.no_grad()
def persistence(model: FittedModel, windows: Windows) -> float:
    """Mean over units of the correlation of µ with the µ of the window `APART` rows before."""
    loc = torch.cat(
        [
            model.network.read(batch.context, batch.context_observed).latent.loc.flatten(1)
            for batch in windows.batches(2048)
        ]
    )
    same = windows.series[APART:] == windows.series[:-APART]
    now, before = loc[APART:][same], loc[:-APART][same]
    now, before = now - now.mean(0), before - before.mean(0)
    scale = (now.square().mean(0) * before.square().mean(0)).sqrt()
    return float(((now * before).mean(0) / scale.clamp_min(1e-12)).mean())


if __name__ == "__main__":
    main()
