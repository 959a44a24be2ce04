"""Models of one data set, horizon and seed, trained once and kept: those that `run.py` scores."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from harness import protocols
from harness.models import MODELS, Ready
from harness.settings import add_settings, settings
from harness.workshop import Workshop

from vneuron.forecasting.comparison import Field
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import CONTENDERS
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.tables import read_table
from vneuron.forecasting.data.windows import Windows, windows_between
from vneuron.forecasting.material import Material


def parser(description: str | None) -> ArgumentParser:
    """The options that say what is trained on what; sizes by default as the field cuts the file."""
    found = ArgumentParser(description=description)
    found.add_argument("data")
    found.add_argument("--horizon", type=int, default=96)
    found.add_argument("--input-size", type=int, help="336, ILI 104, unless given")
    add_settings(found)
    found.add_argument("--train-size", type=int)
    found.add_argument("--val-size", type=int)
    found.add_argument("--test-size", type=int)
    found.add_argument("--max-steps", type=int, help="most optimiser steps of an epoch")
    found.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    found.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    return found


def table_folder(kind: str) -> Path | None:
    """Where results of a kind lie, if the command line asks for their `--table` alone."""
    if "--table" not in sys.argv:
        return None
    tables = ArgumentParser()
    tables.add_argument("--table", action="store_true")
    tables.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    out: Path = tables.parse_args().out
    return out / kind


def name_of(arguments: Namespace) -> str:
    """Of the data set: its file's, without endings."""
    return protocols.name_of(arguments.data)


def workshop(arguments: Namespace, seed: int) -> Workshop:
    """Where the models of one seed are trained, or found trained; fills in the look-back."""
    if arguments.input_size is None:
        arguments.input_size = protocols.data_set(arguments.data).look_back("A")
    torch.set_num_threads(1)
    options = {"device": "cpu", **settings(ArgumentParser(), arguments.set)}
    config = ForecasterConfig(arguments.horizon, arguments.input_size, seed=seed, **options)
    panel = read_table(arguments.data, missing="interpolate", duplicates="first").panel
    sizes = {
        name: own if getattr(arguments, name) is None else getattr(arguments, name)
        for name, own in protocols.data_set(arguments.data).sizes.items()
    }
    return Workshop(name_of(arguments), panel, config, sizes, arguments.max_steps, arguments.out)


def trained(arguments: Namespace, seed: int) -> tuple[Field, Panel, Material]:
    """The library's own models of one seed, with the data that they were trained on."""
    shop = workshop(arguments, seed)
    models = {name: shop.contender(name)[0] for name in CONTENDERS}
    return Field(models, residual=None, season=1), shop.panel, shop.material


def tested(material: Material) -> Windows:
    """Windows of the test rows, as far back as the longest reader looks."""
    config = material.config
    return windows_between(material.flat, material.split.test, config.lookback, config.horizon)


def ready(shop: Workshop, names: tuple[str, ...]) -> dict[str, Ready]:
    """Any of the benchmark's models."""
    return {name: MODELS[name](shop) for name in names}
