"""What a second reader of the window is worth, readers of six kinds trained apart.

    python benchmarks/forecasting/readers.py ETTh1.csv --max-steps 300 --seeds 0 \
        --train-size 5760 --val-size 2880 --test-size 2880
    python benchmarks/forecasting/readers.py weather.csv --max-steps 100 --seeds 0 --far 720 1344 \
        --train-size 26000 --val-size 5270 --test-size 10890
    python benchmarks/forecasting/readers.py exchange_rate.csv --max-steps 300 --seeds 0 1 \
        --short 12 24 --train-size 3800 --val-size 760 --test-size 1511
    python benchmarks/forecasting/readers.py --table

Encoders linear and mlp, told the window, its place, or all; with `--far` also multiscale ones of
the window alone that look further back, with `--short` deep ones of its last rows alone, as the
second of a pair. For every pair: scores of the pool on test rows over those of the first reader
alone, for shares of the second and powers of the spread by which readers are weighed, for the share
that is best on validation rows, and for the one that is chosen there. Rows that come before the
usual test rows are what a choice may be made on. `--table` prints means over all data sets and
horizons that were run.
"""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import trained
from numpy.typing import NDArray

from vneuron.forecasting.contenders import second_encoder
from vneuron.forecasting.data.windows import Windows, evenly_spaced
from vneuron.forecasting.laws.law import StudentLaw
from vneuron.forecasting.model import FittedModel
from vneuron.forecasting.networks.features import Encoder
from vneuron.forecasting.networks.place_features import FeatureKind
from vneuron.forecasting.second_choice import other_kind
from vneuron.forecasting.task import SHARES, most_even
from vneuron.forecasting.trial import Reader

Array = NDArray[np.float64]


class Kind(NamedTuple):
    """A reader: its encoder, what it is told, and how many rows it reads; 0 is the look-back."""

    encoder: Encoder
    features: FeatureKind
    rows: int = 0

    def __str__(self) -> str:
        named = f"{self.encoder} {self.features}"
        return f"{named} {self.rows}" if self.rows else named

    def options(self) -> dict[str, Any]:
        """What makes the forecaster's first reader one of these."""
        alone = {"second": "none", "second_size": None}
        own = {"encoder": self.encoder, "features": self.features}
        return own | alone | ({"input_size": self.rows} if self.rows else {})


ENCODERS: tuple[Encoder, ...] = ("linear", "mlp")
TOLD: tuple[FeatureKind, ...] = ("window", "place", "full")
KINDS = [Kind(encoder, told) for encoder, told in product(ENCODERS, TOLD)]
POWERS = (0, 1, 2, 4)
MOST_WINDOWS = 1500


class Forecasts(NamedTuple):
    """Of one reader: centre, scale and outcome of every step, [windows, H], and ν."""

    loc: Array
    scale: Array
    target: Array
    df: float


class Scores(NamedTuple):
    mse: float
    crps: float
    nll: float
    coverage_80: float


def main() -> None:
    kept = trained.table_folder("readers")
    if kept is not None:
        print_table(kept)
        return
    parser = trained.parser(__doc__)
    parser.add_argument("--far", type=int, nargs="+", default=[], metavar="ROWS")
    parser.add_argument("--short", type=int, nargs="+", default=[], metavar="ROWS")
    arguments = parser.parse_args()
    far = ["second=window", f"second_size={max(arguments.far)}"] if arguments.far else []
    arguments.set += far or ["second=none"]  # windows as long as the longest reader's
    kinds = KINDS + [Kind("multiscale", "window", far) for far in arguments.far]
    kinds += [Kind("mlp", "window", rows) for rows in arguments.short]
    rows = []
    for seed in arguments.seeds:
        shop = trained.workshop(arguments, seed)
        validation, test = {}, {}
        for kind in kinds:
            label = f"reader-{kind}".replace(" ", "-")
            model = shop.contender("twin", label, **kind.options())[0]
            validation[kind] = forecasts(model, shop.material.validation)
            test[kind] = forecasts(model, model.windows_to_score(shop.panel))
        rows += [row | {"seed": seed} for row in pairs(validation, test)]
    frame = pd.DataFrame(rows).assign(data=trained.name_of(arguments), horizon=arguments.horizon)
    folder = arguments.out / "readers"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / f"{trained.name_of(arguments)}-{arguments.horizon}.parquet")
    print_rows(frame)


@torch.no_grad()
def forecasts(model: FittedModel, windows: Windows) -> Forecasts:
    """At most 1,500 windows, evenly spaced, in training deviations."""
    parts = []
    for batch in windows.take(evenly_spaced(len(windows), MOST_WINDOWS)).batches(512):
        law = model.network(*batch.inputs)
        parts.append((law.loc, law.scale, batch.target))
    loc, scale, target = (torch.cat(column).double().numpy() for column in zip(*parts, strict=True))
    df = model.network.df()
    return Forecasts(loc, scale, target, np.inf if df is None else float(df))


def pooled(first: Forecasts, second: Forecasts, share: float, power: float) -> Forecasts:
    """Weights a τ^-power; at power 1 this is `vneuron.forecasting.networks.pool.pool`."""
    own, other = (1.0 - share) * first.scale**-power, share * second.scale**-power
    weight = other / (own + other)
    loc = (1.0 - weight) * first.loc + weight * second.loc
    scale = first.scale ** (1.0 - weight) * second.scale**weight
    return Forecasts(loc, scale, first.target, 1 / ((1 - share) / first.df + share / second.df))


def scores(found: Forecasts) -> Scores:
    law = StudentLaw(found.loc, found.scale, found.df)
    low, high = law.quantile(0.1), law.quantile(0.9)
    return Scores(
        float(np.square(found.target - found.loc).mean()),
        float(law.crps(found.target).mean()),
        float(law.nll(found.target).mean()),
        float(((low <= found.target) & (found.target <= high)).mean()),
    )


def pairs(
    validation: dict[Kind, Forecasts], test: dict[Kind, Forecasts]
) -> list[dict[str, object]]:
    """Every pair of kinds, in both orders, by every way of weighing; those of other rows second."""
    rows: list[dict[str, object]] = []
    for first, second in permutations(validation, 2):
        if first.rows:
            continue
        alone = scores(test[first])
        by_share = {
            share: scores(pooled(validation[first], validation[second], share, 1.0)).nll
            for share in SHARES
        }
        ways = {f"half, power {power}": (0.5, power) for power in POWERS}
        ways["best"] = (min(by_share, key=by_share.__getitem__), 1)
        ways["chosen"] = (most_even(torch.tensor([by_share[share] for share in SHARES])), 1)
        for way, (share, power) in ways.items():
            found = scores(pooled(test[first], test[second], share, power))
            rows.append(
                {
                    "first": str(first),
                    "second": str(second),
                    "rows": second.rows,
                    "auto": is_auto(first, second),
                    "way": way,
                    "share": share,
                    "mse": found.mse / alone.mse,
                    "crps": found.crps / alone.crps,
                    "nll": found.nll - alone.nll,
                    "coverage_80": found.coverage_80,
                    "coverage_80 alone": alone.coverage_80,
                }
            )
    return rows


def is_auto(first: Kind, second: Kind) -> bool:
    """Whether second="auto" would put this one beside the first.

    How far the second looks is taken as it is: what the rows allow is not asked here. A short one
    is for series that drift, all others for those that do not.
    """
    encoder, features, _ = first
    far = second.rows > 0 and second.encoder == "multiscale"
    if second.rows and not far:
        return other_kind(Reader(encoder, features), told_level=False) == "none"
    told = other_kind(Reader(encoder, features), told_level=True, longer=far)
    if told == "none":
        return False
    other = second_encoder(encoder, features, told, longer=far)
    return (second.encoder, second.features) == (other, told)


def print_rows(frame: pd.DataFrame) -> None:
    shown = frame[frame["auto"]].groupby(["first", "second", "way"], sort=False)
    print(f"{frame['data'].iloc[0]}, {frame['horizon'].iloc[0]} steps")
    means = shown.mean(numeric_only=True).drop(columns=["seed", "horizon", "auto"])
    print(means.round(3).to_string())


def print_table(folder: Path) -> None:
    """Geometric means of ratios over data sets and horizons, and the worst."""
    frame = pd.concat(pd.read_parquet(path) for path in sorted(folder.glob("*.parquet")))
    sets = frame.groupby(["data", "horizon"]).ngroups
    for name, part in {"all pairs": frame, "pairs of auto": frame[frame["auto"]]}.items():
        ways = part.groupby("way", sort=False)
        table = pd.DataFrame(
            {
                "mse": ways["mse"].apply(geometric_mean),
                "crps": ways["crps"].apply(geometric_mean),
                "nll": ways["nll"].mean(),
                "worst crps": ways["crps"].max(),
            }
        )
        print(f"{name}, {sets} sets and horizons\n{table.round(4).to_string()}\n")
    for way in ("best", "chosen"):
        reach = frame[frame["auto"] & (frame["way"] == way)]
        if (reach["rows"] > 0).any():
            title = f"pairs of auto with the {way} share, by rows of the second (0: as many)"
            print(f"{title}\n{by_reach(reach).to_string()}\n")
    by_pair = frame[frame["way"] == "chosen"].groupby(["first", "second"], sort=False)
    print(by_pair["crps"].apply(geometric_mean).unstack().round(3).to_string())


def by_reach(chosen: pd.DataFrame) -> pd.DataFrame:
    """Geometric means over first readers, and the mean share of the second."""
    reach = chosen.groupby(["data", "horizon", "rows"])
    table = pd.DataFrame(
        {
            "mse": reach["mse"].apply(geometric_mean),
            "crps": reach["crps"].apply(geometric_mean),
            "nll": reach["nll"].mean(),
            "worst crps": reach["crps"].max(),
            "share": reach["share"].mean(),
        }
    )
    return table.round(3)


def geometric_mean(ratios: pd.Series) -> float:
    return float(np.exp(np.log(ratios).mean()))


if __name__ == "__main__":
    main()
