"""How wide would intervals have had to be, and do rows before the test say so?

For each model the factor on the spread of single steps with which its intervals of one level hold
exactly that often: on training windows, on validation windows, and on test windows. Below one
intervals are wider than they need be, above one too narrow. Rescaling the spread by what validation
windows need helps where the second and third factor go together, and harms where they do not.

    python benchmarks/forecasting/widths.py national_illness.csv --horizon 24
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from harness.scoring import Forecast
from trained import name_of, parser, ready, tested, workshop

from vneuron.forecasting.data.windows import Windows, evenly_spaced

MODELS = ("EVE", "lowrank", "twin", "linear")
SPANS = ("training", "validation", "test")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--level", type=float, default=0.8)
    options.add_argument("--windows", type=int, default=4096, help="of each span, at most")
    arguments = options.parse_args()
    rows = []
    for seed in arguments.seeds:
        shop = workshop(arguments, seed)
        material = shop.material
        test = tested(material)
        spans = dict(zip(SPANS, (material.train, material.validation, test), strict=True))
        for name, model in ready(shop, MODELS).items():
            row: dict[str, object] = {"model": name, "seed": seed}
            for span, windows in spans.items():
                some = windows.take(evenly_spaced(len(windows), arguments.windows))
                row |= factors(model.forecast, some, span, arguments.level)
            rows.append(row)
    frame = pd.DataFrame(rows)
    folder = arguments.out / "widths"
    folder.mkdir(parents=True, exist_ok=True)
    train = arguments.train_size or "usual"
    frame.to_parquet(folder / f"{name_of(arguments)}-{arguments.horizon}-{train}.parquet")
    means = frame.drop(columns="seed").groupby("model", sort=False).mean()
    print(f"{name_of(arguments)}, {arguments.horizon} steps: factors for {arguments.level:.0%}")
    print(means.round(3).to_string())


@torch.no_grad()
def factors(model: Forecast, windows: Windows, span: str, level: float) -> dict[str, float]:
    """The factor that a span's steps need, and the share of them that hold as they are."""
    found = []
    for batch in windows.batches(512):
        count = len(batch.target)
        law = model(batch).rescale(torch.zeros(count), torch.ones(count)).steps()
        median = law.quantile(0.5)
        reach = law.quantile((1 + level) / 2) - median
        away = np.abs(batch.target.double().numpy() - median) / reach
        known = batch.target_observed
        found.append(away.ravel() if known is None else away[known.numpy()])
    away = np.concatenate(found)
    return {span: factor(away, level), f"{span} holds": float(np.mean(away <= 1.0))}


def factor(away: np.ndarray, level: float) -> float:
    """From outcomes' distances to the median, in half widths of the interval.

    >>> factor(np.linspace(0.0, 2.0, 101), 0.8)
    1.6
    """
    return float(np.quantile(away, level))


if __name__ == "__main__":
    main()
