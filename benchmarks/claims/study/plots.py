"""The page's pictures, from result tables alone; needs matplotlib (extra `benchmarks`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .intervals import mean_interval, rank_correlation
from .more_tables import floor, per_unit
from .tables import SETS, STRENGTHS, Frames, of, ordered, with_faults

COLORS = ("#1f4e79", "#c55a11", "#548235", "#7f6000", "#7030a0")


def pyplot() -> Any:
    """matplotlib without a window.

    Raises:
        SystemExit: it is not installed.
    """
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


def save(figure: Any, path: Path) -> Path:
    """Write it small, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    pyplot().close(figure)
    return path


def line(axis: Any, x: list[float], groups: list[pd.Series], color: str, label: str) -> None:
    """Means with their intervals over a knob."""
    found = [mean_interval(g.astype(float)) for g in groups]
    values = np.array([[f.value, f.value - f.low, f.high - f.value] for f in found]).T
    bars = np.where(np.isfinite(values[1:]), values[1:], 0.0)
    axis.errorbar(x, values[0], bars, marker="o", ms=4, capsize=2, lw=1.2, color=color, label=label)


def knobs(frames: Frames, path: Path, network: str = "reference") -> Path:
    """Attained KL, autocorrelation and contraction over the set-point, a line for each φ."""
    frame = per_unit(of(frames, "two_knobs", network))
    frame = frame[frame["form"] == "kl"]
    sets = ordered(frame, "data", SETS)
    wanted = {
        "kl_unit": "KL a unit, nats",
        "persistence": "autocorrelation of µ",
        "contraction": "σ / σ prior",
    }
    plt = pyplot()
    figure, axes = plt.subplots(len(sets), 3, figsize=(9.6, 2.7 * len(sets)), squeeze=False)
    for row, data in enumerate(sets):
        for axis, (column, label) in zip(axes[row], wanted.items(), strict=True):
            for color, phi in zip(COLORS, sorted(frame["phi_set"].unique()), strict=False):
                part = frame[(frame["data"] == data) & (frame["phi_set"] == phi)]
                points = sorted(part["set_point"].unique())
                groups = [part.loc[part["set_point"] == p, column] for p in points]
                line(axis, points, groups, color, f"φ = {phi:g}")
                if column == "kl_unit":
                    axis.axhline(max(floor(phi), 1e-3), color=color, ls=":", lw=0.8)
            axis.set(xscale="log", xlabel="set-point, nats a unit", ylabel=label, title=data)
        axes[row][0].set_yscale("log")
        axes[row][0].set_ylim(bottom=0.01)
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    return save(figure, path)


def strength(frames: Frames, path: Path, network: str = "reference") -> Path:
    """MSE over the twin's on clean and on corrupted windows, over the strength."""
    frame = with_faults(of(frames, "constraint_strength", network))
    sets = ordered(frame, "data", SETS)
    plt = pyplot()
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.0), sharex=True)
    for axis, data in zip(axes.flat, sets, strict=False):
        part = frame[frame["data"] == data]
        twin = part[part["setting"] == "twin"].set_index("seed")
        for color, (score, label) in zip(
            COLORS, {"mse": "clean", "corrupted": "corrupted"}.items(), strict=False
        ):
            groups = [
                part[part["setting"] == s].set_index("seed")[score] / twin[score] for s in STRENGTHS
            ]
            line(axis, list(range(len(STRENGTHS))), groups, color, label)
        axis.axhline(1.0, color="0.6", lw=0.8, ls=":")
        axis.set(title=data, xticks=range(len(STRENGTHS)))
        axis.set_xticklabels([s[4:] for s in STRENGTHS])
    axes[0][0].set_ylabel("MSE / twin's")
    axes[1][0].set(ylabel="MSE / twin's", xlabel="strength s")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    return save(figure, path)


def early(frames: Frames, path: Path, network: str = "reference") -> Path:
    """Out-of-band share and validation loss at a quarter of the run, against test error."""
    frame = of(frames, "early_signal", network)
    sets = [d for d in SETS[:4] if d in set(frame["data"])]
    signals = {
        "outside_25": "share out of band at 25%",
        "val_joint_nll_25": "validation NLL at 25%",
    }
    plt = pyplot()
    figure, axes = plt.subplots(2, len(sets), figsize=(2.5 * len(sets), 5.0), squeeze=False)
    for row, (signal, label) in enumerate(signals.items()):
        for axis, data in zip(axes[row], sets, strict=True):
            part = frame[frame["data"] == data]
            for color, mode in zip(COLORS, ("free", "projection", "homeostasis"), strict=False):
                own = part[part["mode"] == mode]
                axis.plot(own[signal], own["mse"], "o", ms=3.5, color=color, alpha=0.8, label=mode)
            found = rank_correlation(part[signal], part["mse"])
            axis.set(title=f"{data}: ρ {found.text(2)}", xlabel=label)
            axis.title.set_fontsize(8)
    for axis in axes[:, 0]:
        axis.set_ylabel("test MSE")
    axes[0][0].legend(frameon=False, fontsize=7)
    figure.tight_layout()
    return save(figure, path)


def granularity(frames: Frames, path: Path) -> Path:
    """Test NLL of each place of uncertainty, and KL by layer of stacks of units."""
    frame = frames["granularity"]
    sets = [d for d in ("digits", "ETTh1") if d in set(frame["data"])]
    kinds = ("deterministic", "global latent", "weights", "a layer", "a unit")
    plt = pyplot()
    figure, axes = plt.subplots(2, len(sets), figsize=(4.6 * len(sets), 5.2), squeeze=False)
    for top, bottom, data in zip(axes[0], axes[1], sets, strict=True):
        part = frame[frame["data"] == data]
        two = part[part["depth"] == 2]
        groups = [two.loc[two["kind"] == kind, "nll"] for kind in kinds]
        line(top, list(range(len(kinds))), groups, COLORS[0], "NLL")
        top.lines[0].set_linestyle("none")
        top.set(title=data, ylabel="test NLL", xticks=range(len(kinds)))
        top.set_xticklabels(kinds, rotation=20, ha="right")
        for color, depth in zip(COLORS, (1, 2, 4), strict=False):
            own = part[(part["kind"] == "a unit") & (part["depth"] == depth)]
            if not len(own):
                continue
            layers = list(range(1, depth + 1))
            line(bottom, layers, [own[f"kl_{n}"] for n in layers], color, f"{depth} layers")
        bottom.set(xlabel="layer of units", ylabel="KL of the layer, nats", xticks=(1, 2, 3, 4))
        bottom.legend(frameon=False)
    figure.tight_layout()
    return save(figure, path)


PLOTS = {
    "two_knobs": ("claims-knobs.png", knobs),
    "constraint_strength": ("claims-strength.png", strength),
    "early_signal": ("claims-early.png", early),
    "granularity": ("claims-granularity.png", granularity),
}
