"""What trials are judged by: quality, health and cost, all of them lower for better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COSTS", "CRITERIA", "HEALTH", "QUALITIES", "Criterion", "check_objectives"]


@dataclass(frozen=True)
class Criterion:
    """One number of a trial.

    Attributes:
        name: as options and results call it.
        label: for people, with its unit.
        tolerance: how much of it is nothing: trials closer than that count as equal.
        relative: whether the tolerance is a share of the best value.
    """

    name: str
    label: str
    tolerance: float
    relative: bool = False

    def slack(self, best: float) -> float:
        """The tolerance at a best value."""
        return self.tolerance * abs(best) if self.relative else self.tolerance


QUALITIES = {
    "joint_nll": Criterion("joint_nll", "joint NLL, nats per step", 0.01),
    "nll": Criterion("nll", "NLL of single steps, nats per step", 0.01),
    "crps": Criterion("crps", "CRPS, training standard deviations", 0.01, relative=True),
    "mse": Criterion("mse", "MSE, squared training standard deviations", 0.02, relative=True),
}
HEALTH = {
    "fault_share": Criterion("fault_share", "share of units at fault", 0.05),
    "out_of_band": Criterion("out_of_band", "share of units out of their band", 0.05),
    "dead_share": Criterion("dead_share", "share of units that are not alive", 0.05),
}
COSTS = {
    "parameters": Criterion("parameters", "parameters", 0.1, relative=True),
    "cpu_seconds": Criterion("cpu_seconds", "CPU-seconds of a trial", 0.1, relative=True),
}
CRITERIA: dict[str, Criterion] = {**QUALITIES, **HEALTH, **COSTS}


def check_objectives(names: Sequence[str]) -> tuple[Criterion, ...]:
    """The criteria of these names; the first is the forecast's quality.

    Raises:
        ValueError: one is unknown or stands there twice, or the first is no quality.

    Example:
        >>> [criterion.name for criterion in check_objectives(["crps", "parameters"])]
        ['crps', 'parameters']
    """
    for name in names:
        if name not in CRITERIA:
            raise ValueError(f"objective is {name!r}, expected of {tuple(CRITERIA)}.")
    if len(set(names)) != len(names):
        raise ValueError(f"objectives are {list(names)}, expected each of them once.")
    if not names or names[0] not in QUALITIES:
        raise ValueError(
            f"objectives are {list(names)}, expected a quality first: one of {tuple(QUALITIES)}."
        )
    return tuple(CRITERIA[name] for name in names)
