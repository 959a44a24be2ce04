"""`AutoPilot`: a search for a forecaster, as an object."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..forecasting.config import ForecasterConfig
from ..forecasting.data.errors import NotFittedError
from ..forecasting.data.frame import Panel
from ..forecasting.data.split import Size
from ..forecasting.forecaster import EVEForecaster
from ..forecasting.network_defaults import network_defaults
from ..forecasting.reading import read_frame
from .budget import Budget
from .page import write_page
from .plan import Goal, Plan, PrunerName, SamplerName
from .results import fit_command, summary, trials_frame, write_results
from .search import Found, Search
from .space import AbstractSpace, FunctionSpace, Space
from .space_files import read_space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AutoPilot"]


class AutoPilot:
    """Searches configurations of `EVEForecaster`, listening to their units, and fits the best.

    A trial is an ordinary fit under caps: at most `steps` optimiser steps per epoch, judged on at
    most `windows` validation windows, on each of `folds` rolling origins. The search sees training
    and validation rows only. What the data decide (look-back, encoder, features, second reader) is
    decided once, before it; the default configuration is its first trial, and configurations that
    did well on other data are the next (`portfolio`). The chosen configuration is then fitted
    without caps, into an ordinary run folder, and compared, over seeds and on test rows, with its
    deterministic twin and with the default configuration.

    Args:
        horizon: steps to forecast.
        input_size: steps of context; None leaves it to trials on validation rows, before the
            search.
        space: "trajectory", "reference" (the papers'), a YAML or Python file, a mapping like the
            YAML file's, or a function of Optuna's trial that gives a dict of options. None is the
            network's own.
        objectives: criteria, quality first: "joint_nll", "nll", "crps" or "mse"; then of
            "fault_share", "out_of_band", "dead_share", "parameters", "cpu_seconds".
        goal: "pareto" (the knee of the front, near its best quality), "lexicographic" (the
            reference's: valid, then penalty, then quality), or "quality".
        trials: how many, those that are stopped early included; 40 if no time is given either.
        time: seconds for all of it, final fit and comparison included.
        workers: processes, each with one thread.
        pruner: "vitals", "curve" (the validation curve alone), or "none"; with one objective or
            another goal also "hyperband", "halving" or "median".
        sampler: "neighbours" (half of the trials near the best ones, the others by TPE), "tpe",
            "random", "nsga2" or "gp" (Optuna's).
        folds: rolling origins that a trial is judged on.
        steps: cap on an epoch's steps in trials; None is none.
        windows: cap on validation windows in trials; 0 is none.
        portfolio: whether to begin with configurations that did well on other data, as far as the
            space holds them.
        seeds: refits for the comparison; 0 leaves it out.
        storage: address of the study (`open_storage`); None is SQLite in its folder.
        study: its name there.
        seed: of sampler and forecasters.
        quiet: no progress.
        options: further arguments of `EVEForecaster`, which all trials share.

    Raises:
        ValueError: an option is out of range or unknown; the message names it.
        ImportError: Optuna is not installed.

    Example:
        >>> pilot = AutoPilot(horizon=6, input_size=24, trials=4, space={"units": [4, 8]})
        >>> pilot.plan.objectives
        ('joint_nll', 'fault_share', 'parameters')
    """

    def __init__(
        self,
        horizon: int,
        input_size: int | None = None,
        *,
        space: str | Path | Mapping[str, Any] | Callable[[Any], dict[str, Any]] | None = None,
        objectives: Sequence[str] = ("joint_nll", "fault_share", "parameters"),
        goal: Goal = "pareto",
        trials: int | None = None,
        time: float | None = None,
        workers: int = 1,
        pruner: PrunerName = "vitals",
        sampler: SamplerName = "neighbours",
        folds: int = 1,
        steps: int | None = 100,
        windows: int = 2048,
        portfolio: bool = True,
        seeds: int = 3,
        storage: str | None = None,
        study: str = "autopilot",
        seed: int = 0,
        quiet: bool = False,
        **options: Any,
    ) -> None:
        if trials is None and time is None:
            trials = 40
        self.budget = Budget(trials, time, workers, seeds)
        base = _base(horizon, input_size, seed, options)
        self.source, self.space = _space(space, base)
        self.plan = Plan(
            base=base,
            objectives=tuple(objectives),
            goal=goal,
            pruner=pruner,
            sampler=sampler,
            folds=folds,
            steps=steps,
            windows=windows,
            portfolio=portfolio,
            seed=seed,
        )
        self.space.check(base if input_size else _with_some_context(base))
        self.storage = storage
        self.study = study
        self.quiet = quiet
        self._found: Found | None = None
        self._search: Search | None = None

    def fit(
        self,
        df: object,
        val_size: Size = None,
        test_size: Size = None,
        *,
        train_size: Size = None,
        run_dir: str | Path = "runs/autopilot",
        resume: bool = False,
    ) -> Self:
        """Search, fit the winner, compare.

        Args:
            df: long frame, pandas or polars: unique_id, ds, y.
            val_size: rows of each series for choosing, after the training rows; None is 10%.
            test_size: rows after those, for the comparison; None is 10%, 0 none.
            train_size: rows to train on; None takes what the others leave.
            run_dir: folder of the search; the winner's run is in its folder "best".
            resume: go on with the study there.

        Raises:
            DataError: the data cannot be used.
            ValueError: the folder holds another search, or no trial was completed.
        """
        sizes = {"train_size": train_size, "val_size": val_size, "test_size": test_size}
        panel = df if isinstance(df, Panel) else read_frame(df, self.plan.base)
        self.search(Path(run_dir), panel, sizes, resume=resume)
        return self

    def search(
        self,
        folder: Path,
        panel: Panel,
        sizes: Mapping[str, Size],
        *,
        resume: bool = False,
        join: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> Found | None:
        """What `fit` does, on series that are read already.

        Args:
            folder: of the search.
            panel: the series.
            sizes: train_size, val_size, test_size.
            resume: go on with the study there.
            join: work for a study that another process leads, and leave the end to it.
            facts: about the data, for the run folder.

        Returns:
            What was found; None of a process that joined.
        """
        self._search = search = Search(
            folder,
            panel,
            replace(self.plan, sizes=dict(sizes)),
            self.space,
            self.budget,
            storage=self.storage,
            name=self.study,
            source=self.source,
            quiet=self.quiet,
            say=self._say,
        )
        search.open(resume=resume, join=join)
        search.run()
        if join:
            return None
        data = dict(facts or {})
        search.facts = data
        self._found = found = search.finish()
        reproduce = fit_command(data.get("path"), found.config, dict(sizes))
        write_results(search, found, reproduce)
        self._say(f"report: {write_page(folder)}")
        return found

    @property
    def result(self) -> dict[str, Any]:
        """Best configuration, front, run folder, trials, seconds, comparison, as plain values."""
        search, found = self._fitted()
        return summary(search, found)

    @property
    def forecaster(self) -> EVEForecaster:
        """The winner, fitted."""
        _, found = self._fitted()
        if found.run is None:
            raise NotFittedError("the search left no run")
        return EVEForecaster.load(found.run, quiet=self.quiet)

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: its state, options, values, and epochs (as JSON)."""
        search, _ = self._fitted()
        return trials_frame(search.study)

    def _fitted(self) -> tuple[Search, Found]:
        if self._search is None or self._found is None:
            raise NotFittedError("the search has not been run: call fit(df)")
        return self._search, self._found

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def _base(
    horizon: int, input_size: int | None, seed: int, options: dict[str, Any]
) -> ForecasterConfig:
    known = set(ForecasterConfig.__dataclass_fields__)
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(
            f"option {unknown[0]!r} is neither of the search nor of the forecaster, expected of "
            f"{sorted(known)}."
        )
    units, dropout = network_defaults(options.get("network", "trajectory")).where_none(
        options.pop("units", None), options.pop("dropout", None)
    )
    return ForecasterConfig(
        horizon=horizon, input_size=input_size, seed=seed, units=units, dropout=dropout, **options
    )


def _with_some_context(base: ForecasterConfig) -> ForecasterConfig:
    return replace(base, input_size=base.horizon)


def _space(given: Any, base: ForecasterConfig) -> tuple[str | Path | None, AbstractSpace]:
    """The space, and its file if it has one."""
    if given is None:
        given = base.network
    if isinstance(given, Mapping):
        return None, Space.of(given)
    if callable(given):
        return None, FunctionSpace(given)
    return str(given), read_space(given)
