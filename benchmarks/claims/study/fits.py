"""One short fit: a named setting on a data set, trained under caps, scored and examined."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vneuron.core import AbstractUnit
from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import Contender, build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.data.windows import WindowBatch, Windows, evenly_spaced, windows_between
from vneuron.forecasting.material import Material, prepare
from vneuron.forecasting.memory import Memory
from vneuron.forecasting.model import FittedModel
from vneuron.training.loop import Trainer
from vneuron.training.record import EpochRecord
from vneuron.vitals.health import health

from .corruption import CORRUPTIONS
from .data_sets import DATA_SETS

Row = dict[str, Any]
Tune = Callable[[AbstractUnit], None]
OnEpoch = Callable[[FittedModel, EpochRecord], None]

PAPERS_TARGET = 0.05
BAND = (0.8 * PAPERS_TARGET, 1.6 * PAPERS_TARGET)
"""The papers' band on µ², by which units are judged that have no band of their own."""

NETWORKS: dict[str, dict[str, Any]] = {
    # a sixteenth of the papers' units and a quarter of their features; the rest is theirs
    "reference": {"units": 64, "hidden": 64, "dropout": 0.05, "scale": "input", "lag": 4},
    "trajectory": {
        "units": 32,
        "hidden": 128,
        "dropout": 0.3,
        "scale": "input",
        "encoder": "linear",
        "features": "window",
        "noise": "steered",
    },
}
"""Every option that is not the study's own is named here, whatever the library's defaults are."""

COMMON: dict[str, Any] = {
    "likelihood": "student",
    "location": "auto",
    "prior": "standard",
    "control": "none",
    "beta": 0.1,
    "latent_dim": 1,
    "activity": "mean",
    "learning_rate": 1e-3,
}


@dataclass(frozen=True)
class Caps:
    """How short a run is.

    Attributes:
        epochs: of `steps` optimiser steps each; a validation after each.
        steps: of an epoch.
        batch: windows a step.
        validation: so many validation windows, evenly spaced.
        test: so many test windows, evenly spaced.
        use: of the validation windows, so many tell what each unit is worth.
    """

    epochs: int = 6
    steps: int = 50
    batch: int = 64
    validation: int = 128
    test: int = 512
    use: int = 128


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Attributes:
        name: as the tables call it.
        network: "reference" or "trajectory".
        contender: "EVE", "twin" or "lowrank".
        options: of the configuration, over `NETWORKS` and `COMMON`.
        tune: a last change of the fresh units: their controls, prior, or scale.
        knobs: what the row says of the setting beside its options.
    """

    name: str
    network: str = "reference"
    contender: Contender = "EVE"
    options: Mapping[str, Any] = field(default_factory=dict)
    tune: Tune | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)


@cache
def read(folder: Path, name: str) -> Panel:
    """A data set's series, read once a process."""
    return DATA_SETS[name].panel(folder)


@cache
def prepared(folder: Path, name: str, network: str, prior: str, lag: int | None) -> Material:
    """A data set's windows for one kind of network, made once a process."""
    data = DATA_SETS[name]
    options = {**COMMON, **NETWORKS[network], "prior": prior}
    if lag is not None:
        options["lag"] = lag
    config = ForecasterConfig(data.horizon, data.input_size, network=network, **options)  # type: ignore[arg-type]
    train, val, test = data.sizes
    return prepare(read(folder, name), config, train_size=train, val_size=val, test_size=test)


def material_of(folder: Path, name: str, setting: Setting, seed: int) -> Material:
    """The same windows with this setting's options."""
    options = {**COMMON, **NETWORKS[setting.network], **setting.options}
    base = prepared(folder, name, setting.network, options["prior"], options.get("lag"))
    options["lag"] = base.config.lag
    data = DATA_SETS[name]
    config = ForecasterConfig(
        data.horizon, data.input_size, network=setting.network, seed=seed, **options
    )
    return replace(base, config=config)


def some(windows: Windows, count: int) -> Windows:
    """So many of them, evenly spaced."""
    return windows.take(evenly_spaced(len(windows), count))


def test_windows(material: Material, count: int) -> Windows:
    """So many windows with test targets."""
    config = material.config
    rows = material.split.test
    return some(windows_between(material.flat, rows, config.lookback, config.horizon), count)


def train(
    material: Material, setting: Setting, caps: Caps, watch: OnEpoch | None = None
) -> FittedModel:
    """The setting's network with the weights of its best validation score."""
    config = material.config
    model = FittedModel.untrained(setting.contender, config, Memory.of(material, config))
    units = model.network.units
    if setting.tune is not None and units is not None:
        setting.tune(units)
    validation = some(material.validation, caps.validation)
    task = build_task(model.network, material.train, validation)
    task._use_windows = caps.use
    training = replace(
        config.training(quiet=True),
        epochs=caps.epochs,
        batch_size=caps.batch,
        patience=caps.epochs,
        min_steps_per_epoch=caps.steps,
        max_steps_per_epoch=caps.steps,
    )
    on_epoch = None if watch is None else (lambda record: watch(model, record))
    Trainer(training).fit(task, on_epoch=on_epoch)
    return model


def fitted(
    folder: Path,
    name: str,
    setting: Setting,
    seed: int,
    caps: Caps,
    *,
    corrupt: bool = False,
    watch: OnEpoch | None = None,
) -> Row:
    """One run's row: what it was, what it scored on test windows, what became of its units."""
    material = material_of(folder, name, setting, seed)
    began = time.process_time()
    model = train(material, setting, caps, watch)
    windows = test_windows(material, caps.test)
    row = named(name, setting, seed, caps, material.config)
    row |= scores(model, windows) | unit_state(model.network.units)
    row["parameters"] = sum(p.numel() for p in model.network.parameters())
    if corrupt:
        for kind in CORRUPTIONS:
            row |= {f"{kind}_{k}": v for k, v in scores(model, windows, kind).items()}
    row["cpu_seconds"] = time.process_time() - began
    return row


def named(name: str, setting: Setting, seed: int, caps: Caps, config: ForecasterConfig) -> Row:
    """What a run was."""
    return {
        "data": name,
        "setting": setting.name,
        "network": setting.network,
        "contender": setting.contender,
        "seed": seed,
        **setting.knobs,
        "config": {**config.as_dict(), "caps": vars(caps)},
    }


@torch.no_grad()
def scores(model: FittedModel, windows: Windows, corruption: str | None = None) -> Row:
    """MSE, CRPS of single steps and joint NLL (nats per step), in training deviations."""
    squared, crps, nats, count = 0.0, 0.0, 0.0, 0
    random = torch.Generator().manual_seed(0)
    for batch in windows.batches(256):
        shown: WindowBatch = batch
        if corruption is not None:
            context = CORRUPTIONS[corruption](batch.context, random)
            shown = batch._replace(context=context)
        path = model.forecast(shown)
        squared += float((batch.target - path.point()).square().double().sum())
        crps += float(path.steps().crps(batch.target.double().numpy()).sum())
        nats += float(path.joint_nll(batch.target, None).double().sum())
        count += batch.target.numel()
    return {"mse": squared / count, "crps": crps / count, "joint_nll": nats / count}


def unit_state(units: nn.Module | None) -> Row:
    """Vitals of a layer; nothing for a layer without posteriors."""
    if not isinstance(units, AbstractUnit) or not units.variational:
        return {}
    found = health(units)
    frame, count = found.units, len(found.units)
    row: Row = {name: float(frame[name].sum()) for name in ("kl", "rate")}
    for name in ("energy", "beta", "contraction", "persistence", "alive", "alive_energy"):
        row[name] = float(frame[name].mean())
    for verdict in ("living", "static", "ignored", "dead", "constant", "noiseless", "exploding"):
        row[verdict] = found.counts.get(verdict, 0) / count
    row["healthy"] = found.ok
    return row | band_shares(units)


def band_shares(units: AbstractUnit) -> Row:
    """Share of units outside of the papers' band, of the one set, and of the one calibrated."""
    energy = units.statistics.energy
    row = {"outside_papers": float(((energy < BAND[0]) | (energy > BAND[1])).float().mean())}
    layer = health(units).layers[0]
    for name, band in (("outside_set", layer.original_band), ("outside", layer.band)):
        if band:
            row[name] = 1.0 - band["inside"]
            row[name.replace("outside", "below")] = band["below"]
            row[name.replace("outside", "above")] = band["above"]
    return row
