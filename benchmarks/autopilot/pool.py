"""Whole learning curves, with vitals, of configurations drawn at random: what pruners are fitted
and compared on. Reads training and validation rows only.

    python benchmarks/autopilot/pool.py DATA_FOLDER --sets ETTh1 Exchange ILI --trials 30

Caps: 5 epochs of 12 steps of 64 windows, 256 validation windows. Resumable: one Parquet file per
set, rewritten after each trial.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import process_time

import optuna
import pandas as pd
from protocol import SETS, bench_of, plan_of, space_for, write_parquet

from vneuron.autopilot.space import configuration
from vneuron.autopilot.trial import attempt


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    options.add_argument("--trials", type=int, default=30)
    options.add_argument("--seconds", type=float, default=1e9, help="CPU-seconds of this call")
    options.add_argument("--out", type=Path, default=Path("runs/autopilot/pool"))
    arguments = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in arguments.sets:
        grow(name, arguments)


def grow(name: str, arguments: argparse.Namespace) -> None:
    plan = plan_of(name)
    space = space_for(plan.base)
    bench = bench_of(arguments.data, name, plan)
    path = arguments.out / f"{name}.parquet"
    rows = pd.read_parquet(path).to_dict("records") if path.exists() else []
    while len(rows) < arguments.trials and process_time() < arguments.seconds:
        number = len(rows)
        sampler = optuna.samplers.RandomSampler(seed=1000 + number)
        values = space.suggest(optuna.create_study(sampler=sampler).ask())
        found = attempt(configuration(plan.base, values), bench, plan, lambda line: None)
        rows.append(
            {
                "number": number,
                "options": json.dumps(values),
                "epochs": json.dumps(found.epochs),
                "diverged": found.diverged,
                "constraints": json.dumps(found.constraints),
                **found.values,  # noqa: PD011
            }
        )
        write_parquet(path, pd.DataFrame(rows))
        print(name, number, f"{found.values.get('joint_nll', float('nan')):.4f}", flush=True)  # noqa: PD011
    print(f"{name}: {len(rows)} trials, {process_time():.0f} CPU-seconds in this call")


if __name__ == "__main__":
    main()
