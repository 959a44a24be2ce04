"""Forecast windows as compact data for the page's chooser."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..figures.fan import interval_levels, path_columns

__all__ = ["WindowData", "window_data"]

_BUDGET = 2_400_000  # characters of JSON; plotly itself takes 4.8 million of a page's 8


@dataclass(frozen=True)
class WindowData:
    """What the page shows of `forecasts.parquet`.

    Attributes:
        first: the rows of the first window, for the figure that serves as the pattern.
        series: one entry per series: its name, and its windows as columns of rounded numbers.
        left_out: windows that did not fit the page.
    """

    first: pd.DataFrame
    series: list[dict[str, Any]]
    left_out: int


def window_data(forecasts: pd.DataFrame, model: str = "EVE", budget: int = _BUDGET) -> WindowData:
    """Gather windows, the first of each series first, until the page is full.

    Args:
        forecasts: rows with `unique_id`, `cutoff`, `ds`, `step`, `y` and forecast columns.
        model: the forecast's column.
        budget: characters of JSON to spend.
    """
    groups: list[list[tuple[Any, pd.DataFrame]]] = [
        [(cutoff, rows.sort_values("step")) for cutoff, rows in of_one.groupby("cutoff")]
        for _, of_one in forecasts.groupby("unique_id", sort=False)
    ]
    names = [str(name) for name in forecasts["unique_id"].drop_duplicates()]
    chosen: dict[str, list[dict[str, Any]]] = {}
    spent, kept = 0, 0
    for turn in range(max(map(len, groups))):
        for name, windows in zip(names, groups, strict=True):
            if turn >= len(windows) or spent > budget:
                continue
            window = _window(*windows[turn], model)
            spent += len(json.dumps(window))
            kept += 1
            chosen.setdefault(name, []).append(window)
    return WindowData(
        first=groups[0][0][1],
        series=[{"name": name, "windows": windows} for name, windows in chosen.items()],
        left_out=sum(map(len, groups)) - kept,
    )


def _window(cutoff: object, rows: pd.DataFrame, model: str) -> dict[str, Any]:
    future = rows["step"].to_numpy() > 0
    levels = interval_levels(rows.columns, model)
    bounds = [f"{model}-{side}-{level}" for level in levels for side in ("lo", "hi")]
    names = [c for c in [model, *bounds, *path_columns(rows.columns, model)] if c in rows]
    digits = _digits(rows["y"] if rows["y"].notna().any() else rows[names[0]])
    columns = {name: _rounded(rows[name].to_numpy()[future], digits) for name in names}
    return {
        "cutoff": _stamp(cutoff),
        "times": _times(rows["ds"]),
        "history": int((~future).sum()),
        "y": _rounded(rows["y"].to_numpy(), digits),
        "columns": columns,
        "facts": _facts(rows[future], model, levels),
    }


def _facts(future: pd.DataFrame, model: str, levels: list[str]) -> list[str]:
    facts = []
    known = future["y"].notna()
    for level in [level for level in levels if level in ("80", "95")] if known.any() else []:
        inside = future["y"].between(future[f"{model}-lo-{level}"], future[f"{model}-hi-{level}"])
        facts.append(f"{inside[known].sum()} of {known.sum()} steps inside the {level}% intervals")
    unit, noise = f"{model}-unit-sd", f"{model}-noise-sd"
    if unit in future and noise in future:
        variance = (future[unit] ** 2).sum(), (future[noise] ** 2).sum()
        if sum(variance) > 0:
            facts.append(f"units carry {variance[0] / sum(variance):.0%} of the variance")
    novelty = f"{model}-novelty"
    if novelty in future and future[novelty].notna().any():
        facts.append(f"novelty {future[novelty].mean():.2f}")
    return facts


def _digits(values: "pd.Series[float]") -> int:
    """Decimals that resolve about a two-thousandth of the range: finer than a pixel."""
    finite = values[np.isfinite(values)]
    spread = float(finite.max() - finite.min()) if len(finite) else 0.0
    spread = spread or float(finite.abs().max() if len(finite) else 0.0)
    return 3 - math.floor(math.log10(spread)) if spread > 0 else 3


def _rounded(values: np.ndarray[Any, Any], digits: int) -> list[float | None]:
    rounded = (round(float(v), digits) if np.isfinite(v) else None for v in values)
    return [int(v) if v is not None and v.is_integer() else v for v in rounded]


def _stamp(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00")
    return str(value)


def _times(ds: "pd.Series[Any]") -> dict[str, Any]:
    """Start and step where the stamps are evenly spaced, else all of them."""
    dates = pd.api.types.is_datetime64_any_dtype(ds)
    if not dates and not pd.api.types.is_numeric_dtype(ds):
        return {"list": [str(value) for value in ds]}
    if dates:
        # Local clock time as it stands: the page must not shift it to the reader's zone.
        local = ds.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
        numbers = local.astype(np.int64)
    else:
        numbers = ds.to_numpy()
    steps = np.diff(numbers)
    if len(steps) and (steps == steps[0]).all():
        return {
            "dates": dates,
            "start": numbers[0].item(),
            "step": steps[0].item(),
            "n": len(numbers),
        }
    return {"dates": dates, "numbers": numbers.tolist()}
