"""EVE beside its baselines on one data set, over several seeds, as one table.

Each seed is one `vneuron fit`, kept below --out; what is there already is not run again.

    python benchmarks/forecasting/compare.py DATA --horizon 96 --input-size 336 \
        --train-size 8640 --val-size 2880 --test-size 2880 --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

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


def main() -> None:
    arguments, further = parse()
    name = Path(arguments.data).name.split(".")[0]
    folder = arguments.out / f"{name}-{arguments.horizon}"
    results = [
        result(arguments, further, folder / f"seed-{seed}", seed) for seed in arguments.seeds
    ]
    frame = pd.concat(
        [rows(seed, found) for seed, found in zip(arguments.seeds, results, strict=True)]
    )
    frame.to_parquet(folder / "results.parquet", index=False)
    print_table(name, frame, results)


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--input-size", type=int, default=336)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    return parser.parse_known_args()


def result(
    arguments: argparse.Namespace, further: list[str], run: Path, seed: int
) -> dict[str, object]:
    """What `vneuron fit --json` printed, now or before."""
    kept = run.with_suffix(".json")
    command = [
        *(sys.executable, "-m", "vneuron", "fit", arguments.data, "--json"),
        *("--horizon", str(arguments.horizon), "--input-size", str(arguments.input_size)),
        *("--seed", str(seed), "--out", str(run), *further),
    ]
    if kept.exists():
        found = json.loads(kept.read_text())
        if found["options"] == command[4:]:
            return found
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    resume = ["--resume"] if run.exists() else []
    done = subprocess.run([*command, *resume], check=True, stdout=subprocess.PIPE, env=environment)
    found = {**json.loads(done.stdout), "options": command[4:]}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found))
    return found


def rows(seed: int, found: dict) -> pd.DataFrame:
    """One row per model."""
    return pd.DataFrame(
        {
            "seed": seed,
            "model": name,
            **{score: own[score] for score in SCORES},
            "train_cpu_seconds": found["train_cpu_seconds"].get(name),
        }
        for name, own in found["test"].items()
    )


def print_table(name: str, frame: pd.DataFrame, results: list[dict]) -> None:
    seeds = frame["seed"].nunique()
    print(f"{name}: {results[0]['windows']:,} test windows, mean (sd) over {seeds} seeds")
    numbers = frame.drop(columns="seed").groupby("model", sort=False)
    mean, spread = numbers.mean(), numbers.std()
    text = mean.map("{:.4f}".format) + spread.map(lambda v: "" if np.isnan(v) else f" ({v:.4f})")
    print(text.where(mean.notna(), "–").to_string())
    print("health:", [found["health"]["counts"] for found in results])


if __name__ == "__main__":
    main()
