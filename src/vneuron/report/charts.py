"""The page's figures, each where the run holds what it needs."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ..figures.band_occupancy import band_occupancy
from ..figures.fan import fan_chart
from ..figures.heat_map import unit_heat_map
from ..figures.layer_lines import layer_lines
from ..figures.pit import pit_histogram
from ..figures.reliability import reliability_curve
from ..figures.training_curves import training_curves
from ..figures.verdict_map import verdict_map
from .contents import Contents

__all__ = ["charts", "own_vitals"]

_SUBJECT = "EVE"


def charts(contents: Contents, first_window: pd.DataFrame | None) -> dict[str, go.Figure]:
    """Figures by the id of their place on the page; those without data are left out.

    Args:
        contents: the run.
        first_window: rows of the window that the fan chart shows first.
    """
    figures: dict[str, go.Figure] = {}
    if first_window is not None:
        figures["fan"] = fan_chart(first_window, _SUBJECT)
    figures |= _calibration(contents.metrics.get("calibration") or {})
    figures |= _units(own_vitals(contents.vitals))
    figures |= _training(contents.events)
    return figures


def own_vitals(vitals: pd.DataFrame | None) -> pd.DataFrame | None:
    """The rows of the page's subject; of whatever model there is, where it has none."""
    if vitals is None:
        return None
    own = vitals[vitals["model"] == _SUBJECT]
    return own if len(own) else vitals


def _calibration(calibration: dict[str, Any]) -> dict[str, go.Figure]:
    figures = {}
    for key, where, what in (
        ("coverage", "reliability", "steps inside"),
        ("path_coverage", "path-reliability", "windows inside"),
    ):
        curves = {
            name: (entry["levels"], entry[key])
            for name, entry in calibration.items()
            if entry.get("levels") and any(v is not None for v in entry.get(key) or [])
        }
        if curves:
            figures[where] = reliability_curve(curves, what=what)
    shares = (calibration.get(_SUBJECT) or {}).get("pit") or []
    if shares and None not in shares:
        figures["pit"] = pit_histogram(shares, _SUBJECT)
    return figures


def _units(vitals: pd.DataFrame | None) -> dict[str, go.Figure]:
    if vitals is None:
        return {}
    figures = {
        f"vital-{column}": layer_lines(vitals, column, title=title, whole_range=column == "beta")
        for column, title in (
            ("kl", "KL per unit, nats"),
            ("energy", "energy µ²"),
            ("alive", "units alive"),
            ("beta", "β"),
            ("drift", "nats"),
            ("transition_share", "share of the KL"),
            ("phi", "φ"),
            ("persistence", "correlation"),
        )
        if column in vitals and vitals[column].notna().any()
    }
    # Of several layers the map shows the first; the table below has all.
    first = vitals[vitals["layer"] == vitals["layer"].iloc[0]]
    maps = {"kl": "KL, nats", "use": "use, nats", "energy": "µ²", "beta": "β"}
    for column, title in maps.items():
        if first[column].notna().any():
            figures[f"map-{column}"] = unit_heat_map(first, column, title=title)
    figures["map-verdict"] = verdict_map(first)
    if "band_low" in first and first["band_low"].notna().any():
        figures["band"] = band_occupancy(first)
    return figures


def _training(events: list[dict[str, Any]]) -> dict[str, go.Figure]:
    epochs = [event for event in events if event.get("event") == "epoch"]
    return {
        where: training_curves(curves, title=title, mark_lowest=lowest)
        for where, key, title, lowest in (
            ("loss", "loss", "training loss, nats", False),
            ("val-joint-nll", "val_joint_nll", "validation joint NLL, nats per step", True),
        )
        if (curves := _curves(epochs, key, lambda value: value is not None))
    }


def _curves(
    epochs: list[dict[str, Any]], key: str, known: Callable[[Any], bool]
) -> dict[str, tuple[list[int], list[float | None]]]:
    curves: dict[str, tuple[list[int], list[float | None]]] = {}
    for event in epochs:
        if known(event.get(key)):
            x, y = curves.setdefault(str(event.get("model", _SUBJECT)), ([], []))
            x.append(event["epoch"])
            y.append(event[key])
    return curves
