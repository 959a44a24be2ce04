"""The fan chart: intervals by level and joint sample paths, over what came."""

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .style import blank_figure, ink, label, model_colors, translucent

__all__ = ["fan_chart", "interval_levels", "path_columns"]


def interval_levels(columns: pd.Index, model: str) -> list[str]:
    """The levels with both bounds in a frame, widest first, as they stand in the column names.

    Example:
        >>> interval_levels(pd.Index(["EVE-lo-80", "EVE-hi-80", "EVE-lo-95", "EVE-hi-95"]), "EVE")
        ['95', '80']
    """
    pattern = re.compile(rf"{re.escape(model)}-lo-(\d+(?:\.\d+)?)")
    found = [m.group(1) for c in columns if (m := pattern.fullmatch(str(c)))]
    both = [level for level in found if f"{model}-hi-{level}" in columns]
    return sorted(both, key=float, reverse=True)


def path_columns(columns: pd.Index, model: str) -> list[str]:
    """The columns of sample paths, in their order."""
    pattern = re.compile(rf"{re.escape(model)}-path-(\d+)")
    found = [(int(m.group(1)), str(c)) for c in columns if (m := pattern.fullmatch(str(c)))]
    return [name for _, name in sorted(found)]


def fan_chart(window: pd.DataFrame, model: str = "EVE", *, history: int | None = None) -> go.Figure:
    """One window's forecast: nested intervals, mean, joint sample paths, and the truth.

    Intervals hold step by step; a path is one draw of the whole future, so sums and extremes are
    read from paths. Each trace's `meta` names the columns that it shows.

    Args:
        window: rows in time order with `ds`; `y` where observed (history and, if known, the
            future); in forecast rows `<model>` (the mean), `<model>-lo-80`, `<model>-hi-80`, ...,
            `<model>-path-1`, ... (NaN in history rows). All but `ds` may be absent.
        model: the forecast's column.
        history: rows of history to show; None shows all.

    Raises:
        ValueError: `window` has no column `ds`.

    Example:
        >>> ds = pd.date_range("2024-01-01", periods=3)
        >>> window = pd.DataFrame({"ds": ds, "y": [1.0, 2.0, 3.0], "EVE": [None, 2.1, 2.9]})
        >>> [trace.name for trace in fan_chart(window).data]
        ['mean', 'observed']
    """
    if "ds" not in window:
        raise ValueError(
            f"the window has the columns {list(window.columns)}; expected 'ds' among them: pass "
            "rows of a forecast frame"
        )
    if history is not None:
        window = window.iloc[max(0, _history_rows(window, model) - history) :]
    color = model_colors([model])[model]
    figure = blank_figure(height=440)
    levels = interval_levels(window.columns, model)
    for i, level in enumerate(levels):
        _add_interval(figure, window, model, level, translucent(color, 0.13 + 0.05 * i))
    if paths := path_columns(window.columns, model):
        _add_paths(figure, window, paths, color)
    if model in window:
        _add_line(figure, window, model, "mean", color, width=2.2)
    if "y" in window:
        _add_line(figure, window, "y", "observed", ink, width=1.6)
    return figure


def _history_rows(window: pd.DataFrame, model: str) -> int:
    if model not in window or not window[model].notna().any():
        return len(window)
    return int(window[model].notna().to_numpy().argmax())


def _add_interval(
    figure: go.Figure, window: pd.DataFrame, model: str, level: str, fill: str
) -> None:
    shared = {"x": window["ds"], "mode": "lines", "line": {"width": 0}, "legendgroup": level}
    for side, extra in (
        ("lo", {"showlegend": False}),
        ("hi", {"fill": "tonexty", "fillcolor": fill}),
    ):
        column = f"{model}-{side}-{level}"
        word = "lower" if side == "lo" else "upper"
        figure.add_scatter(
            y=window[column].to_numpy(),
            name=f"{label(level)}%",
            meta={"columns": [column]},
            hovertemplate=f"%{{y:.4~g}}<extra>{label(level)}% {word}</extra>",
            **shared,
            **extra,
        )


def _add_paths(figure: go.Figure, window: pd.DataFrame, paths: list[str], color: str) -> None:
    # One trace for all paths, with a gap after each: one entry in the legend, one redraw.
    x = np.concatenate([[*window["ds"], window["ds"].iloc[-1]] for _ in paths])
    y = np.concatenate([[*window[path], np.nan] for path in paths])
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name="sample paths",
        line={"width": 0.8, "color": translucent(color, 0.32)},
        meta={"columns": paths},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=window["ds"],
        y=window[paths[0]].to_numpy(),
        mode="lines",
        name="one path",
        line={"width": 1.4, "color": "#d9822b"},
        meta={"columns": paths[:1], "role": "one path"},
        hovertemplate="%{y:.4~g}",
    )


def _add_line(
    figure: go.Figure, window: pd.DataFrame, column: str, name: str, color: str, width: float
) -> None:
    figure.add_scatter(
        x=window["ds"],
        y=window[column].to_numpy(),
        mode="lines",
        name=name,
        line={"width": width, "color": color},
        meta={"columns": [column], "role": name},
        hovertemplate="%{y:.4~g}",
    )
