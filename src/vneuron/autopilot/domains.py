"""What one option may be: a choice among values, or a range of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["Choice", "Domain", "Range", "read_domain"]

Scalar: TypeAlias = bool | int | float | str | None

_KEYS = ("low", "high", "log", "step", "when", "values")


@dataclass(frozen=True)
class Choice:
    """One of some values.

    Raises:
        ValueError: there are none, or one is no plain value.
    """

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a choice has no values, expected at least one: list them.")
        for value in self.values:
            if value is not None and not isinstance(value, bool | int | float | str):
                raise ValueError(f"a choice holds {value!r}, expected plain values.")

    @property
    def probes(self) -> tuple[Scalar, ...]:
        """Values whose validity says that of all."""
        return self.values

    def suggest(self, trial: BaseTrial, name: str) -> Scalar:
        """A value for a trial."""
        return trial.suggest_categorical(name, self.values)

    def contains(self, value: object) -> bool:
        """Whether a trial could have this value."""
        return value in self.values

    def as_dict(self) -> dict[str, Any]:
        """As a space's file holds it."""
        return {"values": list(self.values)}


@dataclass(frozen=True)
class Range:
    """A number between two, both included; whole if both are.

    Attributes:
        low: smallest value.
        high: largest value.
        log: draw its logarithm evenly.
        step: distance between values; None is any (1 for whole numbers).

    Raises:
        ValueError: the ends are not finite and in order, or `log` does not go with them.

    Example:
        >>> Range(2e-4, 2e-3, log=True).probes
        (0.0002, 0.002)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"range is [{self.low}, {self.high}], expected low ≤ high.")
        if self.log and self.low <= 0:
            raise ValueError(f"range starts at {self.low} with log, expected above 0.")
        if self.log and self.step is not None:
            raise ValueError(f"range has log and step {self.step}, expected one of them.")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step is {self.step}, expected a positive number.")

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        ends = (self.low, self.high, 1 if self.step is None else self.step)
        return all(isinstance(value, int) for value in ends)

    @property
    def probes(self) -> tuple[Scalar, ...]:
        """Values whose validity says that of all."""
        return (self.low, self.high)

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """A value for a trial."""
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def contains(self, value: object) -> bool:
        """Whether a trial could have this value, but for the grid of `step`."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def as_dict(self) -> dict[str, Any]:
        """As a space's file holds it."""
        found: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            found["log"] = True
        return found if self.step is None else found | {"step": self.step}


Domain: TypeAlias = Choice | Range


def read_domain(name: str, raw: object) -> Domain:
    """A domain as files state it: a list, {low, high, log, step}, {values}, or one value.

    Args:
        name: of the option, for messages.
        raw: what the file holds.

    Raises:
        ValueError: it is none of these; the message names the option.

    Example:
        >>> read_domain("units", [8, 16]), read_domain("beta", {"low": 0.01, "high": 1})
        (Choice(values=(8, 16)), Range(low=0.01, high=1.0, log=False, step=None))
    """
    try:
        return _domain(raw)
    except ValueError as error:
        raise ValueError(f"space: {name}: {error}") from None


def _domain(raw: object) -> Domain:
    if isinstance(raw, Mapping):
        unknown = sorted(str(key) for key in raw if key not in _KEYS)
        if unknown:
            raise ValueError(f"has the key {unknown[0]!r}, expected of {_KEYS}.")
        if "values" in raw:
            return _domain(raw["values"])
        if not {"low", "high"} <= raw.keys():
            raise ValueError(f"is {dict(raw)}, expected low and high, or values.")
        ends = [_number(raw["low"]), _number(raw["high"])]
        step = None if raw.get("step") is None else _number(raw["step"])
        if any(isinstance(end, float) for end in ends):
            ends = [float(end) for end in ends]
        return Range(ends[0], ends[1], bool(raw.get("log", False)), step)
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return Choice(tuple(_scalar(value) for value in raw))
    return Choice((_scalar(raw),))


def _scalar(value: Any) -> Any:
    """YAML reads 1e-3 as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _number(value: object) -> float:
    found = _scalar(value)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"has {value!r} where a number is expected.")
    return found
