"""How a model is trained, apart from what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from .numbers import LARGEST_SEED, real_number, whole_number

__all__ = ["Device", "Precision", "Strategy", "TrainingConfig"]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Strategy: TypeAlias = Literal["auto", "ddp"]
Precision: TypeAlias = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class TrainingConfig:
    """Length, optimiser and place of a training run.

    Attributes:
        epochs: at most so many; validation and checkpoints come after each.
        batch_size: examples per step and process; no more than there are.
        learning_rate: AdamW's, at the start of the cosine that brings it to zero.
        warmup_steps: steps over which the learning rate first rises.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        patience: epochs without a better score after which training stops; 0 never stops early.
        min_steps_per_epoch: where there are few examples, an epoch passes over them repeatedly.
        max_steps_per_epoch: where there are many, an epoch is a part of a pass, which the next
            epoch goes on with.
        seed: of the order of examples and of all draws during training. The weights that training
            starts from are the caller's.
        device: "auto" is "cuda" where there is one.
        devices: number of processes, one device each; under `torchrun` it is torchrun's.
        strategy: "auto", or "ddp" (what several devices mean in either case).
        precision: "bf16-mixed" runs the module in bfloat16 autocast, weights in single precision.
        compile: run the module through `torch.compile`.
        quiet: no progress on standard error.

    Raises:
        ValueError: if a value is out of range.

    Example:
        >>> TrainingConfig(epochs=0)
        Traceback (most recent call last):
        ...
        ValueError: epochs is 0, expected at least 1.
    """

    epochs: int = 8
    batch_size: int = 256
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    gradient_clip: float = 1.0
    patience: int = 3
    min_steps_per_epoch: int = 50
    max_steps_per_epoch: int = 1000
    seed: int = 0
    device: Device = "auto"
    devices: int = 1
    strategy: Strategy = "auto"
    precision: Precision = "32-true"
    compile: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        least = {
            "epochs": 1,
            "batch_size": 1,
            "warmup_steps": 0,
            "patience": 0,
            "min_steps_per_epoch": 1,
            "devices": 1,
        }
        found = {name: whole_number(name, getattr(self, name), n) for name, n in least.items()}
        found["max_steps_per_epoch"] = whole_number(
            "max_steps_per_epoch", self.max_steps_per_epoch, found["min_steps_per_epoch"]
        )
        found["seed"] = whole_number("seed", self.seed, 0, LARGEST_SEED)
        for name, value in found.items():
            object.__setattr__(self, name, value)
        for name in ("learning_rate", "gradient_clip"):
            real_number(name, getattr(self, name))
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate is {self.learning_rate}, expected a positive number.")
        if not self.gradient_clip >= 0:
            raise ValueError(
                f"gradient_clip is {self.gradient_clip}, expected a positive norm, or 0 for none."
            )
        choices = {"device": Device, "strategy": Strategy, "precision": Precision}
        for name, kinds in choices.items():
            chosen = getattr(self, name)
            if chosen not in get_args(kinds):
                raise ValueError(f"{name} is {chosen!r}, expected one of {get_args(kinds)}.")
