"""When a search's trials have to end, so that what follows them is in time."""

from __future__ import annotations

import time

from .backend import optuna
from .budget import Budget
from .plan import Plan
from .study import finished
from .workbench import Workbench
from .worker import counted

__all__ = ["Clock"]

MOST_RESERVE = 0.6
"""Of the time, at most so much is kept for what follows the trials."""


class Clock:
    """The time of a search, from when this is made.

    Args:
        budget: seconds for all of it, and refits for the comparison.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self.began

    @property
    def end(self) -> float | None:
        """When all has to be over, by the monotonic clock; None without a time."""
        seconds = self.budget.seconds
        return None if seconds is None else self.began + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is spent."""
        return self.end is not None and time.monotonic() > self.end

    def deadline(self, study: optuna.Study, plan: Plan, bench: Workbench) -> float | None:
        """When trials have to end, so that the final fit and the comparison are in time.

        The first trial is awaited, however long it takes: without one nothing is found at all.
        """
        seconds = self.budget.seconds
        if seconds is None or not counted(study):
            return None
        fits = 1 + max(3 * self.budget.seeds - 1, 0)
        reserve = 1.2 * fits * _fit_seconds(study, plan, bench)
        return self.began + seconds - min(reserve, MOST_RESERVE * seconds)


def _fit_seconds(study: optuna.Study, plan: Plan, bench: Workbench) -> float:
    """How long a final fit should take, by the trials so far."""
    done = finished(study)
    if not done:
        return 0.0
    seconds = sorted(trial.values["cpu_seconds"] for trial in done)
    training = plan.base.training(quiet=True)
    a_pass = -(-len(bench.material(plan.base).train) // training.batch_size)
    whole = min(max(a_pass, training.min_steps_per_epoch), training.max_steps_per_epoch)
    share = whole / min(whole, plan.steps or whole)
    return seconds[len(seconds) // 2] / plan.folds * share
