"""Rows of results as tables for people: mean and spread over seeds, a model a line."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .results import Results, RunKey
from .scoring import SCORES

SHOWN = {
    "mse": "MSE", "mae": "MAE", "crps": "CRPS", "nll": "NLL", "coverage_80": "80%",
    "coverage_95": "95%", "joint_nll": "joint NLL", "path_crps": "path CRPS",
    "path_coverage_80": "path 80%", "energy": "energy", "train_cpu_seconds": "CPU s",
}  # fmt: skip
PROBTS = {
    "probts_crps": "CRPS", "probts_nmae": "NMAE", "exact_crps": "CRPS exact",
    "exact_nmae": "NMAE exact", "nll": "NLL", "coverage_80": "80%", "coverage_95": "95%",
    "joint_nll": "joint NLL", "path_crps": "path CRPS", "path_coverage_80": "path 80%",
    "energy": "energy", "train_cpu_seconds": "CPU s",
}  # fmt: skip


def mean_and_spread(frame: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """One row per model: "mean (sd)" of each column over seeds, a dash where not defined."""
    numbers = frame[["model", *columns]].set_index("model").astype(float)
    groups = numbers.groupby(level=0, sort=False)
    mean, sd, count = groups.mean(), groups.std(), groups.count()
    shown = pd.DataFrame(index=mean.index)
    for column, title in columns.items():
        digits = 0 if column.endswith("seconds") else 4
        shown[title] = [
            written(mean.at[model, column], sd.at[model, column], digits) for model in mean.index
        ]
    shown.insert(0, "seeds", count.max(axis=1).astype(int).to_numpy())
    return shown


def written(mean: float, sd: float, digits: int) -> str:
    """.1234 (.0005), without leading noughts; a minus sign that is one."""
    if pd.isna(mean):
        return "–"
    text = bare(mean, digits)
    return text if pd.isna(sd) or digits == 0 else f"{text} ({bare(sd, digits)})"


def bare(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    text = text.replace("0.", ".", 1) if abs(value) < 1 and digits else text
    return text.replace("-", "−")


def print_scores(results: Results, keys: Sequence[RunKey]) -> None:
    """A table for each data set, protocol and horizon among the keys."""
    if not keys:
        print("nothing to show")
        return
    frame = pd.DataFrame([results.read(key) for key in keys])
    for (data, protocol, horizon), rows in frame.groupby(["data", "protocol", "horizon"]):
        windows = sorted(rows["windows"].unique())
        looks = " or ".join(str(size) for size in sorted(rows["input_size"].unique()))
        print(f"\n{data}, protocol {protocol}, {horizon} steps: {windows[0]:,} windows of")
        print(f"all series, look-back {looks}; mean (sd) over seeds")
        columns = PROBTS if protocol == "B" else SHOWN
        print(mean_and_spread(rows, columns).to_string())
    undefined = [name for name in SCORES if frame[name].isna().any()]
    if undefined:
        print(f"\n– is not defined for the model ({', '.join(undefined)})")
