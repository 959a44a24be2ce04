"""A search from beginning to end: study, workers, choice, final fit, comparison, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..forecasting.config import ForecasterConfig
from ..forecasting.data.frame import Panel
from ..forecasting.material import prepare
from ..training.interruption import Interruption
from .backend import optuna
from .budget import Budget
from .clock import Clock
from .crew import Crew
from .final import Comparison, compare, fit_winner
from .leases import Owner, reclaim
from .panel_file import fingerprint, write_panel
from .pareto import Chosen, choose
from .plan import Plan
from .portfolio import enqueue_opening
from .progress import SearchProgress
from .space import AbstractSpace, FunctionSpace, Space, configuration
from .space_files import space_of
from .storage import default_storage, open_storage, patiently
from .study import Finished, finished, open_study, refuse_taken
from .workbench import Workbench
from .worker import Worker, counted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Found", "Search"]

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        chosen: the trial, why, and the front.
        config: its configuration, as it was fitted.
        run: the run folder of its final fit.
        comparison: against twin and default configuration; None if there was no time.
        trials: complete, pruned and failed ones.
        seconds: wall time.
        interrupted: whether Ctrl-C ended the search.
        notes: what a reader should know, one sentence each.
    """

    chosen: Chosen
    config: ForecasterConfig
    run: Path | None
    comparison: Comparison | None
    trials: dict[str, int]
    seconds: float
    interrupted: bool
    notes: tuple[str, ...]


class Search:
    """One process's part in a search; of a single-host search, all of it.

    Args:
        folder: where it is kept.
        panel: the series.
        plan: with options that may still be open to the data.
        space: where options come from; a `Space` is stored with the study.
        budget: how long.
        storage: its address; None is SQLite in the folder.
        name: of the study.
        source: the space's file, for worker processes.
        facts: about the data, for the run folder.
        quiet: no progress.
        say: told what goes on.
    """

    def __init__(
        self,
        folder: Path,
        panel: Panel,
        plan: Plan,
        space: AbstractSpace,
        budget: Budget,
        *,
        storage: str | None = None,
        name: str = "autopilot",
        source: str | Path | None = None,
        facts: Mapping[str, Any] | None = None,
        quiet: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        if budget.workers > 1 and isinstance(space, FunctionSpace) and source is None:
            raise ValueError(
                f"workers is {budget.workers} with a space that is a function, expected 1: other "
                "processes cannot be sent it; put it into a file as space(trial) and give its path"
            )
        space.check(replace(plan.base, input_size=plan.base.input_size or 1))
        self.folder = folder
        self.panel = panel
        self.budget = budget
        self.storage = storage or default_storage(folder)
        self.name = name
        self.source = source
        self.facts = dict(facts or {})
        self.quiet = quiet
        self.say = say
        self.plan = plan
        self.space = space
        self.interrupted = False
        self.clock = Clock(budget)
        self.notes: list[str] = []

    # -- before ----------------------------------------------------------------------------

    def open(self, *, resume: bool = False, join: bool = False) -> None:
        """Make the study, or go on with it.

        Args:
            resume: a study that this folder or storage holds.
            join: take plan and space from the study; another host began it.

        Raises:
            ValueError: there is none, there is one already, or it is another.
        """
        data = fingerprint(self.panel)
        if resume and not self.folder.is_dir():
            raise ValueError(f"{self.folder}: no such search to go on with; give its folder")
        if join:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.study, self.plan = open_study(self.storage, self.name, None)
            self._check_data(data)
            self.space = space_of(self.plan, self.source)
        else:
            if not resume:
                refuse_taken(self.storage, self.name)
            self._decide(data, resume)
            plan = self.plan
            if not self.storage.startswith("sqlite"):
                open_storage(self.storage)  # before anything is written
            self.folder.mkdir(parents=True, exist_ok=True)
            self.study, _ = open_study(self.storage, self.name, plan, resume=resume)
            if isinstance(self.space, Space):
                self.space = self.space.bound(plan.base)
                self._enqueue_opening(self.space)
        self.bench = Workbench(self.panel, self.plan.sizes, self.plan.folds, self.plan.windows)
        lost = patiently(lambda: reclaim(self.study, Owner()))
        if lost:
            self.say(f"trials {lost} had lost their worker and are tried again")

    def _decide(self, data: dict[str, Any], resume: bool) -> None:
        """What is left to the data is decided once, and remembered by the study."""
        chosen = None
        if resume:
            _, stored = open_study(self.storage, self.name, None)
            chosen = stored.base.as_dict()
        material = prepare(self.panel, self.plan.base, **self.plan.sizes, chosen=chosen)
        base = material.config
        space = self.space.as_dict() if isinstance(self.space, Space) else None
        self.plan = replace(self.plan, base=base, data=data, space=space)
        self.space.check(base)
        self.say(
            f"{len(self.panel)} series, {len(material.train):,} training and "
            f"{len(material.validation):,} validation windows; context {base.input_size} steps; "
            f"encoder {base.encoder} by its trial"
        )

    def _check_data(self, data: dict[str, Any]) -> None:
        for key, value in self.plan.data.items():
            if data[key] != value:
                raise ValueError(
                    f"study {self.name!r} searches other data ({key} {value}, here {data[key]}): "
                    "give the file, target and treatment that it was begun with"
                )

    def _enqueue_opening(self, space: Space) -> None:
        """The default configuration first, so that nothing worse is chosen, then the portfolio."""
        fresh = not self.study.get_trials(deepcopy=False)
        default = space.default(self.plan.base)
        if default is None:
            self.notes.append("the default configuration lies outside the space: it is not a trial")
        elif fresh:
            self.study.enqueue_trial(default, user_attrs={"default": True})
        if fresh and self.plan.portfolio:
            enqueue_opening(self.study, space, self.plan.base, self.budget.trials)

    # -- the search ------------------------------------------------------------------------

    def run(self) -> None:
        """Run trials until the budget is spent or Ctrl-C."""
        quality = self.plan.objectives[0]
        progress = SearchProgress(self.quiet, self.budget.trials, self.budget.seconds, quality)
        try:
            if self.budget.workers == 1:
                self._alone(progress)
            else:
                self._with_crew(progress)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            progress.close()
        if self.clock.is_over and not self.interrupted and counted(self.study) == 1:
            self.notes.append("the first trial alone took longer than --time: give it more")

    def _alone(self, progress: SearchProgress) -> None:
        worker = Worker(
            self.study,
            self.plan,
            self.space,
            self.bench,
            trials=self.budget.trials,
            deadline=self._deadline,
            on_trial=lambda: self._report(progress),
        )
        worker.run()
        self.interrupted = worker.interrupted

    def _with_crew(self, progress: SearchProgress) -> None:
        write_panel(self.folder, self.panel)
        orders = {
            "storage": self.storage,
            "study": self.name,
            "space": None if self.source is None else str(Path(self.source).resolve()),
            "trials": self.budget.trials,
        }
        crew = Crew(self.folder, self.budget.workers, orders)
        owner = Owner()
        try:
            with Interruption() as interruption:
                crew.start()
                while crew.watch() and not interruption.requested:
                    deadline = self._deadline()
                    if deadline is not None and time.monotonic() >= deadline:
                        break
                    if crew.deaths:
                        patiently(lambda: reclaim(self.study, owner))
                    patiently(lambda: self._report(progress))
                    time.sleep(POLL_SECONDS)
                self.interrupted = interruption.requested
        finally:
            crew.stop()
            patiently(lambda: reclaim(self.study, owner))
        patiently(lambda: self._report(progress))

    def _report(self, progress: SearchProgress) -> None:
        done = finished(self.study)
        quality = self.plan.objectives[0]
        best = min((t.values[quality] for t in done if t.valid), default=None)
        progress.update(len(done), counted(self.study) - len(done), best)

    def _deadline(self) -> float | None:
        return self.clock.deadline(self.study, self.plan, self.bench)

    # -- after -----------------------------------------------------------------------------

    def finish(self) -> Found:
        """Choose, fit the winner, compare.

        Raises:
            ValueError: no trial was completed.
        """
        done = finished(self.study)
        chosen = choose(done, self.plan.criteria, self.plan.goal)
        config = configuration(self.plan.base, chosen.trial.options)
        self.say(f"trial {chosen.trial.number} is chosen: {chosen.reason}")
        run = self.folder / "best"
        facts = {**self.plan.sizes, **self.facts}
        winner = fit_winner(
            run, self.panel, config, self.bench, facts, quiet=self.quiet, say=self.say
        )
        comparison = None
        if self.budget.seeds and not self.interrupted:
            comparison = compare(
                winner,
                config,
                self.plan.base,
                self.bench,
                self.budget.seeds,
                until=self.clock.end,
                say=self.say,
            )
        self._note(done, comparison)
        return Found(
            chosen=chosen,
            config=winner.config,
            run=run,
            comparison=comparison,
            trials=self.counts(),
            seconds=self.clock.elapsed,
            interrupted=self.interrupted,
            notes=tuple(self.notes),
        )

    def counts(self) -> dict[str, int]:
        """Trials by what became of them."""
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        names = optuna.trial.TrialState
        return {
            "complete": states.count(names.COMPLETE),
            "pruned": states.count(names.PRUNED),
            "failed": states.count(names.FAIL),
        }

    def _note(self, done: list[Finished], comparison: Comparison | None) -> None:
        seeds = self.budget.seeds
        if self.interrupted:
            self.notes.append("the search was interrupted; --resume goes on with it")
        elif seeds and comparison is None:
            self.notes.append("there was no time for the comparison: give more --time")
        elif comparison is not None and comparison.seeds < seeds:
            self.notes.append(
                f"there was time for {comparison.seeds} of {seeds} seeds of the comparison"
            )
        if comparison is not None and comparison.windows == "validation":
            self.notes.append(
                "without test rows the comparison is on validation rows, on which the search has "
                "chosen: it favours the winner"
            )
