"""One trial: an ordinary fit under a cap, watched at each validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

import numpy as np

from ..forecasting.config import ForecasterConfig
from ..forecasting.contenders import build_task
from ..forecasting.model import FittedModel
from ..training.config import TrainingConfig
from ..training.loop import Trainer
from ..training.outcome import StopReason
from ..training.record import EpochRecord
from .gates import constraints, penalty
from .losses import window_losses
from .plan import Plan
from .vital_signs import vital_signs
from .workbench import Workbench

__all__ = ["Attempt", "TrialStopped", "Watch", "attempt", "trial_training"]

Watch = Callable[[dict[str, Any]], None]
"""Told of each epoch of the first fold; what it raises ends the trial."""


class TrialStopped(Exception):
    """Raised by whoever watches: the trial is to end here."""


@dataclass
class Attempt:
    """What became of a configuration.

    Attributes:
        values: every criterion by name, mean over folds; empty where training diverged.
        constraints: as `gates.constraints`.
        penalty: the reference's.
        signs: the units' vitals at the end; empty without units.
        epochs: of the first fold.
        diverged: whether training did.
        interrupted: whether Ctrl-C ended it.
    """

    values: dict[str, float] = field(default_factory=dict)
    constraints: tuple[float, ...] = ()
    penalty: float = 0.0
    signs: dict[str, float] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    diverged: bool = False
    interrupted: bool = False


def trial_training(config: ForecasterConfig, steps: int | None) -> TrainingConfig:
    """How a trial is trained: as a fit is, but for the cap on an epoch's steps."""
    training = config.training(quiet=True)
    if steps is None:
        return training
    least = min(training.min_steps_per_epoch, steps)
    return replace(training, min_steps_per_epoch=least, max_steps_per_epoch=steps)


def attempt(config: ForecasterConfig, bench: Workbench, plan: Plan, watch: Watch) -> Attempt:
    """Train a configuration on each fold and judge it on validation windows.

    Args:
        config: leaves nothing open to the data.
        bench: the data.
        plan: caps and folds.
        watch: called with each epoch of the first fold: "epoch", "score", "seconds" (CPU) and the
            units' vitals.
    """
    began = process_time()
    found: list[Attempt] = []
    for fold in range(plan.folds):
        one = _fold(config, bench, plan, fold, watch if fold == 0 else None)
        if one.diverged or one.interrupted:
            return replace(one, epochs=found[0].epochs if found else one.epochs)
        found.append(one)
    values = {name: float(np.mean([one.values[name] for one in found])) for name in found[0].values}
    values["cpu_seconds"] = process_time() - began
    gates = np.mean([one.constraints for one in found], axis=0)
    return replace(
        found[0],
        values=values,
        constraints=tuple(float(gate) for gate in gates),
        penalty=float(np.mean([one.penalty for one in found])),
    )


def _fold(
    config: ForecasterConfig, bench: Workbench, plan: Plan, fold: int, watch: Watch | None
) -> Attempt:
    material = bench.material(config, fold)
    config = material.config
    judged = bench.judged(material)
    model = FittedModel.untrained("EVE", config, bench.memory(config, fold))
    task = build_task(model.network, material.train, judged, config.crps_weight)
    epochs: list[dict[str, Any]] = []
    began = process_time()

    def on_epoch(record: EpochRecord) -> None:
        units = task.vitals()
        signs = {} if units is None else vital_signs(units, record.controls)
        line = {
            "epoch": record.epoch,
            "score": record.scores[task.score],
            "seconds": process_time() - began,
            **signs,
        }
        epochs.append(line)
        if watch is not None:
            watch(line)

    outcome = Trainer(trial_training(config, plan.steps)).fit(task, on_epoch=on_epoch)
    found = Attempt(epochs=epochs, interrupted=outcome.reason is StopReason.INTERRUPTED)
    found.diverged = outcome.reason is StopReason.DIVERGED and not outcome.best_epoch
    if found.diverged or found.interrupted:
        return found
    units = task.vitals()
    if units is not None:
        found.signs = vital_signs(units, _last_controls(epochs))
    found.values = window_losses(model, judged).means() | {
        "fault_share": found.signs.get("faults", 0.0),
        "out_of_band": found.signs.get("out_of_band", 0.0),
        "dead_share": 1.0 - found.signs.get("alive", 1.0),
        "parameters": float(sum(p.numel() for p in model.network.parameters())),
    }
    found.constraints = constraints(found.signs, config.control)
    found.penalty = penalty(found.signs, config.control)
    return found


def _last_controls(epochs: list[dict[str, Any]]) -> Mapping[str, float]:
    """What of the controls' report the vitals need."""
    return {"band_price": epochs[-1].get("band_price", 0.0)} if epochs else {}
