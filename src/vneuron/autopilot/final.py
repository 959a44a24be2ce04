"""After the search: the winner as an ordinary run, and several seeds of it against others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..forecasting.comparison import score_field, train_field, write_results
from ..forecasting.config import ForecasterConfig
from ..forecasting.contenders import Contender, build_task
from ..forecasting.data.frame import Panel
from ..forecasting.data.windows import Windows
from ..forecasting.fitting import open_run
from ..forecasting.material import Material
from ..forecasting.model import FittedModel
from ..report.page import write_report
from ..training.loop import Trainer
from ..training.outcome import StopReason
from .losses import WindowLosses, by_origin, window_losses
from .paired import Paired, paired_test
from .trial import trial_training
from .workbench import Workbench

__all__ = ["Comparison", "compare", "fit_winner"]

METRICS = ("crps", "joint_nll")

Say = Callable[[str], None]


def fit_winner(
    folder: Path,
    panel: Panel,
    config: ForecasterConfig,
    bench: Workbench,
    facts: Mapping[str, Any],
    *,
    quiet: bool,
    say: Say,
) -> FittedModel:
    """Train the chosen configuration as `vneuron fit` does, into a run folder like its own.

    A run of an earlier search in the folder is replaced once the new one has its first
    checkpoint.
    """
    material = bench.material(config)
    with open_run(folder, material, dict(facts), overwrite=folder.is_dir()) as run:
        found = train_field(material, run, baselines=False, quiet=quiet)
        if run is not None:
            metrics = score_field(found, panel, say=say)
            write_results(run, found, metrics, panel)
    write_report(folder)
    return found.eve


@dataclass(frozen=True)
class Comparison:
    """The winner against others, refitted over seeds.

    Attributes:
        windows: "test" or "validation".
        seeds: how many of each.
        scores: mean and standard deviation over seeds, by contestant and metric.
        tests: by rival and metric: winner less rival.
    """

    windows: str
    seeds: int
    scores: dict[str, dict[str, tuple[float, float]]]
    tests: dict[str, dict[str, Paired]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def compare(
    winner: FittedModel,
    config: ForecasterConfig,
    base: ForecasterConfig,
    bench: Workbench,
    seeds: int,
    *,
    steps: int | None = None,
    until: float | None = None,
    say: Say = lambda text: None,
) -> Comparison | None:
    """Winner, its deterministic twin and the default configuration, over seeds, on held-out rows.

    Losses are averaged over series and seeds at each origin, and paired by origin. Where the fit
    held no test rows out, validation rows serve, on which the search itself has chosen.

    Args:
        winner: the model of the first seed.
        config: the winner's.
        base: the default configuration.
        bench: the data.
        seeds: how many of each; as many as there is time for.
        steps: cap on an epoch's steps; None trains like `vneuron fit`.
        until: monotonic time after which no further seed is begun.
        say: told what goes on.

    Returns:
        None where not even one seed was compared.
    """
    contestants: dict[str, tuple[ForecasterConfig, Contender]] = {
        "winner": (config, "EVE"),
        "twin": (config, "twin"),
        "default": (base, "EVE"),
    }
    if config == base:
        del contestants["default"]
    held_out, where = _held_out(bench.material(config), winner)
    losses: dict[str, list[WindowLosses]] = {name: [] for name in contestants}
    for seed in range(seeds):
        row = {}
        for name, (options, contender) in contestants.items():
            if until is not None and time.monotonic() >= until:
                break
            if seed == 0 and name == "winner":
                row[name] = window_losses(winner, held_out)
                continue
            say(f"comparison: {name}, seed {config.seed + seed}")
            model = _refit(replace(options, seed=config.seed + seed), contender, bench, steps)
            if model is None:
                break
            row[name] = window_losses(model, _windows(bench.material(options), model))
        if len(row) < len(contestants):
            break
        for name, found in row.items():
            losses[name].append(found)
    if not losses["winner"]:
        return None
    return _compared(losses, bench.panel.offsets, config.horizon, where)


def _compared(
    losses: Mapping[str, list[WindowLosses]], offsets: Any, horizon: int, where: str
) -> Comparison:
    scores, tests = {}, {}
    for name, runs in losses.items():
        means = [run.means() for run in runs]
        scores[name] = {
            metric: (
                float(np.mean([m[metric] for m in means])),
                float(np.std([m[metric] for m in means], ddof=1)) if len(means) > 1 else 0.0,
            )
            for metric in ("crps", "joint_nll", "nll", "mse")
        }
    for name, runs in losses.items():
        if name == "winner":
            continue
        tests[name] = {
            metric: paired_test(
                _origins(losses["winner"], metric, offsets),
                _origins(runs, metric, offsets),
                horizon,
            )
            for metric in METRICS
        }
    return Comparison(where, len(losses["winner"]), scores, tests)


def _origins(runs: list[WindowLosses], metric: str, offsets: Any) -> Any:
    return np.mean([by_origin(run, metric, offsets) for run in runs], axis=0)


def _held_out(material: Material, model: FittedModel) -> tuple[Windows, str]:
    held_out = bool((material.split.test.lengths > 0).any())
    return _windows(material, model), "test" if held_out else "validation"


def _windows(material: Material, model: FittedModel) -> Windows:
    """Test windows, or validation windows where there are none."""
    if not (material.split.test.lengths > 0).any():
        return material.validation
    return model.windows_to_score(material.panel)


def _refit(
    config: ForecasterConfig, contender: Contender, bench: Workbench, steps: int | None
) -> FittedModel | None:
    """A contestant, trained like a fit; None where it diverged or was interrupted."""
    material = bench.material(config)
    model = FittedModel.untrained(contender, material.config, bench.memory(config))
    weight = material.config.crps_weight
    task = build_task(model.network, material.train, material.judged, weight)
    outcome = Trainer(trial_training(config, steps)).fit(task)
    if outcome.reason is StopReason.INTERRUPTED or not outcome.best_epoch:
        return None
    return model
