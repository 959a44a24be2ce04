"""The papers' presets of controls on both networks, and what they make of the units.

Every preset on `trajectory` and on `reference`, beside the deterministic twin, with equal data,
budget and seeds: accuracy, and how much of it passes through z, whether units stay in their band,
and how many live. Checkpoints by validation joint NLL; test rows are read once, at the end of each
run. Resumable: each result is kept as it comes.

    python benchmarks/living/presets.py ETTh1.csv --train-size 8640 --val-size 2880 --test-size 2880
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import Contender
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.data.windows import Windows, windows_between
from vneuron.forecasting.evaluation import evaluate
from vneuron.forecasting.fitting import train
from vneuron.forecasting.latent_share import measure_latent_share
from vneuron.forecasting.material import Material, prepare
from vneuron.forecasting.model import FittedModel
from vneuron.vitals.health import health

CONTROLS = ("none", "free", "projection", "homeostasis", "adaptive")
SCORES = ("mse", "crps", "joint_nll", "path_coverage_80")
Results = dict[str, float]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    panel = read_table(arguments.data, missing="interpolate", duplicates="first").panel
    name = Path(arguments.data).name.split(".")[0]
    rows = []
    for seed in arguments.seeds:
        for network in arguments.networks:
            for prior in arguments.priors:
                for control in (*arguments.controls, "twin"):
                    if control == "twin" and prior != arguments.priors[0]:
                        continue  # it has no prior
                    config = configuration(arguments, network, control, prior, seed)
                    setting = (
                        f"{network} {prior} {control}" if control != "twin" else f"{network} twin"
                    )
                    contender: Contender = "twin" if control == "twin" else "EVE"
                    found = kept(
                        arguments.out / name / f"{setting}-{seed}.json",
                        lambda: run(panel, arguments, config, contender),  # noqa: B023
                    )
                    rows.append({"setting": setting, "seed": seed, **found})
    show(name, pd.DataFrame(rows), arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data(parser)
    parser.add_argument("--networks", nargs="+", default=["trajectory", "reference"])
    parser.add_argument("--controls", nargs="+", default=list(CONTROLS))
    parser.add_argument("--priors", nargs="+", default=["learned", "autoregressive"])
    parser.add_argument("--out", type=Path, default=Path("runs/presets"))
    return parser.parse_args()


def add_data(parser: argparse.ArgumentParser, epochs: int = 4) -> None:
    """Which data, how split, and the caps of a run."""
    parser.add_argument("data")
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--input-size", type=int, default=336)
    parser.add_argument("--epochs", type=int, default=epochs)
    for part in ("train", "val", "test"):
        parser.add_argument(f"--{part}-size", type=int)
    parser.add_argument("--step", type=int, default=8, help="rows between scored windows")
    parser.add_argument("--encoder", default="linear", help="linear, mlp or auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def configuration(
    arguments: argparse.Namespace, network: str, control: str, prior: str, seed: int
) -> ForecasterConfig:
    """A network of its usual size; units start at β = .1."""
    usual: dict[str, Any] = {"units": 1024, "dropout": 0.05} if network == "reference" else {}
    return ForecasterConfig(
        arguments.horizon,
        arguments.input_size,
        encoder=arguments.encoder,
        second="none",
        network=network,  # type: ignore[arg-type]
        control="none" if control == "twin" else control,  # type: ignore[arg-type]
        prior=prior,  # type: ignore[arg-type]
        beta=0.1,
        epochs=arguments.epochs,
        seed=seed,
        **usual,
    )


def kept(path: Path, compute: Callable[[], Results]) -> Results:
    """A result from its file, or computed and written there whole."""
    path = path.with_name(path.name.replace(" ", "_"))
    if not path.exists():
        found = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found))
        os.replace(part, path)
        print(path.stem, {k: round(v, 4) for k, v in found.items()}, flush=True)
    loaded: Results = json.loads(path.read_text())
    return loaded


def run(
    panel: Panel, arguments: argparse.Namespace, config: ForecasterConfig, contender: Contender
) -> Results:
    """One fit: validation and test scores, what z carries, and the units' state at the end."""
    sizes = {f"{p}_size": getattr(arguments, f"{p}_size") for p in ("train", "val", "test")}
    material = prepare(panel, config, **sizes)
    config = material.config
    model, outcome = train(contender, material, quiet=True)
    found = scores(model, held_out(material, config, arguments.step), panel, "val_")
    test = model.windows_to_score(panel, arguments.step)
    if len(test):
        found |= scores(model, test, panel, "")
    if contender == "EVE":
        share = measure_latent_share(model.network, material.validation)
        found |= {"z_variance": share.variance, "z_likelihood": share.likelihood}
    found |= units_state(model)
    found["cpu_seconds"] = outcome.cpu_seconds
    return found


def held_out(material: Material, config: ForecasterConfig, step: int) -> Windows:
    """Validation windows, every `step` rows."""
    rows = material.split.val
    return windows_between(material.flat, rows, config.lookback, config.horizon, step)


def scores(model: FittedModel, windows: Windows, panel: Panel, prefix: str) -> Results:
    seed = model.config.seed
    found = evaluate(model.forecast, windows, model.scaling(panel), seed=seed).scores
    return {prefix + name: found[name] for name in SCORES}


def units_state(model: FittedModel) -> Results:
    """Of the weights that were kept; nothing for a model whose units have no posterior."""
    if model.network.units is None or not model.network.units.variational:
        return {}
    state = health(model.network)
    units, count = state.units, len(state.units)
    found = {name: float(units[name].sum()) for name in ("kl", "rate")}
    found |= {name: float(units[name].mean()) for name in ("energy", "beta", "persistence")}
    for verdict in ("living", "static", "ignored", "dead"):
        found[verdict] = state.counts.get(verdict, 0) / count
    layer = state.layers[0]
    found["inside"] = layer.band.get("inside", math.nan)
    found["inside_original"] = layer.original_band.get("inside", math.nan)
    return found


def show(name: str, frame: pd.DataFrame, arguments: argparse.Namespace) -> None:
    print(
        f"\n{name}: mean (sd) over seeds {arguments.seeds}; {arguments.epochs} epochs, every "
        f"{arguments.step}th window scored; KL, rate and use in nats per window"
    )
    grouped = frame.drop(columns="seed").groupby("setting", sort=False)
    mean, spread = grouped.mean(), grouped.std()
    table = mean.map("{:.4g}".format) + spread.map(" ({:.1g})".format)
    with pd.option_context("display.width", 200, "display.max_columns", 99):
        print(table.T.to_string())
    if "networks" in arguments and "mse" in frame:
        print("\ncorrelation of test MSE over runs with the share of units out of the band as set")
        for network in arguments.networks:
            own = frame[frame["setting"].str.startswith(network)].dropna(subset=["inside_original"])
            if len(own) > 2:
                outside = 1.0 - own["inside_original"]
                print(f"    {network}: {outside.corr(own['mse']):.2f} over {len(own)} runs")


if __name__ == "__main__":
    main()
