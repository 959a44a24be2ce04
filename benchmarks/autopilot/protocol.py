"""What the comparisons of searches share: sets, caps, and how configurations are drawn."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch

from vneuron.autopilot.builtin_spaces import builtin_space
from vneuron.autopilot.plan import Plan
from vneuron.autopilot.space import Space
from vneuron.autopilot.workbench import Workbench
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.tables import read_table
from vneuron.training.atomic import write_atomic

torch.set_num_threads(1)

EPOCHS = 5
STEPS = 12
WINDOWS = 256
BATCH = 64
TEST_WINDOWS = 1024


@dataclass(frozen=True)
class DataSet:
    """A file's place and its protocol; look-backs are fixed, so that no trial is spent on them."""

    file: str
    horizon: int
    input_size: int
    train: int | None
    val: int | None
    test: int | None


SETS = {
    "ETTh1": DataSet("ETTh1.csv", 96, 96, 8640, 2880, 2880),
    "Exchange": DataSet("exchange_rate.csv", 96, 96, 5311, 760, 1517),
    "ILI": DataSet("national_illness.csv", 24, 48, None, None, None),
}


def base_of(name: str, seed: int = 0) -> ForecasterConfig:
    """The default configuration under the caps."""
    chosen = SETS[name]
    return ForecasterConfig(
        horizon=chosen.horizon,
        input_size=chosen.input_size,
        encoder="linear",
        features="window",
        epochs=EPOCHS,
        batch_size=BATCH,
        patience=0,
        seed=seed,
    )


def plan_of(name: str, **options: object) -> Plan:
    chosen = SETS[name]
    sizes = {"train_size": chosen.train, "val_size": chosen.val, "test_size": chosen.test}
    return Plan(base=base_of(name), steps=STEPS, windows=WINDOWS, sizes=sizes, **options)


def space_for(base: ForecasterConfig) -> Space:
    """The library's own space, but for the size of batches, which the caps fix."""
    space = builtin_space("trajectory").without({"batch_size"})
    space.check(base)
    return space.bound(base)


def bench_of(folder: Path, name: str, plan: Plan) -> Workbench:
    table = read_table(folder / SETS[name].file)
    return Workbench(table.panel, plan.sizes, plan.folds, plan.windows)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Whole or not at all, so that a script that is killed goes on from what it had."""
    import io

    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())
