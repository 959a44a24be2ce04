"""What training writes into a run folder: events, vitals and checkpoints of one model."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from .checkpoint import load_checkpoint, load_weights, save_checkpoint
from .events import EventWriter
from .run_folder import RunFolder
from .state import Identity, ResumeError, TrainingState
from .vitals_table import MORE_COLUMNS, VITALS_COLUMNS, VitalsTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAIN_MODEL", "Journal", "checkpoint_name"]

MAIN_MODEL = "EVE"


def checkpoint_name(model: str, kind: str) -> str:
    """The name of a model's checkpoint in a run that may hold several models.

    The main model's are "best" and "last"; another's carry its name.

    Args:
        model: its name, such as "EVE" (the main model), "twin" or "linear".
        kind: "best" or "last".

    Example:
        >>> checkpoint_name("EVE", "best"), checkpoint_name("twin", "best")
        ('best', 'twin-best')
    """
    return kind if model == MAIN_MODEL else f"{model}-{kind}"


class Journal:
    """The part of a run folder that belongs to one model.

    Models are trained one after another, so what the event log holds after a model's first line
    is that model's, or of a later one that is trained anew.

    Args:
        run: the run folder.
        model: the model's name in it.
        writing: False on all processes but the first: they only read.
    """

    def __init__(self, run: RunFolder, model: str, writing: bool = True) -> None:
        self.run = run
        self.model = model
        self.writing = writing
        self._events: EventWriter | None = None
        self._vitals: VitalsTable | None = None

    # -- reading ---------------------------------------------------------------------------

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to resume from."""
        return self.run.exists(f"checkpoints/{checkpoint_name(self.model, 'last')}.safetensors")

    @property
    def where(self) -> str:
        """The file to resume from, for messages."""
        return f"{self.run.path / 'checkpoints' / checkpoint_name(self.model, 'last')}.safetensors"

    def already_trained(self) -> ResumeError:
        """The error for a training that would write over an earlier one."""
        return ResumeError(
            f"{self.where}: holds an earlier training of {self.model!r}; pass resume=True to go "
            "on with it, or another run folder"
        )

    def saved_state(self, module: nn.Module, identity: Identity) -> TrainingState:
        """How far this model has come, without changing `module`.

        Raises:
            ResumeError: it was trained otherwise than is asked for now.
            RunFolderError: the checkpoint is damaged or of another module.
        """
        probe = copy.deepcopy(module)
        progress = load_weights(self.run, checkpoint_name(self.model, "last"), probe)
        identity.check(progress["identity"], self.where)
        return TrainingState.from_progress(progress)

    def load_best(self, module: nn.Module) -> None:
        """The best weights so far."""
        load_weights(self.run, checkpoint_name(self.model, "best"), module)

    def load_last(self, module: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
        """Everything at the end of the last whole epoch."""
        name = checkpoint_name(self.model, "last")
        # No random state: each epoch seeds its own.
        return load_checkpoint(self.run, name, module, optimizer=optimizer, random=False)

    # -- writing ---------------------------------------------------------------------------

    def open(self, epoch: int, position: int | None) -> None:
        """Begin to write.

        What a killed process wrote after its last checkpoint is taken back first.

        Args:
            epoch: completed epochs.
            position: bytes of the event log at that time; None for a model that begins.
        """
        if not self.writing:
            return
        self.run.sweep()
        if position is None:
            position = _first_event_of(self.model, self.run.path / "events.jsonl")
        self._events = self.run.events(position)
        self._vitals = self._vitals_until(epoch)

    def event(self, event: str, **fields: object) -> None:
        """A line of the event log, with the model's name."""
        if self._events is not None:
            self._events.write(event, model=self.model, **fields)

    def position(self) -> int | None:
        """Bytes of the event log, safely on the disk."""
        return None if self._events is None else self._events.position()

    def vitals(self, epoch: int, step: int, frame: pd.DataFrame) -> None:
        """The units' state after an epoch; `frame` has a row for each unit."""
        if self._vitals is not None:
            at = {"model": self.model, "epoch": epoch, "step": step}
            known = VITALS_COLUMNS + MORE_COLUMNS
            own = {name: frame[name].to_numpy() for name in frame if name in known}
            self._vitals.append({**own, **at})
            self._vitals.save()

    def save_best(self, module: nn.Module, progress: Mapping[str, object]) -> None:
        """The weights with the best score so far."""
        if self.writing:
            name = checkpoint_name(self.model, "best")
            save_checkpoint(self.run, name, module, progress=progress)

    def save_last(
        self, module: nn.Module, optimizer: Optimizer, progress: Mapping[str, object]
    ) -> None:
        """All that is needed to go on."""
        if self.writing:
            name = checkpoint_name(self.model, "last")
            save_checkpoint(self.run, name, module, optimizer=optimizer, progress=progress)

    def close(self) -> None:
        """Stop writing."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _vitals_until(self, epoch: int) -> VitalsTable:
        """All rows of other models, and this model's up to an epoch."""
        table = VitalsTable(self.run)
        if self.run.exists("vitals.parquet"):
            rows = self.run.read_parquet("vitals.parquet")
            kept = rows[(rows["model"] != self.model) | (rows["epoch"] <= epoch)]
            if len(kept) > 0:
                known = (name for name in VITALS_COLUMNS + MORE_COLUMNS if name in kept)
                table.append({name: kept[name] for name in known})
        return table


def _first_event_of(model: str, path: Path) -> int | None:
    """Where in an event log a model's first line begins; None if it has none."""
    if not path.exists():
        return None
    position = 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            event = json.loads(line)
        except ValueError:  # torn by a kill: the last one
            return None
        if event.get("model") == model:
            return position
        position += len(line)
    return None
