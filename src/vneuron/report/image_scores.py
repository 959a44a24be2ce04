"""Scores of codes in words and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .scores import display

__all__ = ["COLUMNS", "Column", "cost_rows", "headline", "own_row", "score_rows"]


class Column(NamedTuple):
    """One column of the table.

    Attributes:
        key: its name in `metrics.json`.
        title: its name on the page.
        meaning: one line.
    """

    key: str
    title: str
    meaning: str


COLUMNS = (
    Column("step", "steps", "steps of inference"),
    Column("r2_pooled", "R²", "share of the variance of all pixels that sampled codes explain"),
    Column("r2_pooled_map", "R², means", "the same for the codes' means"),
    Column("r2", "R² by image", "mean over images of each image's own R², of sampled codes"),
    Column("mse", "MSE", "mean squared error per pixel, in units of the training variance"),
    Column("zeros", "zeros", "portion of latents that are exactly zero in a sampled code"),
    Column("distance", "distance", "of (R², zeros) from (1, 1)"),
    Column("population_sparsity", "population", "Treves–Rolls sparsity over latents"),
    Column("lifetime_sparsity", "lifetime", "Treves–Rolls sparsity over images"),
    Column("change", "‖Δu‖", "mean length of the last step of inference"),
)

_COSTS = {
    "bits_per_pixel": "bits per pixel",
    "bits": "bits per image",
    "spikes": "spikes per image",
    "active": "active latents per image",
    "events": "synaptic events",
    "gathers": "multiply–adds, skipping zeros",
    "dense": "multiply–adds, dense",
}


def own_row(rows: Sequence[Mapping[str, Any]], own: int | None) -> Mapping[str, Any] | None:
    """The row of the model's own number of steps; the last where there is none."""
    found = [row for row in rows if row["step"] == own] or list(rows)
    return found[-1] if found else None


def headline(
    rows: Sequence[Mapping[str, Any]], cost: Mapping[str, Any] | None, own: int | None
) -> list[dict[str, str]]:
    """The cards at the top: fidelity, silence, price; empty without scores."""
    row = own_row(rows, own)
    if row is None:
        return []
    after = "in one step" if row["step"] == 1 else f"after {row['step']} steps"
    cards = [
        (
            "R² of sampled codes",
            row["r2_pooled"],
            f"{after}; {_text(row, 'r2_pooled_map')} of means",
        ),
        ("zeros", row["zeros"], f"distance from a perfect silent code {_text(row, 'distance')}"),
    ]
    if cost:
        saved = cost["dense"] / cost["gathers"] if cost["gathers"] else float("inf")
        share = f"{cost['active']:.0f} latents active, {cost['spikes']:.0f} spikes an image"
        cards.append(("bits per pixel", cost["bits_per_pixel"], share))
        cards.append(("work saved", f"{saved:.1f}×", "multiply–adds to decode, skipping zeros"))
    return [
        {"label": name, "value": v if isinstance(v, str) else display(v), "note": note}
        for name, v, note in cards
    ]


def score_rows(rows: Sequence[Mapping[str, Any]], own: int | None) -> list[dict[str, Any]]:
    """Cells as text, and whether the row is that of the model's own steps."""
    return [
        {"own": row["step"] == own, "cells": [_text(row, column.key) for column in COLUMNS]}
        for row in rows
    ]


def cost_rows(cost: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Name and value of what a code costs; empty where codes are not counts."""
    if not cost:
        return []
    return [
        (name, f"{cost[key]:.3f}" if key == "bits_per_pixel" else f"{cost[key]:,.0f}")
        for key, name in _COSTS.items()
    ]


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return f"{value:,}" if isinstance(value, int) else display(value)
