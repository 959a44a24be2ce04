"""Which rows a page shows, and paired differences between two models' windows."""

from __future__ import annotations

import pandas as pd
from bootstrap import interval

from .results import ROWS, Results

CASE = ["data", "protocol", "horizon"]
INDEPENDENT = ("twin", "linear")


def newest(results: Results) -> pd.DataFrame:
    """Of each case and model the rows of the options that were run last; all of their seeds."""
    rows = results.all()
    if rows.empty:
        return rows
    written = [(results.folder / f"{stem}.{ROWS}").stat().st_mtime for stem in rows["file"]]
    rows = rows.assign(written=written)
    last = rows.groupby([*CASE, "model", "options"])["written"].transform("max")
    best = last.groupby([rows[name] for name in (*CASE, "model")]).transform("max")
    return rows[last == best].drop(columns="written").reset_index(drop=True)


def case(rows: pd.DataFrame, data: str, protocol: str, horizon: int) -> pd.DataFrame:
    """The rows of one data set, protocol and horizon."""
    same = (rows["data"] == data) & (rows["protocol"] == protocol) & (rows["horizon"] == horizon)
    return rows[same]


def mean_of(rows: pd.DataFrame, model: str, score: str) -> float | None:
    """Over seeds; None where the model was not run or does not define the score."""
    own = rows.loc[rows["model"] == model, score].dropna().astype(float)
    return float(own.mean()) if len(own) else None


def stronger(rows: pd.DataFrame, score: str, models: tuple[str, ...] = INDEPENDENT) -> str | None:
    """The model with the lower mean score on the rows that are reported: the harder to beat."""
    found = [(value, name) for name in models if (value := mean_of(rows, name, score)) is not None]
    return min(found)[1] if found else None


def paired(
    results: Results, rows: pd.DataFrame, one: str, other: str, score: str
) -> tuple[float, float, float] | None:
    """Mean of one − other over windows and seeds that both have, with a 95% block bootstrap.

    Blocks are of origins as many rows apart as two horizons, since closer windows share targets.
    """
    parts = []
    for seed in sorted(set(rows["seed"])):
        pair = [rows[(rows["model"] == name) & (rows["seed"] == seed)] for name in (one, other)]
        if any(len(own) != 1 for own in pair):
            continue
        frames = [results.windows(own["file"].iloc[0]) for own in pair]
        if any(score not in frame for frame in frames):
            return None
        both = frames[0].merge(frames[1], on=["series", "cutoff"], suffixes=("", " other"))
        parts.append(both.assign(gap=both[score] - both[f"{score} other"]))
    if not parts or not len(parts[0]):
        return None
    every = pd.concat(parts)
    origin = every.groupby("series")["cutoff"].transform("min")
    by_origin = every.groupby(every["cutoff"] - origin)["gap"].mean().sort_index()
    step = int(by_origin.index.to_series().diff().min()) if len(by_origin) > 1 else 1
    block = max(1, -(-2 * int(rows["horizon"].iloc[0]) // step))
    return interval(by_origin.to_numpy(), block)
