"""Figures of a search: its front, its options, what mattered, and how trials learned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures.style import blank_figure, label
from .criteria import CRITERIA

__all__ = ["front_figure", "importance_figure", "learning_figure", "parallel_figure"]

COLORS = {
    "chosen": "#d9822b",
    "front": "#3a6fd8",
    "valid": "#8fb3ea",
    "not valid": "#c2517f",
    "stopped early": "#a7b0ba",
}


def verdicts(trials: pd.DataFrame, chosen: int, on_front: Sequence[int]) -> list[str]:
    """What became of each trial: a key of `COLORS`, or "" where there is nothing to show."""
    found = []
    for row in trials.to_dict("records"):
        if row["number"] == chosen:
            found.append("chosen")
        elif row["number"] in on_front:
            found.append("front")
        elif row["state"] == "complete":
            found.append("valid" if row["valid"] else "not valid")
        else:
            found.append("stopped early" if row["state"] == "pruned" else "")
    return found


def front_figure(trials: pd.DataFrame, judged: Sequence[str], names: Sequence[str]) -> go.Figure:
    """Quality over cost, or over the last criterion; faults as the hover says."""
    quality, other = names[0], names[-1] if len(names) > 1 else "cpu_seconds"
    figure = blank_figure(
        x=CRITERIA[other].label, y=CRITERIA[quality].label, height=420, unified_hover=False
    )
    shown = trials.assign(verdict=list(judged))
    for verdict in ("valid", "not valid", "front", "chosen"):
        part = shown[(shown["verdict"] == verdict) & (shown["state"] == "complete")]
        if part.empty:
            continue
        figure.add_scatter(
            x=part[other],
            y=part[quality],
            mode="markers",
            name=verdict,
            marker={"color": COLORS[verdict], "size": 13 if verdict == "chosen" else 9},
            customdata=_hover(part),
            hovertemplate="trial %{customdata[0]}: %{y:.4f}<br>%{customdata[1]}<extra></extra>",
        )
    figure.update_layout(showlegend=True)
    return figure


def parallel_figure(trials: pd.DataFrame, quality: str) -> go.Figure | None:
    """A line per complete trial over its options and criteria, coloured by quality."""
    done = trials[trials["state"] == "complete"]
    if len(done) < 2:
        return None
    options = pd.DataFrame([json.loads(text) for text in done["options"]])
    axes = [_axis(str(name), options[name]) for name in options if options[name].notna().all()]
    axes += [{"label": name, "values": done[name]} for name in CRITERIA if name in done][:6]
    figure = go.Figure(
        go.Parcoords(
            line={
                "color": done[quality],
                "colorscale": [[0.0, "#1b2f6b"], [0.5, "#3a6fd8"], [1.0, "#d5dfef"]],
                "showscale": True,
                "colorbar": {"title": {"text": quality}},
            },
            dimensions=axes,
        )
    )
    figure.update_layout(
        height=440, margin={"l": 60, "r": 20, "t": 60, "b": 20}, paper_bgcolor="rgba(0,0,0,0)"
    )
    return figure


def importance_figure(importances: Mapping[str, float]) -> go.Figure | None:
    """How much each option's value tells of whether a trial is among the best."""
    if not importances:
        return None
    ordered = sorted(importances.items(), key=lambda item: item[1])
    figure = blank_figure(
        x="share of importance", height=60 + 26 * len(ordered), unified_hover=False
    )
    figure.add_bar(
        x=[value for _, value in ordered],
        y=[label(name) for name, _ in ordered],
        orientation="h",
        marker={"color": "#3a6fd8"},
        showlegend=False,
    )
    return figure


def learning_figure(trials: pd.DataFrame, judged: Sequence[str]) -> go.Figure | None:
    """Validation score over epochs, coloured by what became of the trial."""
    figure = blank_figure(
        x="epoch", y="validation score, nats per step", height=420, unified_hover=False
    )
    seen: set[str] = set()
    pairs = sorted(
        zip(trials.to_dict("records"), judged, strict=True),
        key=lambda pair: list(COLORS).index(pair[1]) if pair[1] else 99,
        reverse=True,
    )
    for row, verdict in pairs:
        epochs = json.loads(row["epochs"])
        if not epochs or not verdict:
            continue
        figure.add_scatter(
            x=[epoch["epoch"] for epoch in epochs],
            y=[epoch["score"] for epoch in epochs],
            mode="lines+markers" if len(epochs) == 1 or verdict == "chosen" else "lines",
            line={"color": COLORS[verdict], "width": 3 if verdict == "chosen" else 1.4},
            name=verdict,
            legendgroup=verdict,
            showlegend=verdict not in seen,
            hovertemplate=f"trial {row['number']}: %{{y:.4f}}<extra></extra>",
        )
        seen.add(verdict)
    if not seen:
        return None
    figure.update_layout(showlegend=True)
    return figure


def _hover(part: pd.DataFrame) -> list[list[str]]:
    return [
        [
            str(number),
            "<br>".join(f"{label(k)} = {label(v)}" for k, v in json.loads(options).items()),
        ]
        for number, options in zip(part["number"], part["options"], strict=True)
    ]


def _axis(name: str, values: pd.Series[Any]) -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        spread = values.max() / values.min() if values.min() > 0 else 1.0
        if spread > 20:
            ticks = np.linspace(np.log10(values.min()), np.log10(values.max()), 4)
            return {
                "label": name,
                "values": np.log10(values),
                "tickvals": ticks,
                "ticktext": [f"{10**tick:.2g}" for tick in ticks],
            }
        return {"label": name, "values": values}
    kinds = sorted({str(value) for value in values})
    return {
        "label": name,
        "values": [kinds.index(str(value)) for value in values],
        "tickvals": list(range(len(kinds))),
        "ticktext": kinds,
    }
