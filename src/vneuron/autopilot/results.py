"""What a search leaves in its folder, and its numbers for programs and for papers."""

from __future__ import annotations

import io
import json
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..forecasting.config import ForecasterConfig
from ..forecasting.network_defaults import network_defaults
from ..training.atomic import write_atomic
from ..training.plain import plain
from .backend import hushed, optuna
from .pruner import PROGRESS
from .study import RESULT

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from .search import Found, Search

__all__ = ["fit_command", "summary", "trials_frame", "write_results"]

LEAST_FOR_IMPORTANCE = 8
FLAGS_NOT_ON_THE_COMMAND_LINE = ("compile", "control_options")


def summary(search: Search, found: Found) -> dict[str, Any]:
    """The numbers of a search, as `result.json` holds and `--json` prints them."""
    names = search.plan.objectives
    return {
        "best": found.config.as_dict(),
        "pareto": [
            {
                "trial": trial.number,
                **{name: trial.values[name] for name in names},  # noqa: PD011  of a trial
                "valid": trial.valid,
                "options": trial.options,
            }
            for trial in found.chosen.front
        ],
        "run": None if found.run is None else str(found.run),
        "trials": sum(found.trials[state] for state in ("complete", "pruned")),
        "seconds": round(found.seconds, 2),
        "chosen": {
            "trial": found.chosen.trial.number,
            "reason": found.chosen.reason,
            "values": found.chosen.trial.values,  # noqa: PD011  of a trial, not of a frame
        },
        "states": found.trials,
        "comparison": None if found.comparison is None else found.comparison.as_dict(),
        "objectives": list(names),
        "goal": search.plan.goal,
        "outcome": "interrupted" if found.interrupted else "completed",
        "notes": list(found.notes),
    }


def write_results(search: Search, found: Found, reproduce: list[str]) -> None:
    """Write `result.json`, `trials.parquet`, and a configuration file of the winner."""
    facts = summary(search, found)
    facts |= {"reproduce": reproduce, "importance": importances(search.study)}
    text = json.dumps(plain(facts), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(search.folder / "result.json", f"{text}\n".encode())
    buffer = io.BytesIO()
    trials_frame(search.study).to_parquet(buffer, index=False)
    write_atomic(search.folder / "trials.parquet", buffer.getvalue())


def trials_frame(study: optuna.Study) -> pd.DataFrame:
    """A row per trial: number, state, reason, options, values, constraints, epochs."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        result = trial.user_attrs.get(RESULT, {})
        epochs = trial.user_attrs.get(PROGRESS, {}).get("epochs", [])
        gates = result.get("constraints") or []
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "reason": result.get("reason"),
                "default": bool(trial.user_attrs.get("default", False)),
                "portfolio": bool(trial.user_attrs.get("portfolio", False)),
                "retry_of": trial.user_attrs.get("retry_of"),
                "valid": all(gate <= 1e-9 for gate in gates) if gates else None,
                "penalty": result.get("penalty"),
                **(result.get("values") or {}),
                "options": json.dumps(plain(result.get("options") or trial.params)),
                "epochs": json.dumps(plain(epochs)),
            }
        )
    return pd.DataFrame(rows)


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each option mattered for quality, by PED-ANOVA; {} with too few trials."""
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < LEAST_FOR_IMPORTANCE:
        return {}
    with hushed(), warnings.catch_warnings():
        # that low values are what is sought, which they are
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator")
        try:
            return optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                target=_quality,
            )
        except (ValueError, RuntimeError, ZeroDivisionError):  # all alike, or nothing in common
            return {}


def _quality(trial: FrozenTrial) -> float:
    return float(trial.values[0])  # noqa: PD011  of a trial, not of a frame


def fit_command(data: str | None, config: ForecasterConfig, sizes: dict[str, Any]) -> list[str]:
    """The `vneuron fit` that trains a configuration again.

    Example:
        >>> import shlex
        >>> config = ForecasterConfig(horizon=24, input_size=96, units=16)
        >>> shlex.join(fit_command("sales.csv", config, {"val_size": 100}))
        'vneuron fit sales.csv --horizon 24 --input-size 96 --units 16 --val-size 100'
    """
    words = ["vneuron", "fit", data or "DATA"]
    usual = ForecasterConfig(horizon=config.horizon).as_dict()
    usual |= network_defaults(config.network)._asdict()
    for name, value in config.as_dict().items():
        if name in FLAGS_NOT_ON_THE_COMMAND_LINE or value is None:
            continue
        if name == "horizon" or value != usual[name]:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name, value in (config.control_options or {}).items():
        words += ["--control-option", f"{name}={value}"]
    for name, value in sizes.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
