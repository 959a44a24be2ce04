"""The table of scores: what each means, and which model is best by it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["METRICS", "MODEL_NOTES", "Metric", "best_models", "display", "score_table"]


@dataclass(frozen=True)
class Metric:
    """One column of the table.

    Attributes:
        key: its name in `metrics.json`.
        title: its name on the page.
        meaning: one line.
        target: the ideal value; None where less is better.
    """

    key: str
    title: str
    meaning: str
    target: float | None = None


METRICS = (
    Metric("mse", "MSE", "mean squared error of the mean forecast"),
    Metric("mae", "MAE", "mean absolute error of the median forecast"),
    Metric("crps", "CRPS", "how well each step's whole distribution fits, in units of the data"),
    Metric("nll", "NLL", "negative log-likelihood of each step by itself, nats per step"),
    Metric(
        "joint_nll",
        "joint NLL",
        "negative log-likelihood of the whole path at once, nats per step",
    ),
    Metric("energy", "energy", "energy score of the sample paths over √H: CRPS for whole paths"),
    Metric("path_crps", "path CRPS", "CRPS of the path's mean over the horizon"),
    Metric("coverage_80", "cover 80", "share of steps inside the 80% intervals; ideal .80", 0.80),
    Metric("coverage_95", "cover 95", "share of steps inside the 95% intervals; ideal .95", 0.95),
    Metric(
        "path_coverage_80",
        "path cover 80",
        "share of windows whose mean over the horizon lies inside its 80% interval; ideal .80",
        0.80,
    ),
)

MODEL_NOTES = {
    "EVE": "this run's model",
    "twin": "the same network, deterministic: its units pass on their means",
    "lowrank": "a static low-rank head: dependence between steps that does not follow the input",
    "linear": "linear, with heavy tails and no dependence between steps",
    "residual": "ridge regression, as uncertain as its errors were on validation rows",
    "seasonal_naive": "the last season again",
    "repeat_last": "the last value again",
}


def display(value: object, digits: int = 3) -> str:
    """A number as the page prints it: four figures, no leading zero, a dash where undefined.

    Example:
        >>> display(0.35972), display(-0.0221), display(25.394), display(None)
        ('.360', '−.022', '25.39', '–')
    """
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 10_000:
        text = f"{size:,.0f}"
    elif size >= 1:
        text = f"{size:.{max(0, 3 - int(math.log10(size)))}f}"
    elif 0 < size < 0.5 * 10**-digits:
        text = f"{size:.0e}".replace("e-0", "e−").replace("e-", "e−")
    else:
        text = f"{size:.{digits}f}".removeprefix("0") if round(size, digits) < 1 else "1.000"
    return f"−{text}" if value < 0 else text


def loss(metric: Metric, value: object) -> float:
    """How far from ideal: comparable between models, infinite where undefined."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.inf
    return float(value) if metric.target is None else abs(value - metric.target)


def best_models(scores: Mapping[str, Mapping[str, Any]], metric: Metric) -> set[str]:
    """The models that are best by a metric, as far as the printed digits tell."""
    losses = {name: loss(metric, row.get(metric.key)) for name, row in scores.items()}
    lowest = min(losses.values(), default=math.inf)
    if math.isinf(lowest):
        return set()
    return {name for name, value in losses.items() if display(value) == display(lowest)}


def score_table(scores: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of cells: for each metric the scaled and the raw value, and whether it is best.

    Args:
        scores: test scores by model; "raw" holds those in the data's own units.
    """
    raw = {name: row.get("raw") or {} for name, row in scores.items()}
    best = {
        (unit, metric.key): best_models(table, metric)
        for unit, table in (("scaled", scores), ("raw", raw))
        for metric in METRICS
    }
    return [
        {
            "name": name,
            "note": MODEL_NOTES.get(name, ""),
            "cells": [
                {
                    unit: {
                        "text": display(table[name].get(metric.key)),
                        "best": name in best[unit, metric.key],
                    }
                    for unit, table in (("scaled", scores), ("raw", raw))
                }
                for metric in METRICS
            ],
        }
        for name in scores
    ]
