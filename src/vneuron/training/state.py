"""How far a training run has come: what a checkpoint holds besides tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from .config import TrainingConfig
from .outcome import StopReason, TrainingOutcome
from .task import AbstractTask

__all__ = ["Identity", "ResumeError", "TrainingState"]


class ResumeError(ValueError):
    """A run cannot be gone on with as asked. One line, with the cure."""


@dataclass(frozen=True)
class Identity:
    """What must be the same for a resumed run to give the same bits.

    Attributes:
        config: the fields of `TrainingConfig` that matter to the result.
        processes: how many trained together.
        examples: number of training examples.
        score: by which checkpoints are chosen.
    """

    config: dict[str, Any]
    processes: int
    examples: int
    score: str

    @classmethod
    def of(cls, config: TrainingConfig, task: AbstractTask, processes: int) -> Self:
        """The identity of a training that is about to begin."""
        matters = {name: value for name, value in asdict(config).items() if name != "quiet"}
        return cls(matters, processes, task.examples, task.score)

    def check(self, saved: Mapping[str, Any], where: str) -> None:
        """Refuse to go on from a checkpoint of another run.

        Raises:
            ResumeError: naming the first field that differs.
        """
        own = asdict(self)
        for name, value in {**own.pop("config"), **own}.items():
            before = {**saved["config"], **saved}.get(name)
            if before != value:
                raise ResumeError(
                    f"{where}: was trained with {name} = {before!r}, and is to be resumed with "
                    f"{value!r}; resume with the same, or train a new run"
                )


@dataclass
class TrainingState:
    """Counters at the end of an epoch.

    Attributes:
        epoch: completed epochs.
        step: completed optimiser steps.
        best_score: lowest validation score; NaN before the first.
        best_epoch: its epoch, from 1; 0 before the first.
        stale: epochs since then.
        seconds: wall-clock time so far.
        cpu_seconds: processor time so far.
        reason: why training stopped, None while it goes on.
        events: bytes of the event log.
        lowest: of each score that parameters settle by, the lowest that counted.
        waited: epochs since then.
        settled: the step at which such a score had stopped falling.
    """

    epoch: int = 0
    step: int = 0
    best_score: float = math.nan
    best_epoch: int = 0
    stale: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    reason: str | None = None
    events: int | None = None
    lowest: dict[str, float] = field(default_factory=dict)
    waited: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)

    def judge(self, score: float) -> bool:
        """Count an epoch's score; whether it is the best so far. Ties are not better."""
        # The negation also holds against NaN, so the first score is the best.
        better = not score >= self.best_score
        if better:
            self.best_score, self.best_epoch, self.stale = score, self.epoch, 0
        else:
            self.stale += 1
        return better

    def watch(
        self, scores: Mapping[str, float], gains: Mapping[str, float], patience: int = 1
    ) -> None:
        """Note which watched scores have long not fallen by their gain.

        Args:
            scores: of the epoch that has just ended.
            gains: the least that counts, by score.
            patience: epochs without it after which a score has stopped falling.
        """
        for name, gain in gains.items():
            lowest = self.lowest.get(name, math.inf)
            if not lowest - scores[name] >= gain:  # a score that is NaN has not fallen
                self.waited[name] = self.waited.get(name, 0) + 1
                if self.waited[name] >= patience:
                    self.settled.setdefault(name, self.step)
            else:
                self.lowest[name], self.waited[name] = min(lowest, scores[name]), 0

    def outcome(self, reason: StopReason) -> TrainingOutcome:
        """What training came to if it ends here."""
        return TrainingOutcome(
            best_score=self.best_score,
            best_epoch=self.best_epoch,
            epochs=self.epoch,
            steps=self.step,
            reason=reason,
            seconds=self.seconds,
            cpu_seconds=self.cpu_seconds,
        )

    def progress(self, identity: Identity) -> dict[str, Any]:
        """All of it, as a checkpoint's progress."""
        return {**asdict(self), "identity": asdict(identity)}

    @classmethod
    def from_progress(cls, progress: Mapping[str, Any]) -> Self:
        """The state back from a checkpoint's progress."""
        return cls(**{name: value for name, value in progress.items() if name != "identity"})
