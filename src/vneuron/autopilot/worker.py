"""A process that runs trials of a study until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..forecasting.config import ForecasterConfig
from .backend import hushed, optuna
from .gates import constraints
from .leases import Owner, reclaim, release
from .plan import Plan
from .pruner import PROGRESS, VitalsPruner
from .space import AbstractSpace, configuration
from .storage import patiently
from .study import RESULT
from .trial import Attempt, attempt
from .workbench import Workbench

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

__all__ = ["Worker", "counted"]

COUNTED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


class OutOfTime(Exception):
    """The search's time is over."""


class Pruned(Exception):
    """The pruner has decided."""


class Worker:
    """Asks for trials, runs them, and tells what became of them.

    Args:
        study: in its storage, with sampler and pruner.
        plan: of the study.
        space: where options come from.
        bench: the data.
        trials: how many the study is to have; None sets no number.
        deadline: monotonic time after which a trial is given up; None is never.
        on_trial: called after each trial.
    """

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        space: AbstractSpace,
        bench: Workbench,
        *,
        trials: int | None = None,
        deadline: Callable[[], float | None] = lambda: None,
        on_trial: Callable[[], object] = lambda: None,
    ) -> None:
        self.study = study
        self.plan = plan
        self.space = space
        self.bench = bench
        self.trials = trials
        self.deadline = deadline
        self.on_trial = on_trial
        self.owner = Owner()
        self.epochs = plan.base.training(quiet=True).epochs
        self.interrupted = False

    def run(self) -> None:
        """Run trials until the study has as many as planned, the time is over, or Ctrl-C."""
        while True:
            patiently(lambda: reclaim(self.study, self.owner, own=True))
            if self._is_over():
                return
            trial = patiently(self._ask)
            try:
                self._run(trial)
            except OutOfTime:
                self._give_back(trial)
                return
            if self.interrupted:
                self._give_back(trial)
                return
            self.on_trial()

    def _is_over(self) -> bool:
        deadline = self.deadline()
        if deadline is not None and time.monotonic() >= deadline:
            return True
        planned = self.trials
        return planned is not None and patiently(lambda: counted(self.study, True)) >= planned

    def _ask(self) -> Trial:
        with hushed():
            trial = self.study.ask()
        trial.set_user_attr(PROGRESS, self._progress([]))
        return trial

    def _progress(self, epochs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"owner": self.owner.sign(), "total": self.epochs, "epochs": epochs}

    def _run(self, trial: Trial) -> None:
        with hushed():
            values = self.space.suggest(trial)
        try:
            config = configuration(self.plan.base, values)
        except ValueError as error:
            self._tell(trial, None, {"options": values, "reason": str(error)})
            return
        epochs: list[dict[str, Any]] = []
        try:
            watch = partial(self._watch, trial, epochs)
            found = attempt(config, self.bench, self.plan, watch)
        except Pruned:
            self._tell(trial, None, self._facts(values, config, epochs))
            return
        if found.interrupted:
            self.interrupted = True
        elif found.diverged:
            self._tell(trial, None, {"options": values, "reason": "training diverged"})
        else:
            self._complete(trial, values, found)

    def _watch(self, trial: Trial, epochs: list[dict[str, Any]], line: dict[str, Any]) -> None:
        """Keep the epoch where others can see it, and ask whether to go on."""
        deadline = self.deadline()
        if deadline is not None and time.monotonic() >= deadline:
            raise OutOfTime
        epochs.append({name: _short(value) for name, value in line.items()})
        patiently(lambda: trial.set_user_attr(PROGRESS, self._progress(epochs)))
        if len(self.plan.searched) == 1:
            patiently(lambda: trial.report(line["score"], line["epoch"]))
        with hushed():
            if patiently(lambda: self._stops(trial, epochs)):
                raise Pruned

    def _stops(self, trial: Trial, epochs: list[dict[str, Any]]) -> bool:
        """What the pruner says; ours is told the epochs, which are two queries less an epoch."""
        pruner = self.study.pruner
        if isinstance(pruner, VitalsPruner):
            return pruner.stops(self.study, epochs, self.epochs)
        return pruner.prune(self.study, self._frozen(trial))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        """The trial as pruners see it."""
        running = (optuna.trial.TrialState.RUNNING,)
        found = self.study.get_trials(deepcopy=False, states=running)
        return next(other for other in found if other.number == trial.number)

    def _facts(
        self, values: dict[str, Any], config: ForecasterConfig, epochs: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Of a trial that was stopped: where it stood."""
        signs = {name: v for name, v in epochs[-1].items() if name not in ("epoch", "score")}
        gates = constraints(signs, config.control) if "faults" in signs else ()
        return {"options": values, "reason": "pruned", "constraints": gates}

    def _complete(self, trial: Trial, values: dict[str, Any], found: Attempt) -> None:
        result = {
            "options": values,
            "values": found.values,
            "constraints": found.constraints,
            "penalty": found.penalty,
            "signs": found.signs,
        }
        told = [found.values[name] for name in self.plan.searched]
        self._tell(trial, told, result)

    def _tell(self, trial: Trial, values: list[float] | None, result: dict[str, Any]) -> None:
        patiently(lambda: trial.set_user_attr(RESULT, result))
        gates = result.get("constraints")
        # A sampler that knows of gates looks where they are kept, however bad it is there. Where
        # health is an objective or a matter of the last choice, it had better not.
        strict = self.plan.goal == "lexicographic"
        if strict and gates and "health" not in trial.constraints:
            patiently(lambda: trial.set_constraint("health", max(gates)))
        state = optuna.trial.TrialState.PRUNED if values is None else None

        def tell() -> None:
            with hushed():
                self.study.tell(trial, values, state=state, skip_if_finished=True)

        patiently(tell)

    def _give_back(self, trial: Trial) -> None:
        """Nobody is to blame: the configuration waits for whoever goes on."""
        frozen = patiently(lambda: self._frozen(trial))
        patiently(lambda: release(self.study, frozen, blame=False))


def counted(study: optuna.Study, running: bool = False) -> int:
    """Trials that count towards the planned number; with those that others are at."""
    states = (*COUNTED, optuna.trial.TrialState.RUNNING) if running else COUNTED
    return len(study.get_trials(deepcopy=False, states=states))


def _short(value: Any) -> Any:
    """Six digits are enough for curves, and keep the storage small."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
