"""Training one contender on prepared data, in or without a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..training.launch import follows
from ..training.loop import Trainer
from ..training.outcome import StopReason, TrainingOutcome
from ..training.run_folder import RunFolder
from ..training.session import OnEpoch
from .contenders import Contender, build_task
from .coupling_fit import learn_coupling
from .material import Material
from .memory import Memory
from .model import FittedModel
from .store import check_same, read_config, write_coupling, write_start, write_widening
from .widening import Widening


class DivergedError(ValueError):
    """Training diverged at once and left no model."""


def train(
    contender: Contender,
    material: Material,
    *,
    run: RunFolder | None = None,
    resume: bool = False,
    quiet: bool = False,
    on_epoch: OnEpoch | None = None,
) -> tuple[FittedModel, TrainingOutcome]:
    """Train a fresh network, or go on with the one that the run holds.

    Args:
        contender: which model.
        material: the data, with the options; every contender gets the same budget.
        run: where events, vitals and checkpoints go.
        resume: go on from the run's last checkpoint of this contender, if it has one.
        quiet: no progress.
        on_epoch: called with each epoch's record.

    Raises:
        DivergedError: before the first epoch was whole, so that there are no weights to keep.
    """
    config = material.config
    model = FittedModel.untrained(contender, config, Memory.of(material, config))
    task = build_task(model.network, material.train, material.judged, config.crps_weight)
    trainer = Trainer(config.training(quiet=quiet))
    outcome = trainer.fit(task, run, contender, resume=resume, on_epoch=on_epoch)
    if outcome.reason is StopReason.DIVERGED and not outcome.best_epoch:
        raise DivergedError(
            f"{contender}: the loss or the validation score became infinite or NaN in the first "
            f"epoch: lower learning_rate (it is {config.learning_rate:g}), or look for extreme "
            "values in the data"
        )
    # who interrupts wants to stop; the rest is then learned when the run goes on
    stopped = run is not None and outcome.reason is StopReason.INTERRUPTED
    if contender != "EVE" or stopped:
        return model, outcome
    widening = Widening.measure(model.forecast, material.validation, config.seed)
    model = replace(model, widening=widening)
    if run is not None and not follows() and widening is not None:
        write_widening(run, widening)
    if config.series == "coupled":
        coupling = learn_coupling(model, material.train, material.validation, seed=config.seed)
        model = replace(model, coupling=coupling)
        if run is not None and not follows():
            write_coupling(run, coupling)
    return model, outcome


def known_choices(path: str | Path | None, *, resume: bool) -> dict[str, Any] | None:
    """The options of the run to go on with, open ones decided; None where there is no such run."""
    if path is None or not resume or not RunFolder(path).is_run:
        return None
    return read_config(RunFolder.open(path)).as_dict()


@contextmanager
def open_run(
    path: str | Path | None,
    material: Material,
    data: Mapping[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[RunFolder | None]:
    """The run folder of a fit: made and described, or found again and checked.

    A run that fails before its first checkpoint leaves nothing behind. Of several processes that
    torchrun started the first one alone writes.

    Args:
        path: the folder; None keeps nothing.
        material: the data, with the options.
        data: facts about the data for `config.json`.
        resume: go on with the run there; begin one if there is none.
        overwrite: replace a run there.

    Raises:
        ValueError: the folder is in the way, or resuming, the run is of other options or data.
    """
    if path is None:
        yield None
        return
    config = material.config
    memory = Memory.of(material, config)
    if resume and RunFolder(path).is_run:
        run = RunFolder.open(path)
        check_same(run, config, memory)
        if not follows():
            run.sweep()
        yield run
        return
    if follows():
        yield RunFolder(path)
        return
    with RunFolder.create(path, overwrite=overwrite) as run:
        write_start(run, config, memory, data)
        yield run
