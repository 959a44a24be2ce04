"""What latent dimensions within a unit do: k = 1 to 16, at equal N · k and at equal N.

Forecasts of `trajectory` under budgets by use, equal data, budget and seeds, scored on validation
rows only. At equal N · k all have the same weights, and differ in how they are governed: one β, one
verdict and one decision for k dimensions together. Resumable, as `presets.py`.

    python benchmarks/living/latent_dim.py ETTh1.csv --train-size 8640 --val-size 2880
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.fitting import train
from vneuron.forecasting.material import prepare

sys.path.insert(0, str(Path(__file__).parent))
from presets import Results, add_data, held_out, kept, scores, show, units_state

DIMENSIONS = (1, 2, 4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data(parser, epochs=3)
    parser.add_argument("--latents", type=int, default=32, help="N · k where that is equal")
    parser.add_argument("--units", type=int, default=4, help="N where that is equal")
    parser.add_argument("--out", type=Path, default=Path("runs/latent_dim"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    panel = read_table(arguments.data, missing="interpolate", duplicates="first").panel
    name = Path(arguments.data).name.split(".")[0]
    sizes = {(arguments.latents // k, k) for k in DIMENSIONS}
    sizes |= {(arguments.units, k) for k in DIMENSIONS}
    rows = []
    for seed in arguments.seeds:
        for units, k in sorted(sizes, key=lambda size: (size[0] * size[1], size[1])):
            setting = f"N={units} k={k}"
            found = kept(
                arguments.out / name / f"{setting}-{seed}.json",
                lambda: run(panel, arguments, units, k, seed),  # noqa: B023
            )
            rows.append({"setting": setting, "seed": seed, **found})
    show(name, pd.DataFrame(rows), arguments)


def run(panel: Panel, arguments: argparse.Namespace, units: int, k: int, seed: int) -> Results:
    config = ForecasterConfig(
        arguments.horizon,
        arguments.input_size,
        units=units,
        latent_dim=k,
        second="none",
        epochs=arguments.epochs,
        seed=seed,
    )
    sizes = {f"{part}_size": getattr(arguments, f"{part}_size") for part in ("train", "val")}
    material = prepare(panel, config, **sizes)
    model, outcome = train("EVE", material, quiet=True)
    found = scores(model, held_out(material, config, arguments.step), panel, "val_")
    return found | units_state(model) | {"cpu_seconds": outcome.cpu_seconds}


if __name__ == "__main__":
    main()
