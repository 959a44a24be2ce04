"""Forecasts that follow what recent ones have missed by, beside those as fitted.

Models of `run.py` (trained here, or found trained) are scored on the test rows twice: as they are,
and with the spread of each window's forecast scaled by errors that were known by its origin.

    python benchmarks/forecasting/following.py DATA --horizon 96 --models EVE lowrank twin

`--choose spread` or `level` prints scores over how fast they follow, for rows before the usual test
rows, such as `--train-size 5760 --val-size 2880 --test-size 2880` of ETTh1.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterator
from itertools import product

import pandas as pd
import trained

from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.windows import Windows
from vneuron.forecasting.evaluation import evaluate
from vneuron.forecasting.following.following import DEFAULT, Rates
from vneuron.forecasting.following.level import LevelRates
from vneuron.forecasting.following.spread import SpreadRates
from vneuron.forecasting.model import FittedModel

SHOWN = ("mse", "crps", "nll", "coverage_80", "coverage_95", "joint_nll", "path_crps")
SHOWN += ("path_coverage_80", "energy")
NO_LEVEL, NO_SPREAD = LevelRates(evidence=math.inf), SpreadRates(rate=0.0, own_rate=0.0)
WAYS = {"spread alone": Rates(NO_LEVEL), "followed": DEFAULT}

GRIDS: dict[str, list[Rates]] = {
    "spread": [
        Rates(NO_LEVEL, SpreadRates(rate, half_life, own))
        for rate, half_life, own in product((0.1, 0.2, 0.3, 0.5, 1.0), (2, 4, 8, 32), (0, 0.1, 0.2))
    ],
    "level": [
        Rates(LevelRates(rate, half_life, evidence), NO_SPREAD)
        for rate, half_life, evidence in product((0.1, 0.3, 1.0), (1, 4, 8), (-math.inf, 0.1, 0.3))
    ],
}


def main() -> None:
    parser = trained.parser(__doc__)
    parser.add_argument("--models", nargs="+", default=["EVE"])
    parser.add_argument("--step", type=int, default=1, help="rows between windows")
    parser.add_argument("--choose", choices=GRIDS, help="scores over how fast to follow")
    arguments = parser.parse_args()
    rows = pd.DataFrame(list(_choose(arguments) if arguments.choose else _compare(arguments)))
    keys = [name for name in rows.columns if name not in {*SHOWN, "seed"}]
    found = rows.drop(columns="seed").groupby(keys, sort=False)
    print(f"{trained.name_of(arguments)}, {arguments.horizon} steps, seeds {arguments.seeds}")
    print(found.mean().round(4).to_string())
    if len(arguments.seeds) > 1 and not arguments.choose:
        print("standard deviation over seeds")
        print(found.std().round(4).to_string())


def _models(arguments: Namespace) -> Iterator[tuple[int, str, FittedModel, Panel, Windows]]:
    for seed in arguments.seeds:
        shop = trained.workshop(arguments, seed)
        for name in arguments.models:
            model = shop.contender(name)[0]
            windows = model.windows_to_score(shop.panel, arguments.step)
            yield seed, name, model, shop.panel, windows


def _compare(arguments: Namespace) -> Iterator[dict[str, object]]:
    for seed, name, model, panel, windows in _models(arguments):
        ways = {"as fitted": model} | {n: model.following(panel, r) for n, r in WAYS.items()}
        for way, own in ways.items():
            scores = evaluate(own.forecast, windows, model.scaling(panel), seed=seed).scores
            yield {"model": name, "forecasts": way, "seed": seed} | {n: scores[n] for n in SHOWN}


def _choose(arguments: Namespace) -> Iterator[dict[str, object]]:
    for seed, name, model, panel, windows in _models(arguments):
        for rates in (Rates(NO_LEVEL, NO_SPREAD), *GRIDS[arguments.choose]):
            own = model.following(panel, rates)
            scores = evaluate(own.forecast, windows, model.scaling(panel), joint=False).scores
            chosen = rates.level if arguments.choose == "level" else rates.spread
            key = {"model": name, **chosen._asdict(), "seed": seed}
            yield key | {n: scores[n] for n in SHOWN[:5]}


if __name__ == "__main__":
    main()
