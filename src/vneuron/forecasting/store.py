"""Models on disk: a run folder holds all that forecasting needs, and no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..training.checkpoint import load_weights, save_checkpoint
from ..training.journal import checkpoint_name
from ..training.run_folder import RunFolder, RunFolderError
from .config import ForecasterConfig
from .contenders import Contender, build_objective
from .coupling import Coupling
from .data.errors import DataError
from .memory import Memory
from .model import FittedModel
from .widening import Widening

COUPLING = "coupling.npz"
WIDENING = "widening.npz"

BEFORE = {
    "features": "window",
    "noise": "white",
    "start": "level",
    "second": "none",
    "departure": 1.0,
    "unit_features": "shared",
}
"""Options of runs from before there were such options."""

LISTED_SERIES = 1000
"""More names than that are in `series.parquet` alone."""


def write_start(
    run: RunFolder, config: ForecasterConfig, memory: Memory, data: Mapping[str, Any]
) -> None:
    """Write what is known before training: configuration and data facts.

    Args:
        run: a new run.
        config: of the forecaster.
        memory: of the data.
        data: facts for people and for later calls: path, target, sizes, ...; "command" is what
            was typed, for the report.
    """
    scaling = memory.scaling
    listed = len(scaling.ids) <= LISTED_SERIES
    both = np.stack([scaling.mean, scaling.sd], axis=1).tolist()
    known = dict(data)
    command = known.pop("command", None)
    facts = {
        "series": list(scaling.ids[:LISTED_SERIES]),
        "series_count": len(scaling.ids),
        "scaling": dict(zip(scaling.ids, both, strict=True)) if listed else None,
        **memory.as_dict(),
        **known,
    }
    value = {
        "vneuron": version("vneuron"),
        "model": config.as_dict(),
        "data": facts,
        "seed": config.seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }
    run.write_json("config.json", value)
    memory.write(run)


def check_same(run: RunFolder, config: ForecasterConfig, memory: Memory) -> None:
    """Refuse to go on with a run of another configuration or other data.

    Raises:
        ValueError: it differs; the first differing field is named.
    """
    before = {"series": "independent", **_options(run.read_json("config.json")["model"])}
    for name, value in config.as_dict().items():
        if before.get(name) != value:
            raise ValueError(
                f"{run.path}: was started with {name} = {before.get(name)!r}, now {value!r}: "
                "resume with the same options, or start another run"
            )
    known = read_memory(run)
    same = known.scaling.ids == memory.scaling.ids and all(
        np.array_equal(old, new)
        for old, new in (
            (known.scaling.mean, memory.scaling.mean),
            (known.scaling.sd, memory.scaling.sd),
            (known.test_from, memory.test_from),
            (known.test_to, memory.test_to),
        )
    )
    if not same:
        raise DataError(
            f"{run.path}: was started on other data or another split; resume with the same, or "
            "start another run"
        )


def read_config(run: RunFolder) -> ForecasterConfig:
    """The configuration of a run.

    Raises:
        ValueError: it is of a model of images, or was written by another version that has other
            options.
    """
    stored = run.read_json("config.json")
    if "estimator" in stored:
        raise ValueError(
            f"{run.path}: holds a model of images ({stored['estimator']}), expected a forecaster: "
            "use the verbs of `vneuron images`"
        )
    known = set(ForecasterConfig.__dataclass_fields__)
    unknown = sorted(set(stored["model"]) - known)
    if unknown:
        raise ValueError(
            f"{run.path}: has options {unknown} that this version does not know; it was written "
            f"by vneuron {stored['vneuron']}: use that version, or train again"
        )
    return ForecasterConfig(**_options(stored["model"]))


def _options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run, with those from before there were such options."""
    known = {**BEFORE, "second_size": None, **stored}
    if known["second"] != "none" and "second_size" not in stored:
        known["second_size"] = known["input_size"]
    return known


def read_memory(run: RunFolder) -> Memory:
    """What the run remembers of its data."""
    return Memory.read(run, run.read_json("config.json")["data"])


def read_model(
    run: RunFolder,
    contender: Contender = "EVE",
    *,
    device: str | None = None,
    seed: int | None = None,
) -> FittedModel:
    """A trained model of a run.

    Args:
        run: the run.
        contender: which.
        device: "auto", "cpu" or "cuda"; None is what the run was told.
        seed: of sample paths; None is the run's.

    Raises:
        RunFolderError: it has no such checkpoint, or a file is damaged.
    """
    config = read_config(run)
    changes: dict[str, Any] = {"device": device, "seed": seed}
    config = replace(config, **{name: v for name, v in changes.items() if v is not None})
    model = FittedModel.untrained(contender, config, read_memory(run))
    load_weights(run, checkpoint_name(contender, "best"), build_objective(model.network))
    model.network.to(config.torch_device())
    if contender != "EVE":
        return model
    if run.exists(WIDENING):
        model = replace(model, widening=Widening.of_arrays(run.read_arrays(WIDENING)))
    if config.series == "coupled" and run.exists(COUPLING):
        model = replace(model, coupling=Coupling.of_arrays(run.read_arrays(COUPLING)))
    return model


def write_model(path: Path, model: FittedModel, *, overwrite: bool = False) -> None:
    """Write a model by itself, as a run without history.

    Raises:
        RunFolderError: the folder holds something else, and `overwrite` is False.
        ValueError: the model follows recent errors.
    """
    if model.followed is not None:
        raise ValueError(
            "a model that follows recent errors is of the rows it has followed: save the fitted "
            "one, and call following(df) again where it is loaded"
        )
    there = RunFolder(path)
    if not overwrite and there.is_run and there.has_checkpoint:
        raise RunFolderError(
            f"{path}: holds an earlier run or model; choose another folder, or pass overwrite=True "
            "to replace it"
        )
    with RunFolder.create(path, overwrite=overwrite) as run:
        write_start(run, model.config, model.memory, {})
        name = checkpoint_name("EVE", "best")
        save_checkpoint(run, name, build_objective(model.network))
        if model.widening is not None:
            write_widening(run, model.widening)
        if model.coupling is not None:
            write_coupling(run, model.coupling)


def write_coupling(run: RunFolder, coupling: Coupling) -> None:
    """Write what series share."""
    run.write_arrays(COUPLING, coupling.as_arrays())


def write_widening(run: RunFolder, widening: Widening) -> None:
    """Write how much wider intervals of maxima, minima and ramps are than their draws say."""
    run.write_arrays(WIDENING, widening.as_arrays())
