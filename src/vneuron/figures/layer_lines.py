"""One vital of each layer over the epochs."""

import pandas as pd
import plotly.graph_objects as go

from .style import blank_figure, label, model_colors, translucent

__all__ = ["layer_lines"]


def layer_lines(
    vitals: pd.DataFrame, column: str, *, title: str = "", whole_range: bool = False
) -> go.Figure:
    """The units' median by epoch, with a band from their 10th to their 90th percentile.

    A column of truth values (alive, active) shows the share of units instead, without a band.
    Epochs at which the vital was not measured at all are left out.

    Args:
        vitals: one row per unit and epoch, with `layer`, `epoch`, `unit` and `column`.
        column: which vital.
        title: of the vertical axis; the column's name if empty.
        whole_range: the mean, with a band from the smallest to the largest, instead; on a
            logarithmic axis where all are positive.

    Raises:
        ValueError: a column is absent.

    Example:
        >>> vitals = pd.DataFrame({"layer": "units", "epoch": [1, 1, 2, 2], "unit": [0, 1, 0, 1],
        ...                        "alive": [True, False, True, True]})
        >>> layer_lines(vitals, "alive").data[0].y.tolist()
        [0.5, 1.0]
    """
    missing = [name for name in ("layer", "epoch", column) if name not in vitals]
    if missing:
        raise ValueError(
            f"the vitals have no column {missing[0]!r} (they have {list(vitals.columns)}); pass "
            "the frame of vitals.parquet"
        )
    share = pd.api.types.is_bool_dtype(vitals[column])
    vitals = vitals[vitals[column].notna()]
    layers = list(dict.fromkeys(vitals["layer"]))
    figure = blank_figure(x="epoch", y=title or label(column), height=260)
    colors = list(model_colors(["EVE", "linear", "lowrank", "twin", "residual"]).values())
    for i, layer in enumerate(layers):
        by_epoch = vitals[vitals["layer"] == layer].groupby("epoch")[column]
        color = colors[i % len(colors)]
        if whole_range:
            _add_band(figure, by_epoch.min(), by_epoch.max(), color)
        elif not share:
            _add_band(figure, by_epoch.quantile(0.1), by_epoch.quantile(0.9), color)
        middle = by_epoch.mean() if share or whole_range else by_epoch.median()
        figure.add_scatter(
            x=middle.index.to_numpy(),
            y=middle.to_numpy(dtype=float),
            mode="lines+markers" if len(middle) < 3 else "lines",
            name=label(layer),
            line={"color": color, "width": 2},
            hovertemplate="%{y:.0%}" if share else "%{y:.4~g}",
        )
    figure.update_layout(showlegend=len(layers) > 1)
    figure.update_xaxes(tickformat="d")
    if share:
        figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    elif whole_range and bool((vitals[column] > 0).all()):
        figure.update_yaxes(type="log", dtick="D2")
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def _add_band(figure: go.Figure, low: pd.Series, high: pd.Series, color: str) -> None:
    shared = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    x = low.index.to_numpy()
    figure.add_scatter(x=x, y=low.to_numpy(dtype=float), **shared)
    figure.add_scatter(
        x=x,
        y=high.to_numpy(dtype=float),
        fill="tonexty",
        fillcolor=translucent(color, 0.16),
        **shared,
    )
