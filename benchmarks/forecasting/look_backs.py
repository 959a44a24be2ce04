"""How long a look-back may be: what short trials promise, and what comes on the rows thereafter.

    python benchmarks/forecasting/look_backs.py exchange_rate.csv --horizon 96 --seeds 0 \
        --train-size 3800 --val-size 760 --test-size 1511
    python benchmarks/forecasting/look_backs.py --table

Every candidate for the look-back with every encoder that is tried, trained as the library's trials
are; CRPS and NLL on validation windows and on those of the test rows. Rows that come before the
usual test rows are what a rule may be made on. `--shares` tries other look-backs, such as a
quarter of the horizon. `--table` prints, over all that was run, what comes of the choice by
validation CRPS where a look-back may have such a share of the training rows at most, and, where
shorter ones than the horizon were tried, such a share of the horizon at least: CRPS over the best
candidate's on the test rows, and NLL above it.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import trained

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.context_choice import (
    JUDGED_WINDOWS,
    LEAST_WINDOWS,
    MOST_ROWS,
    SHORT_ROWS,
    TRIED,
    input_sizes,
)
from vneuron.forecasting.data.errors import DataError
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.windows import Windows, evenly_spaced
from vneuron.forecasting.evaluation import step_scores
from vneuron.forecasting.material import prepare
from vneuron.forecasting.trial import Reader, trained_trial

SHARES = (0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 1.0)
LEAST = (1.0, 0.5, 0.25)


def main() -> None:
    kept = trained.table_folder("look_backs")
    if kept is not None:
        print_table(kept)
        return
    options = trained.parser(__doc__)
    options.add_argument("--shares", type=float, nargs="+", help="look-backs, in horizons")
    arguments = options.parse_args()
    sizes = input_sizes(arguments.horizon)
    if arguments.shares:
        sizes = tuple(round(arguments.horizon * share) for share in arguments.shares)
    rows = []
    for seed in arguments.seeds:
        shop = trained.workshop(arguments, seed)
        config = replace(shop.config, encoder="linear", features="window", second="none")
        for size in sizes:
            rows += of_size(shop.panel, replace(config, input_size=size), shop.sizes)
    frame = pd.DataFrame(rows).assign(data=trained.name_of(arguments), horizon=arguments.horizon)
    folder = arguments.out / "look_backs"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / f"{place(arguments)}.parquet")
    print(frame.drop(columns=["data", "horizon"]).round(4).to_string(index=False))


def place(arguments: Namespace) -> str:
    rows = arguments.train_size or "usual"
    others = "".join(f"-{share:g}" for share in arguments.shares or ())
    return f"{trained.name_of(arguments)}-{arguments.horizon}-{rows}{others}"


def of_size(panel: Panel, config: ForecasterConfig, sizes: dict) -> list[dict[str, object]]:
    """Of each encoder with one look-back; none where rows leave no windows."""
    try:
        material = prepare(panel, config, **sizes)
    except DataError as error:
        print(f"look-back {config.input_size}: {error}", file=sys.stderr)
        return []
    data = material.trial_data
    data = data._replace(validation=some(data.validation))
    after = some(trained.tested(material))
    rows = []
    for encoder in TRIED:
        network, promised = trained_trial(Reader(encoder, "window"), data, material.config)
        with torch.no_grad():
            came = step_scores(lambda batch, own=network: own(*batch.inputs), after)
        rows.append(
            {
                "seed": config.seed,
                "rows": int(np.median(material.split.train.lengths)),
                "look-back": config.input_size,
                "encoder": encoder,
                "windows": len(material.train),
                "validation crps": promised.crps,
                "validation nll": promised.nll,
                "test crps": came.crps,
                "test nll": came.nll,
            }
        )
    return rows


def some(windows: Windows) -> Windows:
    return windows.take(evenly_spaced(len(windows), JUDGED_WINDOWS))


def print_table(folder: Path) -> None:
    frame = pd.concat(pd.read_parquet(path) for path in sorted(folder.glob("*.parquet")))
    frame["of horizon"] = frame["look-back"] / frame["horizon"]
    usual = frame[frame["of horizon"] >= LEAST[0]]
    print_choices(usual, "at most", SHARES, lambda trials, share: (trials, share))
    tried = ["data", "rows", "horizon", "seed"]
    shorter = frame[frame.groupby(tried)["of horizon"].transform("min") < LEAST[0]]
    if len(shorter):
        print()
        print_choices(
            shorter,
            "at least, of the horizon",
            LEAST,
            lambda trials, least: (trials[trials["of horizon"] >= least], MOST_ROWS),
        )


def print_choices(
    frame: pd.DataFrame, rule: str, limits: tuple[float, ...], allowed: Callable
) -> None:
    """What comes of the choice under each limit, on average and by data set."""
    found = []
    for (data, rows, _, _), trials in frame.groupby(["data", "rows", "horizon", "seed"]):
        for limit in limits:
            kept, share = allowed(trials, limit)
            best = chosen(kept, share * rows)
            found.append(
                {
                    "case": f"{data}, {rows} rows",
                    rule: limit,
                    "crps": best["test crps"] / trials["test crps"].min(),
                    "nll": best["test nll"] - trials["test nll"].min(),
                }
            )
    table = pd.DataFrame(found)
    means = table.groupby(rule)[["crps", "nll"]].mean()
    by_case = table.pivot_table("crps", rule, "case")
    print(f"{len(table) // len(limits)} choices, mean of each\n{means.round(3).to_string()}")
    print(f"\nCRPS over the best one's, by data\n{by_case.round(3).to_string()}")


def chosen(trials: pd.DataFrame, most: float) -> pd.Series:
    """The trial of the lowest validation CRPS among those whose look-back is allowed."""
    short = trials["look-back"] <= max(SHORT_ROWS, most)
    enough = trials["windows"] >= LEAST_WINDOWS * trials["windows"].max()
    shortest = trials["look-back"] == trials["look-back"].min()
    kept = trials[shortest | (short & enough)]
    return kept.loc[kept["validation crps"].idxmin()]


if __name__ == "__main__":
    main()
