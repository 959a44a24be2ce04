"""What one epoch came to."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["EpochRecord"]


@dataclass(frozen=True)
class EpochRecord:
    """One line of a run's history; what `on_epoch` receives.

    Attributes:
        model: the model's name in the run.
        epoch: from 1.
        step: optimiser steps since the beginning of the run.
        loss: free energy, mean over the epoch's steps, nats per example.
        nll: its likelihood part.
        kl: running mean of the KL, summed over all units, nats per example.
        alive: share of units whose running KL is not zero; None without variational units.
        scores: what the task's `validate` returned.
        best: whether this epoch has the best score so far.
        seconds: since the beginning of the run.
        logs: the module's logs, mean over the epoch's steps.
        controls: what the last `control_step` reported.
    """

    model: str
    epoch: int
    step: int
    loss: float
    nll: float
    kl: float
    alive: float | None
    scores: dict[str, float]
    best: bool
    seconds: float
    logs: dict[str, float] = field(default_factory=dict)
    controls: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = [f.name for f in fields(self)]
        for name in (*self.scores, *self.logs):
            if name in taken or (name in self.scores and name in self.logs):
                raise ValueError(
                    f"a score or log of {self.model!r} is called {name!r}, which its record "
                    f"already has; expected another name than {taken}, and each once: call it "
                    f"'val_{name}', or similar."
                )

    def line(self) -> dict[str, Any]:
        """The fields of the event log's line: scores and logs beside the others.

        Example:
            >>> record = EpochRecord("EVE", 1, 50, 2.0, 1.5, 0.5, 1.0, {"val_nll": 1.2}, True, 3.0)
            >>> record.line()["val_nll"]
            1.2
        """
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("model", "scores", "logs", "best"):  # the log has them in other forms
            del own[name]
        return own | self.logs | self.scores
