"""The page's tables, each from the rows of one study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .blocks import Writer, table
from .intervals import (
    Interval,
    difference,
    mean_interval,
    number,
    rank_correlation,
    relative_change,
    variance_ratio,
)

INDEX = ["data", "seed"]
Frames = dict[str, pd.DataFrame]


def percent(change: Interval) -> str:
    """A relative change as +1.2% [−.3, 2.7]."""
    if change.count < 2:
        return "–"
    value, low, high = (number(100 * v, 1) for v in change[:3])
    mark = "**" if change.sign else ""
    return f"{mark}{'' if value.startswith('−') else '+'}{value}%{mark} [{low}, {high}]"


def column(frame: pd.DataFrame, setting: str, name: str) -> pd.Series:
    """One setting's values of a column by data set and seed."""
    found: pd.Series = frame[frame["setting"] == setting].set_index(INDEX)[name]
    return found.astype(float)


def ordered(frame: pd.DataFrame, name: str, known: Sequence[str] = ()) -> list[str]:
    """The values of a column, known ones first and in their order."""
    found = list(dict.fromkeys(frame[name]))
    return [v for v in known if v in found] + sorted(v for v in found if v not in known)


def of(frames: Frames, study: str, network: str) -> pd.DataFrame:
    """A study's rows on one network."""
    frame = frames[study]
    return frame[frame["network"] == network].reset_index(drop=True)


SETS = ("ETTh1", "Exchange", "Weather", "ILI", "Victoria", "Hangzhou", "ECL subset", "METR-LA")


def by_setting(
    frame: pd.DataFrame,
    settings: Sequence[str],
    columns: dict[str, tuple[str, int]],
) -> str:
    """Means with intervals, a row for each data set and setting."""
    rows = []
    for data in ordered(frame, "data", SETS):
        for setting in settings:
            part = frame[(frame["data"] == data) & (frame["setting"] == setting)]
            if len(part):
                cells = [mean_interval(part[c].astype(float)).text(d) for c, d in columns.values()]
                rows.append([data, setting, *cells])
    return table(["data", "setting", *columns], rows)


def changes(frame: pd.DataFrame, settings: Sequence[str], base: str, scores: Sequence[str]) -> str:
    """Each setting against a base: MSE and CRPS in percent, NLL in nats per step."""
    rows = []
    for setting in settings:
        for data in [*ordered(frame, "data", SETS), "all"]:
            part = frame if data == "all" else frame[frame["data"] == data]
            cells = []
            for score in scores:
                ours, theirs = column(part, setting, score), column(part, base, score)
                if score.endswith("nll"):
                    cells.append(difference(ours, theirs).text(3))
                else:
                    cells.append(percent(relative_change(ours, theirs)))
            if any(c != "–" for c in cells):
                rows.append([setting, data, *cells])
    return table(["setting", "data", *scores], rows)


# -- (a) -----------------------------------------------------------------------------------

CONTROLS = ("free", "projection", "homeostasis")
ALL_CONTROLS = tuple(name for c in CONTROLS for name in (c, f"{c} + AR"))


def controls(frames: Frames, network: str) -> str:
    """Accuracy against the twin."""
    frame = of(frames, "controls", network)
    rows = []
    for data in ordered(frame, "data", SETS):
        part = frame[frame["data"] == data]
        twin = part[part["setting"] == "twin"]
        rows.append([data, "twin", mean_interval(twin["mse"]).text(), *["–"] * 6])
        for setting in ALL_CONTROLS:
            own = part[part["setting"] == setting]
            if not len(own):
                continue
            change = [
                percent(relative_change(column(part, setting, s), column(part, "twin", s)))
                for s in ("mse", "crps")
            ]
            nll = difference(column(part, setting, "joint_nll"), column(part, "twin", "joint_nll"))
            shares = [number(own[c].astype(float).mean(), 2) for c in SHARES]
            rows.append(
                [data, setting, mean_interval(own["mse"]).text(), *change, nll.text(), *shares]
            )
    head = ["data", "setting", "MSE", "MSE − twin", "CRPS − twin", "joint NLL − twin"]
    return table([*head, "out of band", "alive", "living"], rows)


SHARES = ("outside_set", "alive", "living")


def controls_vitals(frames: Frames, network: str) -> str:
    """What became of the units."""
    frame = of(frames, "controls", network)
    columns = {
        "KL": ("kl", 1),
        "rate": ("rate", 1),
        "µ²": ("energy", 3),
        "σ / σ prior": ("contraction", 2),
        "β": ("beta", 3),
        "persistence": ("persistence", 2),
    }
    rows = []
    for data in ordered(frame, "data", SETS):
        for setting in ALL_CONTROLS:
            part = frame[(frame["data"] == data) & (frame["setting"] == setting)]
            if len(part):
                cells = [number(part[c].astype(float).mean(), d) for c, d in columns.values()]
                rows.append([data, setting, *cells])
    return table(["data", "setting", *columns], rows)


def controls_pairs(frames: Frames, network: str) -> str:
    """Homeostasis against free, projection against free, AR against none, set by set."""
    frame = of(frames, "controls", network)
    pairs = [("homeostasis", "free"), ("projection", "free")]
    pairs += [(f"{c} + AR", "free + AR") for c in CONTROLS[1:]]
    pairs += [(f"{c} + AR", c) for c in CONTROLS]
    rows = []
    for ours, theirs in pairs:
        cells = []
        for data in [*SETS[:4], "all"]:
            part = frame if data == "all" else frame[frame["data"] == data]
            cells.append(
                percent(relative_change(column(part, ours, "mse"), column(part, theirs, "mse")))
            )
        rows.append([f"{ours} over {theirs}", *cells])
    return table(["MSE of", *SETS[:4], "all"], rows)


# -- (b), (d) ------------------------------------------------------------------------------


def latent_dim(frames: Frames, network: str) -> str:
    """MSE and joint NLL over k, against k = 1 at the same rule."""
    frame = of(frames, "latent_dim", network)
    rows = []
    for equal in ("N", "N·k"):
        for k in (1, 2, 4, 8, 16):
            part = frame[(frame["equal"] == equal) & (frame["k"] == k)]
            if not len(part):
                continue
            base = frame[(frame["equal"] == equal) & (frame["k"] == 1)]
            cells = []
            for data in [*SETS[:4], "all"]:
                ours, theirs = (
                    (p if data == "all" else p[p["data"] == data]).set_index(INDEX)["mse"]
                    for p in (part, base)
                )
                cells.append("1" if k == 1 else percent(relative_change(ours, theirs)))
            joint = [p.set_index(INDEX)["joint_nll"].astype(float) for p in (part, base)]
            nll = "0" if k == 1 else difference(*joint).text(3)
            shares = [number(part[c].astype(float).mean(), 2) for c in ("living", "ignored")]
            rows.append([equal, str(k), *cells, nll, *shares])
    head = ["equal", "k", *SETS[:4], "all", "joint NLL, all", "living", "ignored"]
    return table(head, rows)


BUDGETS = (
    "twin",
    "free of charge",
    "static",
    "thermostat",
    "adaptive",
    "macro/micro",
    "static head",
)


def budgets(frames: Frames, network: str) -> str:
    """Scores, KL and living share of each rule."""
    frame = of(frames, "budgets", network)
    columns = {
        "MSE": ("mse", 3),
        "CRPS": ("crps", 3),
        "joint NLL": ("joint_nll", 3),
        "rate": ("rate", 1),
        "living": ("living", 2),
    }
    return by_setting(frame, [b for b in BUDGETS if b in set(frame["setting"])], columns)


def budget_changes(frames: Frames, network: str) -> str:
    """Against a static price."""
    frame = of(frames, "budgets", network)
    settings = [b for b in BUDGETS if b in set(frame["setting"]) and b != "static"]
    return changes(frame, settings, "static", ("mse", "crps", "joint_nll"))


# -- (b2) ----------------------------------------------------------------------------------

STRENGTHS = ("s = 0", "s = 0.25", "s = 1", "s = 4", "s = 16")
FAULTS = ("noise", "spikes", "stuck")


def strength(frames: Frames, network: str) -> str:
    """Clean MSE, MSE under faults, and joint NLL in nats per step, against the twin, by set."""
    frame = with_faults(of(frames, "constraint_strength", network))
    rows = []
    for data in [*ordered(frame, "data", SETS), "all"]:
        part = frame if data == "all" else frame[frame["data"] == data]
        for score, label in (("mse", "clean"), ("corrupted", "corrupted"), ("rise", "rise")):
            cells = [
                percent(relative_change(column(part, s, score), column(part, "twin", score)))
                for s in STRENGTHS
            ]
            rows.append([data if score == "mse" else "", label, *cells])
        joint = [
            difference(column(part, s, "joint_nll"), column(part, "twin", "joint_nll")).text(2)
            for s in STRENGTHS
        ]
        rows.append(["", "joint NLL", *joint])
    return table(["data", "less the twin's", *STRENGTHS], rows)


def strength_vitals(frames: Frames, network: str) -> str:
    """What constraints do to the units: means over data sets and seeds."""
    frame = of(frames, "constraint_strength", network)
    columns = {"KL": ("kl", 1), "rate": ("rate", 1), "µ²": ("energy", 3)}
    columns |= {"β": ("beta", 2), "out of band": ("outside_papers", 2), "living": ("living", 2)}
    rows = []
    for label, (name, digits) in columns.items():
        cells = [
            number(frame.loc[frame["setting"] == s, name].astype(float).mean(), digits)
            for s in STRENGTHS
        ]
        rows.append([label, *cells])
    return table(["mean over sets", *STRENGTHS], rows)


def with_faults(frame: pd.DataFrame) -> pd.DataFrame:
    """With the mean MSE over the faults, and by what factor they raise it."""
    corrupted = frame[[f"{f}_mse" for f in FAULTS]].mean(axis=1)
    return frame.assign(corrupted=corrupted, rise=corrupted / frame["mse"])


def seed_variance(frames: Frames, network: str) -> str:
    """Variance of ln MSE between seeds over the twin's, pooled over data sets."""
    frame = with_faults(of(frames, "constraint_strength", network))
    rows = []
    for score in ("mse", "corrupted"):
        cells = []
        for setting in STRENGTHS:
            groups = []
            for who in (setting, "twin"):
                part = frame[frame["setting"] == who]
                groups.append([np.log(g[score]) for _, g in part.groupby("data") if len(g) > 1])
            cells.append(variance_ratio(*groups).text(2) if all(groups) else "–")
        rows.append(["clean" if score == "mse" else "corrupted", *cells])
    return table(["variance between seeds / the twin's", *STRENGTHS], rows)


# -- (c) -----------------------------------------------------------------------------------

SIGNALS: dict[str, str] = {
    "outside": "out of band, as calibrated",
    "outside_set": "out of band, as set",
    "outside_papers": "out of one band for all",
    "val_joint_nll": "validation joint NLL",
    "val_mse": "validation MSE",
}


def early(frames: Frames, network: str) -> str:
    """Spearman's ρ of each early signal, and of the kept weights' shares, with test MSE."""
    frame = of(frames, "early_signal", network)
    rows = []
    for when in ("10", "25", "end"):
        for signal, label in SIGNALS.items():
            name = signal if when == "end" else f"{signal}_{when}"
            if name not in frame:
                continue
            cells = []
            for data in SETS[:4]:
                part = frame[frame["data"] == data]
                cells.append(rank_correlation(part[name], part["mse"]).text(2))
            rows.append([when if when == "end" else f"{when}%", label, *cells])
    counts = [str((frame["data"] == data).sum()) for data in SETS[:4]]
    rows.append(["", "configurations", *counts])
    return table(["of the run", "signal", *SETS[:4]], rows)


def early_within(frames: Frames, network: str) -> str:
    """The same among runs alike in data set, mode and memory: ranks are taken within these."""
    frame = of(frames, "early_signal", network)
    signals = ("outside_25", "outside_set_25", "val_joint_nll_25", "val_mse_25")
    ranked = frame.groupby(["data", "mode", "memory"])[[*signals, "mse"]].rank(pct=True)
    groups = {"all": frame.index == frame.index}
    groups |= {mode: frame["mode"] == mode for mode in CONTROLS}
    groups |= {"without AR": ~frame["memory"], "with AR": frame["memory"]}
    rows = []
    for label, chosen in groups.items():
        part = ranked[chosen]
        cells = [rank_correlation(part[s], part["mse"]).text(2) for s in signals]
        rows.append([label, str(len(part)), *cells])
    labels = ["out of band, calibrated", "as set", "validation joint NLL", "validation MSE"]
    return table(["among", "runs", *labels], rows)


WRITERS: dict[str, Writer] = {
    "controls": Writer("controls", controls),
    "controls-vitals": Writer("controls", controls_vitals),
    "controls-pairs": Writer("controls", controls_pairs),
    "latent-dim": Writer("latent_dim", latent_dim),
    "budgets": Writer("budgets", budgets),
    "budget-changes": Writer("budgets", budget_changes),
    "strength": Writer("constraint_strength", strength),
    "strength-vitals": Writer("constraint_strength", strength_vitals),
    "seed-variance": Writer("constraint_strength", seed_variance),
    "early": Writer("early_signal", early),
    "early-within": Writer("early_signal", early_within),
}
