"""The curves of the page about an image model, each where the run holds what it needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from ..figures.raster import raster
from ..figures.step_curves import step_curves
from ..figures.trade_off import trade_off_curve
from ..figures.training_curves import training_curves

__all__ = ["image_charts", "training_charts"]

_TRAINING = {
    "val_r2": ("val-r2", "R² of sampled codes"),
    "val_zeros": ("val-zeros", "Zeros"),
    "val_loss": ("val-loss", "Loss, nats"),
}


def image_charts(
    metrics: Mapping[str, Any], portrait: Mapping[str, Any] | None, own: int | None
) -> dict[str, go.Figure]:
    """Figures by the id of their place on the page.

    Args:
        metrics: `metrics.json`.
        portrait: `portrait.npz`.
        own: the model's own number of steps.
    """
    figures = _by_steps(metrics.get("scores") or [], own)
    if portrait is not None:
        kind = "spikes" if metrics.get("codes") is not None else "activity"
        figures["raster"] = raster(portrait["activity"][0], portrait["rows"], title=kind)
    found = metrics.get("rate_distortion")
    if found:
        bits = all(point["bits_per_pixel"] is not None for point in found["points"])
        points = [point | {"active": 1.0 - point["zeros"]} for point in found["points"]]
        figures["trade-off"] = trade_off_curve(
            points,
            rate="bits_per_pixel" if bits else "active",
            rate_title="bits per pixel" if bits else "share of latents active",
            parameter=found["parameter"],
            own=found["own"],
        )
    return figures


def training_charts(events: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, go.Figure]]:
    """Heading and figure of each held-out score over the epochs, by the id of its place."""
    epochs = [event for event in events if event.get("event") == "epoch"]
    charts = {}
    for key, (place, head) in _TRAINING.items():
        known = [event for event in epochs if event.get(key) is not None]
        if known:
            curve = ([event["epoch"] for event in known], [event[key] for event in known])
            charts[place] = (head, training_curves({"held out": curve}, title=head))
            charts[place][1].update_layout(showlegend=False)
    return charts


def _by_steps(rows: Sequence[Mapping[str, Any]], own: int | None) -> dict[str, go.Figure]:
    if len(rows) < 2:
        return {}
    steps = [row["step"] for row in rows]

    def curve(*keys: str, names: Sequence[str], title: str) -> go.Figure:
        values = {n: [row[key] for row in rows] for n, key in zip(names, keys, strict=True)}
        return step_curves(steps, values, title=title, own=own)

    figures = {
        "fidelity": curve("r2_pooled", "r2_pooled_map", names=("sampled", "means"), title="R²"),
        "silence": curve("zeros", names=("zeros",), title="portion of zeros"),
    }
    # A first step from far away would flatten all that follows.
    low = min((row["r2_pooled"] for row in rows if row["r2_pooled"] is not None), default=0.0)
    if low < -0.5:
        figures["fidelity"].update_yaxes(range=[-0.5, 1.03])
    if any(row.get("change") is not None for row in rows):
        figures["change"] = curve("change", names=("change",), title="‖Δu‖")
        figures["change"].update_yaxes(type="log")
    return figures
