"""How training ended, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["StopReason", "TrainingOutcome"]


class StopReason(StrEnum):
    """Why training stopped. The value is what logs hold; `message` says what to do about it."""

    COMPLETED = "completed"
    EARLY_STOPPED = "early_stopped"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"

    @property
    def message(self) -> str:
        """One sentence for people, with the remedy where there is something to cure."""
        return _MESSAGES[self]


_MESSAGES = {
    StopReason.COMPLETED: (
        "All epochs were trained. If the best was the last, more epochs may still improve it."
    ),
    StopReason.EARLY_STOPPED: (
        "The validation score stopped improving, and the best weights were kept. Raise patience "
        "to go on for longer."
    ),
    StopReason.INTERRUPTED: (
        "Training was interrupted, and the best weights so far were kept. Resume the run to go on "
        "from the end of its last whole epoch."
    ),
    StopReason.DIVERGED: (
        "The loss or the validation score became infinite or NaN, and the best weights before "
        "that were kept. Lower learning_rate, lower gradient_clip, add warmup_steps, or look for "
        "extreme values in the data."
    ),
}


@dataclass(frozen=True)
class TrainingOutcome:
    """What a call of `Trainer.fit` came to. A resumed run counts from its beginning.

    Attributes:
        best_score: lowest validation score; NaN if no epoch was completed.
        best_epoch: the epoch it belongs to, from 1; 0 if none was completed, and then the module
            holds the weights that training began with.
        epochs: completed epochs.
        steps: optimiser steps of the completed epochs.
        reason: why training stopped.
        seconds: wall-clock time, without the time between a kill and the resumption.
        cpu_seconds: processor time of the first process, over all its threads.
    """

    best_score: float
    best_epoch: int
    epochs: int
    steps: int
    reason: StopReason
    seconds: float
    cpu_seconds: float
