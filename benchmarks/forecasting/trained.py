"""EVE and its baselines on one data set and seed: trained once, then kept below a folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch

from vneuron.forecasting.comparison import Field, read_field, train_field
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.fitting import open_run
from vneuron.forecasting.material import Material, prepare
from vneuron.training.run_folder import RunFolder

DONE = "trained.json"


def parser(description: str | None) -> ArgumentParser:
    """The options that say what is trained on what."""
    found = ArgumentParser(description=description)
    found.add_argument("data")
    found.add_argument("--horizon", type=int, default=96)
    found.add_argument("--input-size", type=int, default=336)
    found.add_argument("--encoder", choices=("linear", "mlp"), default="linear")
    found.add_argument("--train-size", type=int)
    found.add_argument("--val-size", type=int)
    found.add_argument("--test-size", type=int)
    found.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    found.add_argument("--out", type=Path, default=Path("runs/planner"))
    return found


def name_of(arguments: Namespace) -> str:
    """Of the data set: its file's, without endings."""
    return Path(arguments.data).name.split(".")[0]


def trained(arguments: Namespace, seed: int) -> tuple[Field, Panel, Material]:
    """The models of one seed, with the data that they were trained on."""
    torch.set_num_threads(1)
    config = ForecasterConfig(
        arguments.horizon, arguments.input_size, seed=seed, device="cpu", encoder=arguments.encoder
    )
    panel = read_table(arguments.data, missing="interpolate", duplicates="first").panel
    sizes = {name: getattr(arguments, name) for name in ("train_size", "val_size", "test_size")}
    material = prepare(panel, config, **sizes)
    folder = arguments.out / f"{name_of(arguments)}-{arguments.horizon}" / f"seed-{seed}"
    if not (folder / DONE).exists():
        with open_run(folder, material, {"sizes": sizes}, resume=True) as run:
            assert run is not None
            field = train_field(material, run, resume=True, quiet=True)
            run.write_json(DONE, {"train_cpu_seconds": field.seconds})
    return read_field(RunFolder.open(folder)), panel, material
