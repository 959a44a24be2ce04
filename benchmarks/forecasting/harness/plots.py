"""The page's pictures, from result files alone; needs matplotlib (extra `benchmarks`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vneuron.figures.style import model_colors

from .results import Results
from .summaries import NAMES, shown

RELIABLE = ("EVE", "lowrank", "full_student", "twin", "ensemble", "point_conformal")
PATHED = ("EVE", "lowrank", "twin")
HELD = {
    "step": "steps",
    "block": "shorter sums",
    "window": "sums over the window",
    "maximum, widened": "maxima, widened",
    "ramp, widened": "ramps, widened",
}
"""Quantities of intervals.py that are drawn."""


def pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise SystemExit(
            "plots need matplotlib: pip install 'vneuron[benchmarks]', or give --no-plots"
        ) from error
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    return plt


def reliability(rows: pd.DataFrame, path: Path) -> Path | None:
    """Coverage against level, of steps (above) and of the window's mean (below), by data set."""
    rows = rows[(rows["protocol"] == "A") & rows["model"].isin(RELIABLE)]
    rows = rows[rows["horizon"] == rows.groupby("data")["horizon"].transform("min")]
    sets = [
        d for d in dict.fromkeys(rows["data"]) if "EVE" in set(rows[rows["data"] == d]["model"])
    ]
    if not sets:
        return None
    plt = pyplot()
    figure, axes = plt.subplots(
        2, len(sets), figsize=(2.6 * len(sets) + 1.4, 5.4), sharex=True, sharey=True, squeeze=False
    )
    colors = model_colors(RELIABLE)
    for column, data in enumerate(sets):
        own = rows[rows["data"] == data]
        for row, what in enumerate(("coverage", "path_coverage")):
            axis = axes[row][column]
            axis.plot([0, 1], [0, 1], ":", color="0.6", lw=1)
            for name in RELIABLE:
                curves = [c for c in own.loc[own["model"] == name, what] if c is not None]
                if curves:
                    levels = own["levels"].dropna().iloc[0]
                    label = NAMES[name].replace("*", "")
                    style = "--" if name == "full_student" else "-"
                    axis.plot(
                        levels, np.mean(np.stack(curves), 0), color=colors[name],
                        lw=line_width(name), ls=style, label=label,
                    )  # fmt: skip
        axes[0][column].set_title(f"{shown(data)}, {int(own['horizon'].iloc[0])} steps")
        axes[1][column].set_xlabel("nominal level")
    axes[0][0].set_ylabel("steps covered")
    axes[1][0].set_ylabel("means over the window covered")
    handles, labels = axes[0][0].get_legend_handles_labels()
    columns = min(len(labels), 1 + len(sets))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return save(figure, path)


def paths(results: Results, rows: pd.DataFrame, data: str, path: Path) -> Path | None:
    """Windows as they were forecast, by EVE, the static head and the twin: 80% bands and draws."""
    rows = rows[(rows["protocol"] == "A") & (rows["data"] == data)]
    rows = rows[rows["horizon"] == rows["horizon"].min()]
    frames = {}
    for name in PATHED:
        own = rows[rows["model"] == name].sort_values("seed")
        found = results.shown(own["file"].iloc[0]) if len(own) else None
        if found is not None:
            frames[name] = found
    if not frames:
        return None
    plt = pyplot()
    windows = sorted(set(next(iter(frames.values()))["window"]))[:3]
    figure, axes = plt.subplots(
        len(frames), len(windows), figsize=(3.4 * len(windows), 2.1 * len(frames)),
        sharex=True, sharey="col", squeeze=False,
    )  # fmt: skip
    colors = model_colors(RELIABLE)
    for line, (name, frame) in zip(axes, frames.items(), strict=True):
        for axis, number in zip(line, windows, strict=True):
            one = frame[frame["window"] == number]
            after = one[one["step"] >= 0]
            draws = [c for c in one if str(c).startswith("path_")]
            axis.fill_between(
                after["step"], after["lo_80"], after["hi_80"], color=colors[name], alpha=0.2, lw=0
            )
            axis.plot(after["step"], after[draws[:4]], color=colors[name], lw=0.6, alpha=0.8)
            axis.plot(one["step"], one["y"], color="0.1", lw=1)
            if name == next(iter(frames)):
                axis.set_title(f"{one['series'].iloc[0]}")
        line[0].set_ylabel(NAMES[name].replace("*", ""))
    for axis in axes[-1]:
        axis.set_xlabel("steps ahead")
    return save(figure, path)


def intervals(folder: Path, path: Path) -> Path | None:
    """What intervals.py left of one data set: coverage against level, and by lead time.

    Args:
        folder: with `reliability.parquet` and `coverage.parquet`.
        path: of the picture.
    """
    if not (folder / "reliability.parquet").exists():
        return None
    curves = pd.read_parquet(folder / "reliability.parquet")
    parts = pd.read_parquet(folder / "coverage.parquet")
    plt = pyplot()
    figure, axes = plt.subplots(2, 3, figsize=(11.5, 6.4))
    colors = model_colors(dict.fromkeys(curves["model"]))
    for axis, (quantity, title) in zip(axes.flat, HELD.items(), strict=False):
        axis.plot([0, 1], [0, 1], ":", color="0.6", lw=1)
        for name, own in curves[curves["quantity"] == quantity].groupby("model", sort=False):
            axis.plot(own["level"], own["coverage"], color=colors[name], lw=line_width(name))
        axis.set(title=title, xlabel="nominal level", ylabel="covered")
    lead = axes.flat[-1]
    for name, own in parts[parts["by"] == "lead"].groupby("model", sort=False):
        label, steps = NAMES[name].replace("*", ""), own["part"].astype(int)
        lead.plot(steps, own["coverage"], color=colors[name], lw=line_width(name), label=label)
    lead.axhline(0.8, ls=":", color="0.6", lw=1)
    lead.set(title="80% intervals of steps", xlabel="lead time, steps", ylabel="covered")
    handles, labels = lead.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return save(figure, path)


def line_width(model: object) -> float:
    return 2.2 if model == "EVE" else 1.2


def save(figure: Any, path: Path) -> Path:
    """Laid out, without a date in the file, so that the same rows give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot().close(figure)
    return path
