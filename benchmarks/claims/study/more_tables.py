"""The page's tables of knobs, granularity, checkpoints, and what it all cost."""

from __future__ import annotations

import json
import math

import pandas as pd

from .blocks import Writer, table
from .intervals import difference, mean_interval, number, relative_change
from .tables import INDEX, SETS, Frames, of, ordered, percent

# -- two knobs -----------------------------------------------------------------------------


def floor(phi: float) -> float:
    """KL in nats that φ costs a unit that says nothing: ½ ln(1 + φ²).

    Both posteriors are N(0, s²); the expected KL ½ [(1 + φ²) s²/τ² − 1 + ln(τ²/s²)] with
    τ² = 1 − φ² is least at s² = τ² / (1 + φ²).
    """
    return 0.5 * math.log1p(phi * phi)


def per_unit(frame: pd.DataFrame) -> pd.DataFrame:
    """With the mean KL of a unit."""
    units = frame["config"].map(lambda text: json.loads(text)["units"])
    return frame.assign(kl_unit=frame["kl"] / units)


def knobs(frames: Frames, network: str, column: str, form: str = "kl") -> str:
    """One measure over the grid, a row for each φ, for each data set."""
    frame = per_unit(of(frames, "two_knobs", network))
    frame = frame[frame["form"] == form]
    if not len(frame):
        return "*No rows yet: `python benchmarks/claims/two_knobs.py DATA_FOLDER`.*"
    points = sorted(frame["set_point"].unique())
    rows = []
    for data in ordered(frame, "data", SETS):
        for phi in sorted(frame["phi_set"].unique()):
            part = frame[(frame["data"] == data) & (frame["phi_set"] == phi)]
            cells = [mean_interval(part.loc[part["set_point"] == p, column]).text() for p in points]
            least = number(floor(phi)) if form == "kl" else "–"
            rows.append([data, number(phi, 2), least, *cells])
    return table(["data", "φ", "floor", *(f"set-point {p:g}" for p in points)], rows)


def cross_talk(frames: Frames, network: str) -> str:
    """By how much each knob moves each effect, over the middle of the other knob."""
    frame = per_unit(of(frames, "two_knobs", network))
    frame = frame[frame["form"] == "kl"]
    rows = []
    for column, label in (
        ("kl_unit", "KL a unit"),
        ("persistence", "autocorrelation"),
        ("contraction", "σ / σ prior"),
    ):
        cells = []
        for knob, other in (("set_point", "phi_set"), ("phi_set", "set_point")):
            ends = frame[knob].min(), frame[knob].max()
            index = [*INDEX, other]
            high, low = (frame[frame[knob] == e].set_index(index)[column] for e in ends[::-1])
            moved = (high - low).groupby(level=[0, 1]).mean()
            cells.append(difference(moved, moved * 0.0).text())
        rows.append([label, *cells])
    points, phis = sorted(frame["set_point"].unique()), sorted(frame["phi_set"].unique())
    head = ["moves", f"set-point {points[0]:g} → {points[-1]:g}", f"φ {phis[0]:g} → {phis[-1]:g}"]
    return table(head, rows)


def monotone(frames: Frames, network: str) -> str:
    """In how many series of runs σ / σ_prior falls at every step of the set-point."""
    frame = per_unit(of(frames, "two_knobs", network))
    frame = frame[frame["form"] == "kl"]
    rows = []
    for phi in sorted(frame["phi_set"].unique()):
        part = frame[frame["phi_set"] == phi]
        falls = [
            g.sort_values("set_point")["contraction"].diff().dropna().lt(0).all()
            for _, g in part.groupby(INDEX)
        ]
        above = part[part["set_point"] > floor(phi)]
        again = [
            g.sort_values("set_point")["contraction"].diff().dropna().lt(0).all()
            for _, g in above.groupby(INDEX)
        ]
        rows.append(
            [number(phi, 1), f"{sum(falls)} of {len(falls)}", f"{sum(again)} of {len(again)}"]
        )
    return table(["φ", "falls at every set-point", "at those above the floor"], rows)


# -- granularity ---------------------------------------------------------------------------

KINDS = ("deterministic", "global latent", "weights", "a layer", "a unit")


def granularity(frames: Frames, data: str) -> str:
    """Test scores of each place of uncertainty, against the deterministic network."""
    frame = frames["granularity"]
    frame = frame[(frame["data"] == data) & (frame["depth"] == 2)]
    base = frame[frame["kind"] == "deterministic"].set_index("seed")
    rows = []
    for kind in KINDS:
        own = frame[frame["kind"] == kind].set_index("seed")
        if not len(own):
            continue
        sizes = f"{int(own['parameters'].iloc[0]):,}", str(int(own["width"].iloc[0]))
        cells = [mean_interval(own[c]).text() for c in ("nll", "error")]
        gap = "–" if kind == "deterministic" else difference(own["nll"], base["nll"]).text()
        price = ", ".join(f"{b:g}" for b in sorted(own["beta"].unique()))
        rows.append([kind, *sizes, *cells, gap, "–" if kind == "deterministic" else price])
    error = "error rate" if data == "digits" else "MSE"
    head = ["uncertainty in", "parameters", "width", "NLL", error, "NLL − deterministic"]
    return table([*head, "β chosen"], rows)


def at_fault(frame: pd.DataFrame, layer: int) -> float:
    """Mean share of a layer's units that are dead, constant or ignored."""
    names = [f"{verdict}_{layer}" for verdict in ("dead", "constant", "ignored")]
    return float(frame[names].sum(axis=1).mean())


def stacks(frames: Frames, data: str) -> str:
    """Stacks of unit layers: scores, KL of each layer, and its verdicts."""
    frame = frames["granularity"]
    frame = frame[frame["data"] == data]
    rows = []
    for depth in sorted(frame["depth"].unique()):
        own = frame[(frame["kind"] == "a unit") & (frame["depth"] == depth)]
        plain = frame[(frame["kind"] == "deterministic") & (frame["depth"] == depth)]
        if not len(own):
            continue
        layers = range(1, depth + 1)
        kl = " · ".join(number(own[f"kl_{n}"].mean(), 1) for n in layers)
        verdicts = " · ".join(
            f"{number(own[f'living_{n}'].mean(), 2)} ({number(at_fault(own, n), 2)})"
            for n in layers
        )
        scores = [mean_interval(own[c]).text() for c in ("nll", "error")]
        rows.append(
            [
                str(depth),
                str(int(own["width"].iloc[0])),
                *scores,
                mean_interval(plain["nll"]).text(),
                kl,
                verdicts,
            ]
        )
    error = "error rate" if data == "digits" else "MSE"
    head = ["layers", "width", "NLL", error, "NLL, deterministic", "KL by layer"]
    return table([*head, "living (at fault) by layer"], rows)


# -- checkpoints ---------------------------------------------------------------------------


def checkpoints(frames: Frames, network: str) -> str:
    """What a rule keeps, against the best score alone."""
    frame = of(frames, "checkpoints", network)
    rows = []
    for preset in [*ordered(frame, "setting", ("free", "projection", "homeostasis")), "all"]:
        part = frame if preset == "all" else frame[frame["setting"] == preset]
        part = part.set_index([*INDEX, "setting"])
        for rule in ("band", "verdict"):
            other = (part[f"{rule}_epoch"] != part["score_epoch"]).mean()
            mse = relative_change(part[f"{rule}_mse"], part["score_mse"])
            nll = difference(part[f"{rule}_joint_nll"], part["score_joint_nll"])
            shares = [
                number(part[f"{who}_outside_set"].astype(float).mean(), 2)
                for who in ("score", rule)
            ]
            fit = "valid" if rule == "band" else "healthy"
            kept = [number(part[f"{who}_{fit}"].astype(float).mean(), 2) for who in ("score", rule)]
            cells = [number(100 * other, 0) + "%", percent(mse), nll.text(), " → ".join(shares)]
            rows.append([preset, rule, *cells, " → ".join(kept)])
    head = ["controls", "rule", "other epoch", "test MSE", "test joint NLL", "out of band as set"]
    return table([*head, "kept epoch passes"], rows)


# -- cost ----------------------------------------------------------------------------------


def cost(frames: Frames) -> str:
    """Runs and processor time of each study."""
    rows = []
    total, runs = 0.0, 0
    for name, frame in frames.items():
        seconds = float(frame["cpu_seconds"].sum())
        total, runs = total + seconds, runs + len(frame)
        median = number(float(frame["cpu_seconds"].median()), 1)
        rows.append([f"`{name}.py`", str(len(frame)), median, number(seconds / 3600, 3)])
    rows.append(["all", str(runs), "", number(total / 3600, 3)])
    return table(["study", "runs", "CPU-seconds a run", "CPU-hours"], rows)


WRITERS: dict[str, Writer] = {
    "knobs": Writer("two_knobs", knobs),
    "cross-talk": Writer("two_knobs", cross_talk),
    "monotone": Writer("two_knobs", monotone),
    "granularity": Writer("granularity", granularity),
    "stacks": Writer("granularity", stacks),
    "checkpoints": Writer("checkpoints", checkpoints),
    "cost": Writer("controls", cost),
}
