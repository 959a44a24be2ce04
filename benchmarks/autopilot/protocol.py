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
from vneuron.forecasting.data.frame import Panel
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
    """A file's place and its protocol; look-backs are fixed, so that no trial is spent on them.

    Attributes:
        file: its name.
        horizon: rows.
        input_size: rows.
        train: rows of training; None takes what the others leave.
        val: rows of validation; None is 10%.
        test: rows of test; None is 10%.
        target: one column; None takes all.
        every: so many rows apart are the rows that are taken.
    """

    file: str
    horizon: int
    input_size: int
    train: int | None
    val: int | None
    test: int | None
    target: str | None = None
    every: int = 1


SETS = {
    "ETTh1": DataSet("ETTh1.csv", 96, 96, 8640, 2880, 2880),
    "Exchange": DataSet("exchange_rate.csv", 96, 96, 5311, 760, 1517),
    "ILI": DataSet("national_illness.csv", 24, 48, None, None, None),
}
"""What searches are compared on."""

OTHERS = {
    "ETTm1": DataSet("ETTm1.csv", 96, 96, 34560, 11520, 11520),
    "Weather": DataSet("weather.csv", 96, 96, None, None, None),
    "Weather, hourly": DataSet("weather.csv", 48, 96, None, None, None, every=6),
    "Weather, 3-hourly": DataSet("weather.csv", 24, 56, None, None, None, every=18),
    "Victoria": DataSet("vic_electricity.csv", 48, 96, None, None, None, "Demand"),
    "Victoria, daily": DataSet("vic_electricity.csv", 14, 56, None, None, None, "Demand", 48),
    "ECL subset": DataSet("electricity_0_OT.csv", 96, 96, None, None, None),
    "ECL subset, daily": DataSet("electricity_0_OT.csv", 14, 56, None, None, None, every=24),
}
"""What a portfolio is learned on; none of them is compared on."""


def base_of(name: str, seed: int = 0, epochs: int = EPOCHS) -> ForecasterConfig:
    """The default configuration under the caps."""
    chosen = (SETS | OTHERS)[name]
    return ForecasterConfig(
        horizon=chosen.horizon,
        input_size=chosen.input_size,
        encoder="linear",
        features="window",
        epochs=epochs,
        batch_size=BATCH,
        patience=0,
        seed=seed,
    )


def plan_of(name: str, epochs: int = EPOCHS, steps: int = STEPS, **options: object) -> Plan:
    chosen = (SETS | OTHERS)[name]
    sizes = {"train_size": chosen.train, "val_size": chosen.val, "test_size": chosen.test}
    base = base_of(name, epochs=epochs)
    return Plan(base=base, steps=steps, windows=WINDOWS, sizes=sizes, **options)


def space_for(base: ForecasterConfig) -> Space:
    """The library's own space, but for the size of batches, which the caps fix."""
    space = builtin_space("trajectory").without({"batch_size"})
    space.check(base)
    return space.bound(base)


def bench_of(folder: Path, name: str, plan: Plan) -> Workbench:
    return Workbench(panel_of(folder, (SETS | OTHERS)[name]), plan.sizes, plan.folds, plan.windows)


def panel_of(folder: Path, chosen: DataSet) -> Panel:
    """Its series."""
    path = folder / chosen.file
    treatment = {"missing": "interpolate", "duplicates": "first"}
    if chosen.every == 1:
        return read_table(path, target=chosen.target, **treatment).panel
    wide = pd.read_csv(path).iloc[:: chosen.every]
    values = [chosen.target] if chosen.target else list(wide.columns[1:])
    wide["ds"] = range(len(wide))  # numbered: where rows are missing, days would be uneven
    long = wide.melt(id_vars="ds", value_vars=values, var_name="unique_id", value_name="y")
    return Panel.from_frame(long, **treatment)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Whole or not at all, so that a script that is killed goes on from what it had."""
    import io

    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())
