"""How long a search may be: trials, time, processes, refits."""

from __future__ import annotations

from dataclasses import dataclass

from ..training.numbers import whole_number

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """How long a search may be.

    Attributes:
        trials: complete or stopped early; None sets no number.
        seconds: from its beginning to its end, final fit included; None sets no time.
        workers: processes.
        seeds: refits of winner, twin and default configuration for the comparison; 0 leaves it
            out.
    """

    trials: int | None = None
    seconds: float | None = None
    workers: int = 1
    seeds: int = 3

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None:
            raise ValueError("neither trials nor time is given, expected at least one of them.")
        for name, least in (("trials", 1), ("workers", 1), ("seeds", 0)):
            if getattr(self, name) is not None or name != "trials":
                whole_number(name, getattr(self, name), least)
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"time is {self.seconds} seconds, expected more than none.")
