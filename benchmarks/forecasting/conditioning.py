"""What it is worth to condition a forecast on its first steps, beside a fresh forecast.

24 of 96 steps have come. The 72 that remain are forecast in four ways by one model: as they were
forecast ("none"), by the model's own conditional law ("exact"), by the robust one that the library
answers with ("condition"), and from the newer origin with a context shifted by 24 rows ("fresh":
its first 72 steps). Joint NLL in nats per remaining step, CRPS of steps and of their mean, coverage
of the 80% interval of that mean. `--span val` judges on validation rows, which constants may be
chosen on.

    python benchmarks/forecasting/conditioning.py ETTh1.csv
"""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pandas as pd
import torch
from bootstrap import interval
from trained import name_of, parser, trained

from vneuron.forecasting.conditional import OUTLIER, SCALE_WEIGHT
from vneuron.forecasting.data.windows import WindowBatch, windows_between
from vneuron.forecasting.laws.conditioned import ConditionedTrajectory
from vneuron.forecasting.laws.law import StudentLaw
from vneuron.forecasting.laws.predictive import TrajectoryDistribution
from vneuron.forecasting.model import FittedModel

MODELS = ("EVE", "lowrank", "linear")
WAYS = ("none", "exact", "condition", "fresh")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seen", type=int, default=24)
    options.add_argument("--step", type=int, default=24, help="rows between windows")
    options.add_argument("--span", choices=["val", "test"], default="test")
    options.add_argument("--scale-weight", type=float, default=SCALE_WEIGHT)
    options.add_argument("--outlier", type=float, default=OUTLIER)
    arguments = options.parse_args()
    rows = [row for seed in arguments.seeds for row in scores(arguments, seed)]
    frame = pd.concat(rows)
    folder = arguments.out / "conditioning" / f"{name_of(arguments)}-{arguments.horizon}"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "conditioning.parquet", index=False)
    windows = len(frame) // len(arguments.seeds) // len(MODELS) // len(WAYS)
    print(
        f"{name_of(arguments)}: {windows:,} {arguments.span} windows, every {arguments.step} rows, "
        f"mean and sd over {len(arguments.seeds)} seeds"
    )
    numbers = frame.drop(columns=["origin"]).groupby(["model", "way", "seed"], sort=False).mean()
    table = numbers.groupby(["model", "way"], sort=False).agg(["mean", "std"])
    print(table.round(4).to_string())
    block = -(-(arguments.horizon + arguments.seen) // arguments.step)
    for model in MODELS:
        own = frame[frame["model"] == model].groupby(["way", "origin"])["joint_nll"].mean()
        for way in ("exact", "condition"):
            for other in ("none", "fresh"):
                mean, low, high = interval((own[way] - own[other]).to_numpy(), block)
                print(f"{model}: {way} − {other}: {mean:.4f} [{low:.4f}, {high:.4f}]")


def scores(arguments: Namespace, seed: int) -> list[pd.DataFrame]:
    field, panel, material = trained(arguments, seed)
    seen, rows = arguments.seen, getattr(material.split, arguments.span)
    lookback, rest = arguments.input_size + seen, arguments.horizon - seen
    windows = windows_between(material.flat, rows, lookback, rest, arguments.step)
    trust = arguments.scale_weight, arguments.outlier
    per_series = len(windows) // len(panel)
    origin = np.tile(np.arange(per_series), len(panel))
    found = []
    for name in MODELS:
        model = field.models[name]
        parts = [score_batch(model, batch, seen, *trust) for batch in windows.batches(512)]
        for way in WAYS:
            columns = {key: np.concatenate([part[way][key] for part in parts]) for key in SCORES}
            found.append(
                pd.DataFrame({"model": name, "way": way, "seed": seed, "origin": origin, **columns})
            )
    return found


SCORES = ("joint_nll", "crps", "path_crps", "path_80", "path_width")


@torch.no_grad()
def score_batch(
    model: FittedModel, batch: WindowBatch, seen: int, scale_weight: float, outlier: float
) -> dict:
    size, horizon = model.config.input_size, model.config.horizon
    context, target, place = batch.context, batch.target, batch.place
    before = None if place is None else place._replace(time=place.time - seen * place.step)
    old = exact(model, context[:, :size], before)
    new = exact(model, context[:, seen:], place)
    came = context[:, size:].double()
    whole = torch.cat([came, target.double()], 1)
    first = torch.arange(horizon).expand(len(target), -1) < seen
    known = ConditionedTrajectory.of(old).observe(whole, first)
    told = old.within(whole, outlier)
    robust = ConditionedTrajectory.of(old, scale_weight).observe(whole, first, told)
    shifted = torch.cat([target.double(), came], 1)
    return {
        "none": judge(old, whole, ~first),
        "exact": judge(known, whole, ~first),
        "condition": judge(robust, whole, ~first),
        "fresh": judge(new, shifted, ~first.flip(1)),
    }


def exact(model: FittedModel, context, place) -> TrajectoryDistribution:
    path = model.network(context, None, place)
    return path.rescale(torch.zeros(len(context)), torch.ones(len(context)))


def judge(path, y, counts) -> dict:
    """Scores of the steps that count, the same of each window."""
    some = counts[0]
    number = int(some.sum())
    mean = y[:, some].mean(1).numpy()
    law = path.functional(some.double() / number)
    low, high = law.quantile(0.1), law.quantile(0.9)
    filled = torch.where(counts, y, path.loc)
    every = path.steps()
    steps = StudentLaw(every.loc[:, some], every.scale[:, some], every.df)
    return {
        "joint_nll": (path.joint_nll(filled, counts) / number).numpy(),
        "crps": steps.crps(filled[:, some].numpy()).mean(1),
        "path_crps": law.crps(mean),
        "path_80": ((mean > low) & (mean < high)).astype(float),
        "path_width": high - low,
    }


if __name__ == "__main__":
    main()
