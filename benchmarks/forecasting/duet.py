"""DUET by its authors' own code and settings, on rows of one's choice; point scores alone.

    PYTHON benchmarks/forecasting/duet.py CHECKOUT ETTh1.csv --horizons 96 336 \
        --train-size 5760 --val-size 2880 --test-size 2880

CHECKOUT is of decisionintelligence/DUET (arXiv:2412.10859), whose scripts hold a dozen settings for
each horizon of each data set, the look-back among them; they are read from there, those of the
data set that the file is named after or that --settings names. PYTHON is of an environment with
torch, pandas, scikit-learn, einops, matplotlib and reformer-pytorch. Training, early stopping and
checkpoint are theirs; every test window is scored, stride 1, in training deviations. Sizes are
rows; later rows are unused. With the sizes of `run.py` the two stand side by side.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

BATCH = 64


def main() -> None:
    torch.set_num_threads(1)
    options = parse()
    sys.path = [str(options.checkout), *(place for place in sys.path if not here(place))]
    if not hasattr(np, "Inf"):
        setattr(np, "Inf", np.inf)  # noqa: B010 (their code is of numpy 1)
    rows = frame(options.data, sum(sizes(options)))
    for horizon in options.horizons:
        settings = their_settings(options.checkout, options.settings, horizon)
        for seed in options.seeds:
            began = time.process_time()
            squared, absolute, windows = scores(rows, settings, horizon, sizes(options), seed)
            print(
                f"{options.data.name.split('.')[0]}, {horizon} steps, seed {seed}: MSE "
                f"{squared:.4f}, MAE {absolute:.4f}; {windows} windows of all series, look-back "
                f"{settings['seq_len']}, {time.process_time() - began:.0f} CPU s",
                flush=True,
            )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data", type=Path, help="a CSV with times first, then a column per series")
    parser.add_argument("--horizons", nargs="+", type=int, default=[96, 192, 336, 720])
    parser.add_argument("--train-size", type=int, default=8640)
    parser.add_argument("--val-size", type=int, default=2880)
    parser.add_argument("--test-size", type=int, default=2880)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--settings", help="data set of their scripts; by the file's name")
    options = parser.parse_args()
    options.settings = options.settings or options.data.name.split(".")[0]
    return options


def here(place: str) -> bool:
    """Whether a path is this folder, which holds modules of names that others use too."""
    return Path(place).resolve() == Path(__file__).parent.resolve()


def sizes(options: argparse.Namespace) -> tuple[int, int, int]:
    return options.train_size, options.val_size, options.test_size


def frame(path: Path, count: int) -> pd.DataFrame:
    table = pd.read_csv(path).iloc[:count]
    if len(table) < count:
        raise SystemExit(f"{path}: {len(table)} rows, expected {count}: give smaller sizes")
    times = pd.to_datetime(table.pop(table.columns[0]))
    return table.set_index(pd.DatetimeIndex(times)).astype(float)


def their_settings(checkout: Path, name: str, horizon: int) -> dict[str, Any]:
    """What their script sets for one horizon."""
    script = checkout / "scripts" / "multivariate_forecast" / f"{name}_script" / "DUET.sh"
    if not script.is_file():
        raise SystemExit(f"{script}: no such file; give a checkout of DUET, and --settings")
    found = re.findall(r"--model-hyper-params '({.*?})'", script.read_text())
    by_horizon = {each["horizon"]: each for each in map(json.loads, found)}
    if horizon not in by_horizon:
        raise SystemExit(f"{script}: horizons {sorted(by_horizon)}, not {horizon}")
    return {**by_horizon[horizon], "num_workers": 0}


def scores(
    rows: pd.DataFrame,
    settings: dict[str, Any],
    horizon: int,
    parts: tuple[int, int, int],
    seed: int,
) -> tuple[float, float, int]:
    """MSE and MAE over all test windows and series, and how many windows."""
    from ts_benchmark.baselines.duet.duet import DUET

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (what their code draws by)
    torch.manual_seed(seed)
    train, val, test = parts
    model = DUET(**settings)
    with redirect_stdout(sys.stderr):
        model.forecast_fit(rows.iloc[: train + val], train_ratio_in_tv=train / (train + val))
    model.model.load_state_dict(model.check_point)
    model.model.eval()
    values = torch.tensor(model.scaler.transform(rows.to_numpy()), dtype=torch.float32)
    back = settings["seq_len"]
    first, last = train + val - back, train + val + test - back - horizon
    squared = absolute = count = 0.0
    with torch.no_grad():
        for begin in range(first, last + 1, BATCH):
            starts = range(begin, min(begin + BATCH, last + 1))
            seen = torch.stack([values[at : at + back] for at in starts])
            came = torch.stack([values[at + back : at + back + horizon] for at in starts])
            error = model.model(seen)[0][:, -horizon:] - came
            squared += float(error.double().square().sum())
            absolute += float(error.double().abs().sum())
            count += error.numel()
    return squared / count, absolute / count, last + 1 - first


if __name__ == "__main__":
    main()
