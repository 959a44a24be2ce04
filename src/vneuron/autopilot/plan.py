"""What a search is told, as it lies in its storage: enough for any process to take part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from ..forecasting.config import ForecasterConfig
from ..training.numbers import whole_number
from .criteria import Criterion, check_objectives

__all__ = ["Goal", "Plan", "PrunerName", "SamplerName"]

Goal: TypeAlias = Literal["pareto", "lexicographic", "quality"]
PrunerName: TypeAlias = Literal["vitals", "curve", "hyperband", "halving", "median", "none"]
SamplerName: TypeAlias = Literal["neighbours", "tpe", "random", "nsga2", "gp"]


@dataclass(frozen=True)
class Plan:
    """The search apart from its data and its space.

    Attributes:
        base: options that are not searched, with what the data decide decided.
        objectives: criteria by name, quality first.
        goal: "pareto": all objectives are searched, and a knee of the front is chosen;
            "lexicographic", the reference's: quality is searched under the gates, and the choice
            is by validity, then penalty, then quality; "quality": quality alone. In the first and
            the last the gates count in the choice, as long as they cost little.
        pruner: what stops trials early.
        sampler: what draws them.
        folds: rolling origins that a trial is judged on.
        steps: at most so many optimiser steps per epoch of a trial; None is the trainer's.
        windows: at most so many validation windows judge a trial; 0 takes all.
        portfolio: whether the search begins with the library's portfolio.
        seed: of the sampler.
        sizes: train_size, val_size, test_size.
        space: its name or its file's text, for whoever joins and for the record.
        data: what identifies the data.
    """

    base: ForecasterConfig
    objectives: tuple[str, ...] = ("joint_nll", "fault_share", "parameters")
    goal: Goal = "pareto"
    pruner: PrunerName = "vitals"
    sampler: SamplerName = "neighbours"
    folds: int = 1
    steps: int | None = 100
    windows: int = 2048
    portfolio: bool = True
    seed: int = 0
    sizes: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_objectives(self.objectives)
        choices = {"goal": Goal, "pruner": PrunerName, "sampler": SamplerName}
        for name, kinds in choices.items():
            if getattr(self, name) not in get_args(kinds):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected one of {get_args(kinds)}."
                )
        least = {"folds": 1, "steps": 1, "windows": 0, "seed": 0}
        for name, value in least.items():
            if getattr(self, name) is not None or name != "steps":
                whole_number(name, getattr(self, name), value)
        if len(self.objectives) > 1 and self.goal == "pareto" and self.sampler == "gp":
            return  # Optuna's Gaussian process takes several objectives
        if self.goal == "pareto" and self.pruner in ("hyperband", "halving", "median"):
            raise ValueError(
                f"pruner is {self.pruner!r} with several objectives, expected 'vitals', "
                "'curve' or 'none', "
                "or goal='quality': Optuna's pruners know one objective."
            )

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The objectives' criteria."""
        return check_objectives(self.objectives)

    @property
    def searched(self) -> tuple[str, ...]:
        """The objectives that the sampler sees."""
        return self.objectives if self.goal == "pareto" else self.objectives[:1]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the storage."""
        return asdict(self) | {"base": self.base.as_dict()}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Plan:
        """What `as_dict` gave.

        Raises:
            ValueError: another version wrote it.
        """
        unknown = sorted(set(found) - set(cls.__dataclass_fields__))
        known = set(ForecasterConfig.__dataclass_fields__)
        unknown += sorted(set(found["base"]) - known)
        if unknown:
            raise ValueError(
                f"the study has options {unknown} that this version does not know: use the version "
                "that wrote it, or begin another study"
            )
        values = dict(found) | {
            "base": ForecasterConfig(**found["base"]),
            "objectives": tuple(found["objectives"]),
        }
        return cls(**values)
