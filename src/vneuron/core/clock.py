"""Counting steps, and spans of a run given in steps or as fractions of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn


class Span(NamedTuple):
    """The shorter of a number of steps and a fraction of the run.

    Where the run's length is not known the steps count alone. Settings that were found on long
    runs keep working on short ones: `Span(128, 0.1)` is 128 steps, but 40 in a run of 400.

    Attributes:
        steps: number of optimiser steps.
        fraction: part of the run, from 0 to 1.

    Example:
        >>> Span(128, 0.1).within(400), Span(128, 0.1).within(None)
        (40, 128)
    """

    steps: int
    fraction: float

    def within(self, total: int | None) -> int:
        """Steps in a run of `total` steps, None if that is not known."""
        if total is None:
            return self.steps
        return min(self.steps, round(self.fraction * total))


Duration: TypeAlias = int | float | Span
"""Steps (an int), a fraction of the run (a float), or the shorter of both (a `Span`)."""


def check_duration(label: str, duration: Duration) -> None:
    """Refuse a duration that is negative, or a fraction beyond one.

    Raises:
        ValueError: naming it.

    Example:
        >>> check_duration("warmup", 0.1)
    """
    parts: tuple[int | float, ...] = duration if isinstance(duration, Span) else (duration,)
    for part in parts:
        fraction = isinstance(part, float)
        if not math.isfinite(part) or part < 0 or (fraction and part > 1.0):
            raise ValueError(
                f"{label} is {duration}, expected a number of steps (an int from 0) or a fraction "
                "of the run (a float from 0 to 1): write 64 for steps, 0.1 for a tenth of the run."
            )


class Clock(nn.Module):
    """Counts a control's steps, and knows how long the run is once it is told.

    State is in buffers. A mirror of it on the host lets a control decide *whether* to act without
    reading from the device; it is read back once after a `load_state_dict`.

    Attributes:
        step: steps so far, int64 scalar.
        total: steps of the whole run, int64 scalar; 0 until `prepare`.

    Example:
        >>> clock = Clock()
        >>> clock.prepare(200)
        >>> clock.tick()
        1
        >>> clock.steps_in("warmup", 0.25)
        50
    """

    step: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("total", torch.zeros((), dtype=torch.int64))
        self._mirror: tuple[int, int] | None = (0, 0)

    def prepare(self, total: int) -> None:
        """Tell how many steps the whole run has.

        Raises:
            ValueError: if it is not positive.
        """
        if total < 1:
            raise ValueError(f"the run has {total} steps, expected at least 1.")
        self.total.fill_(total)
        self._mirror = (self._read()[0], total)

    def tick(self) -> int:
        """Count a step, and return how many there are."""
        step, total = self._read()
        self._mirror = (step + 1, total)
        self.step.add_(1)
        return step + 1

    def steps_in(self, label: str, duration: Duration) -> int:
        """A duration as a number of steps of this run.

        Raises:
            ValueError: if it is a fraction and the length of the run is not known.
        """
        total = self._read()[1] or None
        if isinstance(duration, Span):
            return duration.within(total)
        if not isinstance(duration, float):
            return duration
        if total is None:
            raise ValueError(
                f"{label} is the fraction {duration} of a run whose length is not known: call "
                "vneuron.prepare_controls(model, total_steps) before training (the trainer does), "
                "or give it in steps, as an int."
            )
        return round(duration * total)

    def due(self, step: int, every: Duration) -> bool:
        """Whether something that happens every so often is to happen at this step."""
        return step % max(1, self.steps_in("every", every)) == 0

    def ramp(self, step: int, warmup: Duration, ramp: Duration) -> float:
        """0 during the warm-up, then rising linearly to 1.

        Example:
            >>> [Clock().ramp(step, warmup=2, ramp=4) for step in (2, 3, 4, 6, 9)]
            [0.0, 0.25, 0.5, 1.0, 1.0]
        """
        after = step - self.steps_in("warmup", warmup)
        if after <= 0:
            return 0.0
        length = self.steps_in("ramp", ramp)
        return 1.0 if after >= length else after / length

    def _read(self) -> tuple[int, int]:
        if self._mirror is None:
            self._mirror = (int(self.step), int(self.total))
        return self._mirror

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._mirror = None
