"""EVE and what it is judged against, trained, scored and written in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..training.checkpoint import load_weights, save_checkpoint
from ..training.journal import checkpoint_name
from ..training.outcome import StopReason, TrainingOutcome
from ..training.run_folder import RunFolder, RunFolderError
from ..vitals.health import Health
from .config import ForecasterConfig
from .contenders import CONTENDERS, Contender
from .data.frame import Panel
from .data.windows import WindowBatch, Windows
from .evaluation import Evaluation, Forecast, evaluate
from .fan import fan_rows
from .fitting import DivergedError, train
from .material import Material
from .memory import Memory
from .model import FittedModel
from .naive import SeasonalNaive
from .panel_scores import score_coupling
from .ridge import ResidualSpread
from .season import season_length
from .store import read_model

RESIDUAL = "residual"
SHOWN_SERIES = 12
SHOWN_WINDOWS = 4
SHOWN_PATHS = 20
SHOWN_LEVELS = (50, 80, 95)

Report = Callable[[str], None]


@dataclass(frozen=True)
class Field:
    """The models of one run, ready to forecast.

    Attributes:
        models: trained networks by name; "EVE" among them.
        residual: the point model with empirical spread; None where it was not fitted.
        season: steps of the seasonal naive forecast.
        seconds: processor seconds of training by name.
        outcome: how EVE's training ended.
        interrupted: whether the user stopped training, of EVE or of a baseline.
    """

    models: Mapping[Contender, FittedModel]
    residual: ResidualSpread | None
    season: int
    seconds: dict[str, float] = field(default_factory=dict)
    outcome: TrainingOutcome | None = None
    interrupted: bool = False

    @property
    def eve(self) -> FittedModel:
        """EVE itself."""
        return self.models["EVE"]

    def following(self, panel: Panel) -> Field:
        """The networks with forecasts that follow recent errors; the others as they are."""
        return replace(self, models={n: m.following(panel) for n, m in self.models.items()})

    def forecasts(self, panel: Panel) -> dict[str, tuple[Forecast, bool]]:
        """Each model as evaluation takes it, and whether it speaks of whole paths."""
        horizon = self.eve.config.horizon
        found: dict[str, tuple[Forecast, bool]] = {
            name: (model.forecast, True) for name, model in self.models.items()
        }
        found["repeat_last"] = (SeasonalNaive(horizon), False)
        found["seasonal_naive"] = (SeasonalNaive(horizon, self.season), False)
        if self.residual is not None:
            known = pd.Index(self.eve.memory.scaling.ids).get_indexer(pd.Index(panel.ids))
            found[RESIDUAL] = (_as_at_fit(self.residual, known), False)
        return found


def _as_at_fit(residual: ResidualSpread, known: np.ndarray[Any, Any]) -> Forecast:
    """The residual model, with series counted as at its fit; −1 is the row of new ones."""
    position = torch.from_numpy(np.asarray(known, dtype=np.int64))

    def forecast(batch: WindowBatch) -> Any:
        return residual(batch._replace(series=position[batch.series]))

    return forecast


def train_field(
    material: Material,
    run: RunFolder | None,
    *,
    baselines: bool = True,
    resume: bool = False,
    quiet: bool = False,
) -> Field:
    """Train EVE, then, on the same data and budget, its baselines.

    An interrupted run stops after the model at hand; what is trained so far is kept.

    Args:
        material: the data, with the options.
        run: where events, vitals and checkpoints go.
        baselines: train the twin, the linear and the static low-rank model, and the point model.
        resume: go on with what the run holds.
        quiet: no progress.
    """
    models: dict[Contender, FittedModel] = {}
    seconds: dict[str, float] = {}
    outcomes: dict[str, TrainingOutcome] = {}
    contenders = CONTENDERS if baselines else CONTENDERS[:1]
    for contender in contenders:
        try:
            model, outcome = train(contender, material, run=run, resume=resume, quiet=quiet)
        except DivergedError:
            if contender == "EVE":
                raise
            continue  # the others can be compared without it
        if outcome.best_epoch or contender == "EVE":
            models[contender] = model
        seconds[contender], outcomes[contender] = round(outcome.cpu_seconds, 2), outcome
        if outcome.reason is StopReason.INTERRUPTED:
            break
    season = season_length(material.panel.freq)
    interrupted = any(o.reason is StopReason.INTERRUPTED for o in outcomes.values())
    residual = None
    if baselines and not interrupted:
        start = process_time()
        residual = _empty_residual(models["EVE"].memory, material.config)
        residual.fit(material.train, material.validation)
        seconds[RESIDUAL] = round(process_time() - start, 2)
        if run is not None:
            save_checkpoint(run, RESIDUAL, residual)
    return Field(models, residual, season, seconds, outcomes["EVE"], interrupted)


def read_field(run: RunFolder, *, device: str | None = None, seed: int | None = None) -> Field:
    """The trained models of a run.

    Args:
        run: the run.
        device: where they are put; None is the device that the run was told.
        seed: of sample paths; None is the run's.
    """
    models: dict[Contender, FittedModel] = {
        name: read_model(run, name, device=device, seed=seed)
        for name in CONTENDERS
        if name == "EVE" or run.exists(f"checkpoints/{checkpoint_name(name, 'best')}.safetensors")
    }
    memory = models["EVE"].memory
    residual = None
    if run.exists(f"checkpoints/{RESIDUAL}.safetensors"):
        residual = _empty_residual(memory, models["EVE"].config)
        load_weights(run, RESIDUAL, residual)
    return Field(models, residual, season_length(memory.context.freq), _seconds(run))


def _seconds(run: RunFolder) -> dict[str, float]:
    """What training took, where it is known: scoring again must not forget it."""
    try:
        return dict(run.read_json("metrics.json").get("seconds") or {})
    except RunFolderError:  # missing or damaged, and about to be written anew
        return {}


def _empty_residual(memory: Memory, config: ForecasterConfig) -> ResidualSpread:
    return ResidualSpread(
        config.context_size, config.horizon, len(memory.scaling.ids), memory.location
    )


def score_field(
    found: Field, panel: Panel, *, step: int = 1, say: Report | None = None
) -> dict[str, Any]:
    """Every model's scores on the rows after the fit, as `metrics.json` holds them.

    Args:
        found: the models.
        panel: data that reaches beyond the fit's rows.
        step: rows between windows.
        say: told which model is being scored.

    Returns:
        "test": scores by model; "calibration": by model; "windows": how many were scored;
        "health"; "latent_share": what z carries of EVE's; "panel": what coupling its series is
        worth, None where they are not coupled. Without a window to score, "test" is empty.
    """
    windows = found.eve.windows_to_score(panel, step)
    scaling = found.eve.scaling(panel)
    scored: dict[str, Evaluation] = {}
    for name, (forecast, joint) in found.forecasts(panel).items() if len(windows) else ():
        if say is not None:
            say(f"scoring {name} on {len(windows):,} windows")
        scored[name] = evaluate(forecast, windows, scaling, joint=joint, seed=found.eve.config.seed)
    share = found.eve.latent_share(panel, step) if len(windows) else None
    return {
        "test": {name: evaluation.scores for name, evaluation in scored.items()},
        "calibration": {name: evaluation.calibration for name, evaluation in scored.items()},
        "windows": len(windows),
        "health": health_facts(found.eve.health()),
        "latent_share": None if share is None else share.as_dict(),
        "panel": score_coupling(found.eve, panel, step),
        "seconds": found.seconds,
    }


def health_facts(judged: Health) -> dict[str, Any]:
    """Counts, conclusion, reasons and layers, as `metrics.json` holds them."""
    layers = [
        {"layer": str(layer), "counts": frame["verdict"].value_counts().to_dict()}
        for layer, frame in judged.units.groupby("layer")
    ]
    return {
        "counts": judged.counts,
        "ok": judged.ok,
        "reasons": list(judged.reasons),
        "layers": layers,
        "latent_share": None if judged.latent_share is None else dict(judged.latent_share),
    }


def shown_forecasts(model: FittedModel, panel: Panel) -> pd.DataFrame:
    """Some windows with history, intervals and sample paths, for the report's fan charts.

    The windows are spread evenly over the test rows of the first series; without test rows they
    are the forecasts beyond the end.
    """
    shown = panel.select(np.arange(min(SHOWN_SERIES, len(panel))))
    windows = model.windows_to_score(shown)
    if len(windows):
        windows = windows.take(_spread(windows))
    else:
        shown = _going_on(panel, model.config.lookback)
        windows = model.last_windows(shown)
    generator = torch.Generator().manual_seed(model.config.seed)
    rows = [
        fan_rows(model, shown, forecast, i, SHOWN_LEVELS, SHOWN_PATHS, generator)
        for forecast in model.raw_forecasts(windows, model.scaling(shown))
        for i in range(len(forecast.series))
    ]
    return pd.concat(rows, ignore_index=True)


def _going_on(panel: Panel, rows: int) -> Panel:
    """The first series that have a known value to forecast from; some may have ended before."""
    last = panel.tail(rows)
    known = np.bincount(last.series, weights=last.observed, minlength=len(last)) > 0
    return panel.select(np.flatnonzero(known)[:SHOWN_SERIES])


def _spread(windows: Windows) -> torch.Tensor:
    """Positions of some windows of each series, evenly spaced in time."""
    chosen: list[int] = []
    series = windows.series.numpy()
    for owner in np.unique(series):
        own = np.flatnonzero(series == owner)
        at = np.linspace(0, len(own) - 1, min(SHOWN_WINDOWS, len(own))).round().astype(int)
        chosen.extend(own[at].tolist())
    return torch.tensor(chosen, dtype=torch.int64)


def write_results(run: RunFolder, found: Field, metrics: Mapping[str, Any], panel: Panel) -> None:
    """Write `metrics.json` and `forecasts.parquet`."""
    run.write_json("metrics.json", dict(metrics))
    run.write_parquet("forecasts.parquet", shown_forecasts(found.eve, panel))
