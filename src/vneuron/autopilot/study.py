"""The study in its storage: made, joined, and asked what became of its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .backend import hushed, optuna
from .neighbours import NeighbourSampler
from .plan import Plan
from .pruner import CURVE, PROGRESS, VitalsPruner
from .storage import may_hold, open_storage, shown

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

__all__ = [
    "RESULT",
    "Finished",
    "build_pruner",
    "build_sampler",
    "finished",
    "open_study",
    "refuse_taken",
]

PLAN = "plan"
RESULT = "result"
STARTUP = 6


def open_study(
    url: str, name: str, plan: Plan | None, *, resume: bool = False, worker: int = 0
) -> tuple[optuna.Study, Plan]:
    """A study and its plan.

    Args:
        url: of the storage.
        name: of the study.
        plan: of a new study; None joins one that is there.
        resume: go on with a study of the same plan.
        worker: tells the samplers of several processes apart.

    Raises:
        ValueError: there is no such study, there is one already, or its plan is another.
    """
    storage = open_storage(url)
    with hushed():
        known = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
        if name not in known:
            if plan is None:
                raise ValueError(
                    f"storage {shown(url)} has no study {name!r} to join; it has {known}"
                )
            directions = [optuna.study.StudyDirection.MINIMIZE] * len(plan.searched)
            study = optuna.create_study(storage=storage, study_name=name, directions=directions)
            study.set_user_attr(PLAN, plan.as_dict())
            if hasattr(study, "set_metric_names"):
                study.set_metric_names(list(plan.searched))
        elif plan is not None and not resume:
            raise ValueError(_taken(url, name))
        study = optuna.load_study(study_name=name, storage=storage)
        stored = Plan.from_dict(study.user_attrs[PLAN])
        if plan is not None:
            _check_same(stored, plan, name)
            stored = plan
        study = optuna.load_study(
            study_name=name,
            storage=storage,
            sampler=build_sampler(stored, worker, len(study.get_trials(deepcopy=False))),
            pruner=build_pruner(stored),
        )
    return study, stored


def refuse_taken(url: str, name: str) -> None:
    """Refuse a storage that is none, or holds a study of this name, before time is spent.

    Raises:
        ValueError: the address is wrong, nothing answers there, or the study is there already.
    """
    if not may_hold(url):
        return
    storage = open_storage(url)
    with hushed():
        known = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
    if name in known:
        raise ValueError(_taken(url, name))


def _taken(url: str, name: str) -> str:
    return (
        f"storage {shown(url)} holds a study {name!r} already: go on with it (--resume), "
        "or name another (--study)"
    )


def build_sampler(plan: Plan, worker: int = 0, drawn: int = 0) -> BaseSampler:
    """Optuna's sampler for a plan.

    Args:
        plan: names it and its seed.
        worker: each draws from a seed of its own.
        drawn: trials that the study has: going on must not draw the same again.
    """
    seed = (plan.seed + 1000 * worker + 100_003 * drawn) % 2**32  # what NumPy's generators take
    samplers = optuna.samplers
    with hushed():
        if plan.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if plan.sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed)
        if plan.sampler == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
        tpe = samplers.TPESampler(
            seed=seed,
            multivariate=True,
            group=True,
            n_startup_trials=STARTUP,
        )
        return NeighbourSampler(tpe, seed) if plan.sampler == "neighbours" else tpe


def build_pruner(plan: Plan) -> BasePruner:
    """What stops trials early."""
    pruners, epochs = optuna.pruners, plan.base.training(quiet=True).epochs
    if plan.pruner == "vitals":
        return VitalsPruner()
    if plan.pruner == "curve":
        return VitalsPruner(CURVE)
    if plan.pruner == "hyperband":
        return pruners.HyperbandPruner(1, max(epochs, 1), 3)
    if plan.pruner == "halving":
        return pruners.SuccessiveHalvingPruner(1, 3)
    if plan.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    return pruners.NopPruner()


def _check_same(stored: Plan, plan: Plan, name: str) -> None:
    """A study goes on under its own plan.

    Raises:
        ValueError: the first option that differs.
    """
    before, now = stored.as_dict(), plan.as_dict()
    for key in before:
        old, new = before[key], now[key]
        if key == "base":
            differing = [option for option in old if old[option] != new.get(option)]
            if differing:
                raise ValueError(
                    f"study {name!r} was begun with {differing[0]} = {old[differing[0]]!r}, now "
                    f"{new.get(differing[0])!r}: go on with the same options, or name another"
                )
        elif _plain(old) != _plain(new):
            raise ValueError(
                f"study {name!r} was begun with {key} = {old!r}, now {new!r}: go on with the same "
                "options and data, or name another"
            )


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Finished:
    """A trial that was judged.

    Attributes:
        number: in the study.
        options: what was drawn.
        values: every criterion by name.
        constraints: as `gates.constraints`.
        penalty: the reference's.
        signs: the units' vitals.
        epochs: of its first fold.
    """

    number: int
    options: dict[str, Any]
    values: dict[str, float]
    constraints: tuple[float, ...]
    penalty: float
    signs: dict[str, float]
    epochs: list[dict[str, Any]]

    @property
    def valid(self) -> bool:
        """Whether every gate is kept."""
        return all(value <= 1e-9 for value in self.constraints)


def finished(study: optuna.Study) -> list[Finished]:
    """The complete trials of a study, in their order."""
    states = (optuna.trial.TrialState.COMPLETE,)
    found = []
    for trial in study.get_trials(deepcopy=False, states=states):
        result = trial.user_attrs[RESULT]
        found.append(
            Finished(
                number=trial.number,
                options=result["options"],
                values=result["values"],
                constraints=tuple(result["constraints"]),
                penalty=result["penalty"],
                signs=result["signs"],
                epochs=trial.user_attrs[PROGRESS]["epochs"],
            )
        )
    return found
