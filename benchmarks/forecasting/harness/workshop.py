"""Where models of one data set, horizon and seed are trained, once each, and kept."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from vneuron.forecasting.config import ForecasterConfig
from vneuron.forecasting.contenders import Contender, build_task
from vneuron.forecasting.data.frame import Panel
from vneuron.forecasting.fitting import open_run
from vneuron.forecasting.material import Material, prepare
from vneuron.forecasting.memory import Memory
from vneuron.forecasting.model import FittedModel
from vneuron.training.loop import Trainer
from vneuron.training.outcome import TrainingOutcome
from vneuron.training.run_folder import RunFolder
from vneuron.training.task import AbstractTask

from .protocols import Sizes
from .results import digest

CHOICES = "choices.json"
SEED_STRIDE = 1000
"""Between the seeds of an ensemble's members: no two ensembles of different seeds share one."""


@dataclass(frozen=True)
class Workshop:
    """Prepared data, and the folder of what is trained on it.

    Attributes:
        name: of the data set.
        panel: its series.
        config: the forecaster's options; input size and encoder may be open.
        sizes: rows or shares for training, validation and test.
        max_steps: most optimiser steps of an epoch; None is the trainer's own (1,000).
        folder: below it every model has a run folder of its own.
        shared: the material, where another seed's is to be used again.
    """

    name: str
    panel: Panel
    config: ForecasterConfig
    sizes: Sizes
    max_steps: int | None
    folder: Path
    shared: Material | None = None

    @cached_property
    def place(self) -> Path:
        """The folder of this data, these options and this seed."""
        options = {**self.config.as_dict(), "sizes": self.sizes, "max_steps": self.max_steps}
        seed = options.pop("seed")
        looks = self.config.input_size or "auto"
        name = f"{self.name}-H{self.config.horizon}-L{looks}-{digest(options)}"
        return self.folder / "trained" / name / f"seed-{seed}"

    @cached_property
    def material(self) -> Material:
        """The data, split, scaled and cut; what the options leave open is chosen once and kept."""
        if self.shared is not None:
            config = replace(self.shared.config, seed=self.config.seed)
            return replace(self.shared, config=config)
        kept = self.place / CHOICES
        chosen = json.loads(kept.read_text())["config"] if kept.exists() else None
        began = time.process_time()
        material = prepare(self.panel, self.config, **self.sizes, chosen=chosen)
        if chosen is None:
            found = {
                "config": material.config.as_dict(),
                "cpu_seconds": time.process_time() - began,
            }
            write_text(kept, json.dumps(found))
        return material

    @property
    def choice_seconds(self) -> float:
        """Processor seconds of reading, scaling and choosing, when that was done."""
        kept = self.place / CHOICES
        return float(json.loads(kept.read_text())["cpu_seconds"]) if kept.exists() else 0.0

    def member(self, number: int) -> Workshop:
        """The same data and choices with another seed; number 0 is this one."""
        if number == 0:
            return self
        config = replace(self.config, seed=self.config.seed + SEED_STRIDE * number)
        return replace(self, config=config, shared=self.material)

    def contender(
        self, contender: Contender, label: str | None = None, **changes: Any
    ) -> tuple[FittedModel, TrainingOutcome]:
        """One of the library's models, trained.

        Args:
            contender: which.
            label: its name here; the contender's own where nothing is changed.
            changes: options that are other than the forecaster's.
        """
        config = replace(self.material.config, **changes)
        memory = Memory.of(self.material, config)
        model = FittedModel.untrained(contender, config, memory)
        train, validation = self.material.train, self.material.validation
        task = build_task(model.network, train, validation, config.crps_weight)
        outcome = self.fit(label or contender, task)
        return model, outcome

    def fit(self, label: str, task: AbstractTask) -> TrainingOutcome:
        """Train a task, or go on with it, or find it trained; its module then is at its best."""
        torch.set_num_threads(1)
        training = self.material.config.training(quiet=True)
        if self.max_steps is not None:
            least = min(training.min_steps_per_epoch, self.max_steps)
            training = replace(
                training, max_steps_per_epoch=self.max_steps, min_steps_per_epoch=least
            )
        facts = {"sizes": self.sizes, "max_steps": self.max_steps, "model": label}
        if (self.place / label).is_dir() and not RunFolder(self.place / label).is_run:
            self.forget(label)  # killed before it had said what it is
        with open_run(self.place / label, self.material, facts, resume=True) as run:
            return Trainer(training).fit(task, run, label, resume=True)

    def forget(self, label: str) -> None:
        """Throw away what was trained under a name."""
        shutil.rmtree(self.place / label, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(path)
